import { unreachable } from '../core/assert.ts'
import type { Json, PlayerEvent } from '../core/model/event.ts'
import { compareNumbers, compareTexts, compareValues, MIRRORED, OPPOSITE } from './comparison.ts'
import { type DateRange, readDate } from './dates.ts'
import { fieldReader, type FieldReader } from './event-fields.ts'
import { arithmetic, NUMERIC_FUNCTIONS } from './functions.ts'
import { nowPartReader } from './now-parts.ts'
import { binary, causeOf, type NumberCode, numberField, unary } from './number-code.ts'
import type { Membership, Segments } from './segment.ts'
import type {
  BetweenNode,
  CallNode,
  CompareNode,
  ComparisonOperator,
  Expression,
  InNode,
  MatchNode,
} from './syntax-tree.ts'
import { containsValue, startsWith } from './text-match.ts'
import { numbersEqual } from './tolerance.ts'
import { windowCondition, windowNumber } from './window-code.ts'
import type { WindowUses } from './window-spec.ts'

/**
 * Compiles checked expressions to closures: no eval, no lookups by name at run time, nothing that throws.
 *
 * Conditions have three values (SPEC S19: a missing field makes its comparison unknown). A condition is therefore
 * compiled for one question, "is it surely true" or "is it surely false": `not` swaps the questions, `and` asks both
 * sides, and unknown is what answers no to both. So no third value ever has to be carried about.
 */
export type Condition = (event: PlayerEvent) => boolean

/** `zone` is where dates without an offset are read; `text` is the expression as written, for messages. */
export interface CompileContext {
  readonly zone: string
  readonly text: string
  /** The segments by name; whether a user is in one that is not there is unknown. */
  readonly segments?: Pick<Segments, 'get'> | undefined
  /** Notes what the expression looks at of recent events. */
  readonly windows?: WindowUses | undefined
}

/** A checked condition that answers true where `node` surely has the truth `wanted`. */
export function compileCondition(node: Expression, wanted: boolean, context: CompileContext): Condition {
  switch (node.kind) {
    case 'boolean': {
      const answer = node.value === wanted
      return () => answer
    }
    case 'field': {
      const read = fieldReader(node.path)
      return (event) => read(event) === wanted
    }
    case 'call':
      return exists(node, wanted, context)
    case 'not':
      return compileCondition(node.operand, !wanted, context)
    case 'logic': {
      const left = compileCondition(node.left, wanted, context)
      const right = compileCondition(node.right, wanted, context)
      // A conjunction is true where both sides are, and false where one is; a disjunction the other way round.
      return (node.operator === 'and') === wanted
        ? (event) => left(event) && right(event)
        : (event) => left(event) || right(event)
    }
    case 'compare':
      return comparison(node, wanted, context)
    case 'between':
      return between(node, wanted !== node.negated, context)
    case 'in':
      return membership(node, wanted !== node.negated, context)
    case 'match':
      return matching(node, wanted !== node.negated, context)
    case 'window':
      return windowCondition(node, { ...context, wanted }, (filter) => compileCondition(filter, true, context))
    case 'segment':
      return inSegment(context.segments?.get(node.name), wanted !== node.negated)
    case 'number':
    case 'text':
    case 'null':
    case 'now':
    case 'now-part':
    case 'duration':
    case 'negate':
    case 'arithmetic':
      throw new TypeError(`the checker let ${node.kind} through as a condition`)
    default:
      return unreachable(node)
  }
}

function exists(node: CallNode, wanted: boolean, context: CompileContext): Condition {
  const [field] = node.args
  if (field?.kind === 'window') {
    const { value } = compileNumber(field, context)
    return (event) => Number.isNaN(value(event)) !== wanted
  }
  if (field?.kind !== 'field') return () => wanted
  const read = fieldReader(field.path)
  return (event) => (read(event) !== undefined) === wanted
}

function comparison(node: CompareNode, wanted: boolean, context: CompileContext): Condition {
  const operator = wanted ? node.operator : OPPOSITE[node.operator]
  if (node.left.kind === 'now') return timeCondition(operator, dateOf(node.right, context))
  if (node.right.kind === 'now') return timeCondition(MIRRORED[operator], dateOf(node.left, context))
  return relation(operator, [node.left, node.right], context)
}

function dateOf(node: Expression, context: CompileContext): DateRange {
  const date = node.kind === 'text' ? readDate(node.value, context.zone) : undefined
  if (date?.ok !== true) throw new TypeError('the checker let a wrong date through')
  return date.range
}

function timeCondition(operator: ComparisonOperator, { from, until }: DateRange): Condition {
  switch (operator) {
    case '==':
      return ({ ts }) => ts >= from && ts < until
    case '!=':
      return ({ ts }) => ts < from || ts >= until
    case '<':
      return ({ ts }) => ts < from
    case '<=':
      return ({ ts }) => ts < until
    case '>':
      return ({ ts }) => ts >= until
    case '>=':
      return ({ ts }) => ts >= from
    default:
      return unreachable(operator)
  }
}

type Pair = readonly [Expression, Expression]

function relation(operator: ComparisonOperator, [left, right]: Pair, context: CompileContext): Condition {
  if (isNumeric(left) || isNumeric(right)) {
    const compare = compareNumbers[operator]
    const a = compileNumber(left, context).value
    if (right.kind === 'number') {
      const b = right.value
      return (event) => compare(a(event), b)
    }
    const b = compileNumber(right, context).value
    return (event) => compare(a(event), b(event))
  }
  if (left.kind === 'text' || right.kind === 'text') {
    const compare = compareTexts[operator]
    const a = textReader(left)
    const b = textReader(right)
    return (event) => {
      const x = a(event)
      if (x === undefined) return false
      const y = b(event)
      return y !== undefined && compare(x, y)
    }
  }
  const compare = compareValues(operator)
  const a = valueReader(left, context)
  const b = valueReader(right, context)
  return (event) => compare(a(event), b(event))
}

function between(node: BetweenNode, wanted: boolean, context: CompileContext): Condition {
  const { operand, low, high } = node
  if (operand.kind === 'now') {
    const { from } = dateOf(low, context)
    const { until } = dateOf(high, context)
    return wanted ? ({ ts }) => ts >= from && ts < until : ({ ts }) => ts < from || ts >= until
  }
  // A computed operand is evaluated once: nested ranges would otherwise double the work at every level.
  if (isNumeric(operand)) return numberBetween(node, wanted, context)
  const above = relation(wanted ? '>=' : '<', [operand, low], context)
  const below = relation(wanted ? '<=' : '>', [operand, high], context)
  return wanted ? (event) => above(event) && below(event) : (event) => above(event) || below(event)
}

function numberBetween(node: BetweenNode, wanted: boolean, context: CompileContext): Condition {
  const [x, low, high] = [node.operand, node.low, node.high].map((part) => compileNumber(part, context).value)
  if (x === undefined || low === undefined || high === undefined) throw new TypeError('between has three operands')
  const { '>=': atLeast, '<=': atMost, '<': less, '>': more } = compareNumbers
  return wanted
    ? (event) => {
        const value = x(event)
        return atLeast(value, low(event)) && atMost(value, high(event))
      }
    : (event) => {
        const value = x(event)
        return less(value, low(event)) || more(value, high(event))
      }
}

function membership(node: InNode, wanted: boolean, context: CompileContext): Condition {
  if (node.operand.kind === 'now') {
    const days = node.list.map((element) => timeCondition('==', dateOf(element, context)))
    return (event) => days.some((day) => day(event)) === wanted
  }
  const values = node.list.map(literalValue)
  const texts = new Set(values.filter((value) => typeof value === 'string'))
  const numbers = values.filter((value) => typeof value === 'number')
  const booleans = new Set(values.filter((value) => typeof value === 'boolean'))
  const read = valueReader(node.operand, context)
  return (event) => {
    const value = read(event)
    // A value of a kind that the list hasn't got is comparable with nothing in it: neither in it nor surely outside.
    if (typeof value === 'string') return texts.size > 0 && texts.has(value) === wanted
    if (typeof value === 'number') {
      return numbers.length > 0 && numbers.some((number) => numbersEqual(value, number)) === wanted
    }
    return typeof value === 'boolean' && booleans.size > 0 && booleans.has(value) === wanted
  }
}

function matching(node: MatchNode, wanted: boolean, context: CompileContext): Condition {
  const a = valueReader(node.left, context)
  const b = valueReader(node.right, context)
  const holds = node.operator === 'contains' ? containsValue : startsWith
  return (event) => holds(a(event), b(event)) === wanted
}

function inSegment(member: Membership | undefined, wanted: boolean): Condition {
  return member === undefined ? () => false : (event) => member(event) === wanted
}

function literalValue(node: Expression): string | number | boolean {
  if (node.kind === 'number' || node.kind === 'text' || node.kind === 'boolean') return node.value
  if (node.kind === 'negate' && node.operand.kind === 'number') return -node.operand.value
  throw new TypeError(`the checker let ${node.kind} through as an element of a list`)
}

function isNumeric(node: Expression): boolean {
  return (
    node.kind === 'number' ||
    node.kind === 'negate' ||
    node.kind === 'arithmetic' ||
    node.kind === 'now-part' ||
    node.kind === 'duration' ||
    node.kind === 'window' ||
    (node.kind === 'call' && node.name !== 'exists')
  )
}

function textReader(node: Expression): (event: PlayerEvent) => string | undefined {
  if (node.kind === 'text') {
    const { value } = node
    return () => value
  }
  if (node.kind !== 'field') throw new TypeError(`the checker let ${node.kind} through as a text`)
  const read = fieldReader(node.path)
  return (event) => {
    const value = read(event)
    return typeof value === 'string' ? value : undefined
  }
}

function valueReader(node: Expression, context: CompileContext): FieldReader {
  if (node.kind === 'field') return fieldReader(node.path)
  if (node.kind === 'text' || node.kind === 'boolean') {
    const value: Json = node.value
    return () => value
  }
  const { value } = compileNumber(node, context)
  return (event) => {
    const number = value(event)
    return Number.isNaN(number) ? undefined : number
  }
}

/** A checked expression as a number. */
export function compileNumber(node: Expression, context: CompileContext): NumberCode {
  switch (node.kind) {
    case 'number': {
      const number = node.value
      return { value: () => number, explain: () => undefined }
    }
    case 'field':
      return numberField(node.path)
    case 'now-part': {
      const read = nowPartReader(node.part, context.zone)
      return { value: ({ ts }) => read(ts), explain: () => undefined }
    }
    case 'duration': {
      const { ms } = node
      return { value: () => ms, explain: () => undefined }
    }
    case 'window':
      return windowNumber(node, context, (filter) => compileCondition(filter, true, context))
    case 'negate': {
      return unary((x) => -x, compileNumber(node.operand, context), causeOf(node, context.text))
    }
    case 'arithmetic': {
      const left = compileNumber(node.left, context)
      const right = compileNumber(node.right, context)
      return binary(arithmetic(node.operator), [left, right], causeOf(node, context.text))
    }
    case 'call':
      return node.name === 'if' ? choice(node, context) : call(node, context)
    case 'text':
    case 'boolean':
    case 'null':
    case 'now':
    case 'not':
    case 'logic':
    case 'compare':
    case 'between':
    case 'in':
    case 'match':
    case 'segment':
      throw new TypeError(`the checker let ${node.kind} through as a number`)
    default:
      return unreachable(node)
  }
}

function call(node: CallNode, context: CompileContext): NumberCode {
  const known = NUMERIC_FUNCTIONS.get(node.name)
  const [first, second, ...rest] = node.args.map((arg) => compileNumber(arg, context))
  if (known === undefined || first === undefined)
    throw new TypeError(`the checker let the call of ${node.name} through`)
  const cause = causeOf(node, context.text)
  const join = known.fold ?? known.binary
  if (second === undefined || join === undefined) return unary(known.unary ?? ((x) => x), first, cause)
  return rest.reduce((sum, arg) => binary(join, [sum, arg], cause), binary(join, [first, second], cause))
}

/** Only the branch that is taken counts, so that a field may be missing in the other. An unknown condition takes the last. */
function choice(node: CallNode, context: CompileContext): NumberCode {
  const [condition, yes, no] = node.args
  if (condition === undefined || yes === undefined || no === undefined) throw new TypeError('if has three operands')
  const holds = compileCondition(condition, true, context)
  const then = compileNumber(yes, context)
  const otherwise = compileNumber(no, context)
  return {
    value: (event) => (holds(event) ? then.value(event) : otherwise.value(event)),
    explain: (event) => (holds(event) ? then : otherwise).explain(event),
  }
}
