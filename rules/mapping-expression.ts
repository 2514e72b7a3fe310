import type { Scalar } from 'yaml'
import { unreachable } from '../core/assert.ts'
import type { Json } from '../core/model/event.ts'
import { checkExpression } from './checker.ts'
import { fieldReader } from './event-fields.ts'
import { compileCondition, compileNumber, type Condition } from './expression.ts'
import { inWrittenNames, type Roots, type SightName, type View } from './mapping-view.ts'
import { parseExpression } from './parser.ts'
import type { Fault } from './problem.ts'
import { childrenOf, type Expression, type FieldNode } from './syntax-tree.ts'
import type { YamlSource } from './yaml-source.ts'

/** What a value came to. */
export type Value =
  | { readonly kind: 'value'; readonly value: Json }
  /** Nothing is there; `why` names what. */
  | { readonly kind: 'missing'; readonly why: string }
  /** Something is there and cannot be used. */
  | { readonly kind: 'wrong'; readonly why: string }

export type ValueCode = (view: View) => Value

export interface ReadExpression {
  readonly code: ValueCode
  /** Where its fields are. */
  readonly fields: readonly { readonly from: SightName; readonly name: string }[]
  /** It is a field and nothing else. */
  readonly plain: boolean
}

/** Dates are compared nowhere in a mapping; a zone is asked for all the same. */
const ZONE = 'UTC'
/** What may hang below a field that is passed on: an event may have 32 levels, a few of which lie above. */
const LEVELS_MAX = 28

/** Digits that a double keeps of any decimal number; what arithmetic leaves beyond them is noise: 0.1 + 0.2 is 0.3. */
const DIGITS = 15

export function present(value: Json): Value {
  return { kind: 'value', value }
}

export function missing(why: string): Value {
  return { kind: 'missing', why }
}

export function wrong(why: string): Value {
  return { kind: 'wrong', why }
}

/**
 * The value that the text of `scalar` describes; undefined, with problems reported, where it is none. `part`: the piece of
 * the scalar that is meant, where that is not the whole.
 */
export function readExpressionValue(
  source: YamlSource,
  scalar: Scalar<string>,
  roots: Roots,
  part: { readonly text: string; readonly start: number } = { text: scalar.value, start: 0 },
): ReadExpression | undefined {
  const read = readChecked(part.text, roots, 'any')
  for (const fault of read.faults) source.reportFault(scalar, { ...fault, start: fault.start + part.start })
  return read.located && { ...read.located, code: compileValue(read.located, part.text) }
}

/** A condition, such as that of `when`. */
export function readConditionText(source: YamlSource, scalar: Scalar<string>, roots: Roots): Condition | undefined {
  const { located, faults } = readChecked(scalar.value, roots, 'condition')
  for (const fault of faults) source.reportFault(scalar, fault)
  return located && compileCondition(located.expression, true, { zone: ZONE, text: scalar.value })
}

interface LocatedFields {
  readonly expression: Expression
  readonly fields: ReadExpression['fields']
  readonly plain: boolean
}

function readChecked(
  text: string,
  roots: Roots,
  wanted: 'condition' | 'any',
): { readonly located?: LocatedFields; readonly faults: readonly Fault[] } {
  const parsed = parseExpression(text)
  if (!parsed.ok) return { faults: [parsed.fault] }
  const locator = new Locator(text, roots)
  const expression = locator.locate(parsed.expression)
  if (locator.faults.length > 0) return { faults: locator.faults }
  const faults = faultsOf(expression, wanted)
  return faults.length > 0
    ? { faults }
    : { located: { expression, fields: locator.fields, plain: expression.kind === 'field' }, faults }
}

function faultsOf(expression: Expression, wanted: 'condition' | 'any'): readonly Fault[] {
  if (wanted === 'condition' || isCondition(expression)) return checkExpression(expression, 'condition', ZONE)
  // A text alone is a value here; the checker, which knows conditions and numbers, would ask for one of these.
  return expression.kind === 'text' ? [] : checkExpression(expression, 'number', ZONE)
}

function isCondition(node: Expression): boolean {
  return (
    ['boolean', 'not', 'logic', 'compare', 'between', 'in', 'match'].includes(node.kind) ||
    (node.kind === 'call' && node.name === 'exists')
  )
}

/** Puts the fields of an expression where a View has them, and refuses what has no meaning here. */
class Locator {
  readonly faults: Fault[] = []
  readonly fields: { from: SightName; name: string }[] = []
  readonly #text: string
  readonly #roots: Roots

  constructor(text: string, roots: Roots) {
    this.#text = text
    this.#roots = roots
  }

  locate(node: Expression): Expression {
    switch (node.kind) {
      case 'field':
        return this.#field(node)
      case 'now':
        return this.#time(node, [])
      case 'now-part':
        return this.#time(node, [node.part])
      case 'call':
        return { ...node, args: node.args.map((arg) => this.locate(arg)) }
      case 'compare':
      case 'match':
      case 'arithmetic':
      case 'logic':
        return { ...node, left: this.locate(node.left), right: this.locate(node.right) }
      case 'between':
        return {
          ...node,
          operand: this.locate(node.operand),
          low: this.locate(node.low),
          high: this.locate(node.high),
        }
      case 'in':
        return { ...node, operand: this.locate(node.operand), list: node.list.map((each) => this.locate(each)) }
      case 'negate':
      case 'not':
        return { ...node, operand: this.locate(node.operand) }
      case 'segment':
        return this.#refused(node, 'segments are known to rules only', 'write user.id in ["u_1", "u_2"]')
      case 'window':
        return this.#refused(node, 'recent events are known to rules only', 'leave it to a rule')
      case 'duration':
        return this.#refused(node, 'a length of time means nothing here', 'write a number')
      case 'number':
      case 'text':
      case 'boolean':
      case 'null':
        return node
      default:
        return unreachable(node)
    }
  }

  #field(node: FieldNode): Expression {
    const located = this.#roots.locate(node.path)
    if (!located.ok) return this.#refused(node, located.message, located.hint)
    this.fields.push({ from: located.from, name: node.path.join('.') })
    return { ...node, path: ['payload', ...located.path] }
  }

  /** Rules read `ts` and `now` as the event's own time; here `ts` is a field like any other, and there is no `now`. */
  #time(node: Expression, rest: readonly string[]): Expression {
    const written = this.#text.slice(node.start, node.end)
    if (/\bts\b/.test(written)) return this.#field({ ...node, kind: 'field', path: ['ts', ...rest] })
    const hint = `for a field of that name, write ${this.#roots.whole}.now`
    return this.#refused(node, 'now has no meaning here: the same body must give the same, whenever it comes', hint)
  }

  #refused<T extends Expression>(node: T, message: string, hint: string): T {
    this.faults.push({ code: 'ONCEWARD_E_RULE_WRONG_VALUE', start: node.start, message, hint })
    return node
  }
}

function compileValue({ expression, fields }: LocatedFields, text: string): ValueCode {
  if (expression.kind === 'field') return fieldValue(expression)
  if (expression.kind === 'text' || expression.kind === 'boolean') {
    const constant = present(expression.value)
    return () => constant
  }
  const names = fieldsIn(expression).map(({ path }) => ({
    read: fieldReader(path),
    name: inWrittenNames(path.join('.')),
  }))
  const absent = (view: View): string | undefined => names.find(({ read }) => read(view) === undefined)?.name
  const shown = fields.map(({ name }) => name).join(', ')
  if (isCondition(expression)) {
    const context = { zone: ZONE, text }
    const [yes, no] = [compileCondition(expression, true, context), compileCondition(expression, false, context)]
    return (view) => {
      if (yes(view)) return present(true)
      if (no(view)) return present(false)
      const name = absent(view)
      return name === undefined ? wrong(`${shown} cannot be compared so`) : missing(`${name} is missing`)
    }
  }
  const { value, explain } = compileNumber(expression, { zone: ZONE, text })
  return (view) => {
    const number = value(view)
    if (Number.isFinite(number)) return present(rounded(number))
    const name = absent(view)
    return name === undefined ? wrong(explained(explain(view))) : missing(`${name} is missing`)
  }
}

function explained(why: string | undefined): string {
  const sentence = inWrittenNames(why ?? 'there is no finite number')
  return sentence.endsWith('is a text, not a number')
    ? `${sentence}; where it is a number within quotes, write { number: … }`
    : sentence
}

function fieldValue({ path }: FieldNode): ValueCode {
  const read = fieldReader(path)
  const name = inWrittenNames(path.join('.'))
  return (view) => {
    const value = read(view)
    if (value === undefined) return missing(`${name} is missing`)
    return fits(value, LEVELS_MAX) ? present(value) : wrong(`${name} is nested too deep, or holds a number too large`)
  }
}

/** No deeper than `levels`, and every number in it is one that JSON can say. */
function fits(value: Json | undefined, levels: number): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((inner: Json | undefined) => fits(inner, levels - 1))
}

function fieldsIn(node: Expression): readonly FieldNode[] {
  return node.kind === 'field' ? [node] : childrenOf(node).flatMap(fieldsIn)
}

/** The nearest number of `DIGITS` significant digits; whole numbers stay as they are. */
export function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS))
}
