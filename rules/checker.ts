import { unreachable } from '../core/assert.ts'
import type { ErrorCode } from '../core/errors.ts'
import { type DateRange, readDate } from './dates.ts'
import { checkField, type EventFields, fieldsAskedFor, TYPE_NAMES, type ValueType } from './field-check.ts'
import { FUNCTION_NAMES, NUMERIC_FUNCTIONS, signatureOf } from './functions.ts'
import { constantOf, isLiteral } from './literal.ts'
import { NOW_PART_BOUNDS } from './now-parts.ts'
import { type Fault, nearest } from './problem.ts'
import type {
  BetweenNode,
  CallNode,
  CompareNode,
  Expression,
  FieldNode,
  InNode,
  MatchNode,
  SegmentNode,
} from './syntax-tree.ts'
import { PART_LENGTH_MAX } from './text-match.ts'
import { checkWindow, isRatioOfDurations, MAY_BE_MISSING } from './window-checker.ts'
import type { WindowNode } from './window-syntax.ts'

/** What is known of the surroundings of an expression; what is undefined is not checked. */
export interface CheckContext {
  /** What the event schemas say of the fields. */
  readonly fields?: EventFields | undefined
  /** The segments that there are. */
  readonly segments?: SegmentNames | undefined
  /** True where recent events can be looked at; refused elsewhere. */
  readonly windows?: boolean
  /** What the schemas say of the fields of an event that a window counts; undefined where that is not known. */
  readonly fieldsOf?: ((eventName: string) => EventFields | undefined) | undefined
}

/** Names a segment that conditions can ask for. */
export interface SegmentNames {
  has(name: string): boolean
  keys(): Iterable<string>
}

/** Checks types and names; answers every fault found, in no particular order. `zone` is where dates are read. */
export function checkExpression(
  expression: Expression,
  wanted: 'condition' | 'number',
  zone: string,
  context: CheckContext = {},
): readonly Fault[] {
  const checker = new Checker(zone, context, fieldsAskedFor(expression))
  if (wanted === 'condition') checker.condition(expression)
  else checker.number(expression)
  return checker.faults
}

class Checker {
  readonly faults: Fault[] = []
  readonly #zone: string
  readonly #context: CheckContext
  readonly #optional: ReadonlySet<string>

  constructor(zone: string, context: CheckContext, optional: ReadonlySet<string>) {
    this.#zone = zone
    this.#context = context
    this.#optional = optional
  }

  condition(node: Expression): void {
    const type = this.#type(node)
    if (type === 'boolean' || (type === 'any' && node.kind === 'field')) return
    const hint =
      type === 'number' ? 'compare it with something: payload.bet >= 0.2' : 'write a comparison: user.geo == "TR"'
    this.#fault('ONCEWARD_E_RULE_WRONG_TYPE', node, `a condition is needed here, this is ${TYPE_NAMES[type]}`, hint)
  }

  number(node: Expression): void {
    const type = this.#type(node)
    if (type === 'number' || type === 'any') return
    const hints: Readonly<Record<string, string>> = {
      boolean: 'write if(condition, 1, 0) to make a number of it',
      time: 'compare it with a date: now >= "2025-11-01"',
      duration: 'compare it with another, last(login) >= 7d, or divide it: last(login) / 1d',
    }
    const plain = node.kind === 'text' && node.value.trim() !== '' && Number.isFinite(Number(node.value))
    const hint = plain ? `write ${Number(node.value)} without quotes` : hints[type]
    this.#fault('ONCEWARD_E_RULE_WRONG_TYPE', node, `a number is needed here, this is ${TYPE_NAMES[type]}`, hint)
  }

  #type(node: Expression): ValueType {
    switch (node.kind) {
      case 'number':
      case 'text':
      case 'boolean':
        return node.kind
      case 'now':
        return 'time'
      case 'null':
        this.#fault(
          'ONCEWARD_E_RULE_WRONG_VALUE',
          node,
          'nothing can be compared with null',
          'write exists(payload.name), or not exists(…)',
        )
        return 'any'
      case 'field':
        return this.#field(node)
      case 'now-part':
        return 'number'
      case 'duration':
        return node.kind
      case 'window':
        return this.#window(node)
      case 'call':
        return this.#call(node)
      case 'negate':
        this.number(node.operand)
        return 'number'
      case 'arithmetic':
        for (const side of [node.left, node.right]) {
          if (isRatioOfDurations(node)) this.#type(side)
          else this.number(side)
        }
        return 'number'
      case 'not':
        this.condition(node.operand)
        return 'boolean'
      case 'logic':
        this.condition(node.left)
        this.condition(node.right)
        return 'boolean'
      case 'compare':
        return this.#compare(node)
      case 'between':
        return this.#between(node)
      case 'in':
        return this.#in(node)
      case 'match':
        return this.#match(node)
      case 'segment':
        return this.#segment(node)
      default:
        return unreachable(node)
    }
  }

  #field(node: FieldNode, alone = false): ValueType {
    const { type, fault } = checkField(node.path, {
      alone,
      optional: this.#optional.has(node.path.join('.')),
      fields: this.#context.fields,
    })
    if (fault !== undefined) this.faults.push({ ...fault, start: node.start })
    return type
  }

  #call(node: CallNode): ValueType {
    if (node.name === 'exists') return this.#exists(node)
    if (node.name === 'if') {
      if (!this.#argumentCount(node, 3, 3)) return 'number'
      const [condition, ...branches] = node.args
      if (condition !== undefined) this.condition(condition)
      for (const branch of branches) this.number(branch)
      return 'number'
    }
    const known = NUMERIC_FUNCTIONS.get(node.name)
    if (known === undefined) {
      const like = nearest(node.name, FUNCTION_NAMES)
      const hint = like === undefined ? `functions are ${FUNCTION_NAMES.join(', ')}` : `did you mean ${like}?`
      this.#fault('ONCEWARD_E_RULE_UNKNOWN_FUNCTION', node, `there is no function "${node.name}"`, hint)
      return 'any'
    }
    this.#argumentCount(node, known.argsMin, known.argsMax)
    for (const arg of node.args) this.number(arg)
    return 'number'
  }

  #exists(node: CallNode): ValueType {
    if (!this.#argumentCount(node, 1, 1)) return 'boolean'
    const [field] = node.args
    if (field?.kind === 'field') this.#field(field, true)
    else if (field?.kind === 'window' && MAY_BE_MISSING.includes(field.function)) this.#window(field)
    else if (field !== undefined && field.kind !== 'now') {
      this.#fault('ONCEWARD_E_RULE_WRONG_TYPE', field, 'exists asks for a field', 'write exists(payload.name)')
    }
    return 'boolean'
  }

  #window(node: WindowNode): ValueType {
    if (this.#context.windows !== true) {
      const message = 'recent events can be looked at in filters and formulas of rules only, and not after `where`'
      this.#fault('ONCEWARD_E_RULE_WRONG_TYPE', node, message, 'make it a filter of its own')
    }
    const { type, faults } = checkWindow(node, (eventName) => {
      const { segments, fieldsOf } = this.#context
      const within = new Checker(this.#zone, { segments, fields: fieldsOf?.(eventName) }, this.#optional)
      return {
        condition: (filter) => {
          within.condition(filter)
          return within.faults
        },
        field: (field) => ({ type: within.#field(field), faults: within.faults }),
      }
    })
    this.faults.push(...faults)
    return type
  }

  #argumentCount(node: CallNode, min: number, max: number): boolean {
    if (node.args.length >= min && node.args.length <= max) return true
    const allowed = min === max ? `${min}` : `${min} to ${max}`
    this.#fault(
      'ONCEWARD_E_RULE_WRONG_VALUE',
      node,
      `${node.name} takes ${allowed} argument${max === 1 ? '' : 's'}, these are ${node.args.length}`,
      `write ${signatureOf(node.name)}`,
    )
    return false
  }

  #compare(node: CompareNode): ValueType {
    const left = this.#type(node.left)
    const right = this.#type(node.right)
    if (left === 'time' || right === 'time') {
      this.#date(left === 'time' ? node.right : node.left)
    } else if (this.#withinPart(node.left, node.right) && this.#withinPart(node.right, node.left)) {
      this.#sides(node, [left, right])
    }
    return 'boolean'
  }

  #sides(node: CompareNode, [left, right]: readonly [ValueType, ValueType]): void {
    if (this.#alike(node, [left, right]) && (left === 'boolean' || right === 'boolean')) {
      for (const side of [node.left, node.right]) this.#notCondition(side)
      if (node.operator !== '==' && node.operator !== '!=') {
        this.#fault('ONCEWARD_E_RULE_WRONG_TYPE', node, 'true and false have no order', 'write == or !=')
      }
    }
  }

  /** False, and a fault, where `value` is one that the part of the time never has. */
  #withinPart(node: Expression, value: Expression): boolean {
    if (node.kind !== 'now-part') return true
    const [low, high] = NOW_PART_BOUNDS[node.part] ?? []
    const constant = constantOf(value)
    if (low === undefined || high === undefined || constant === undefined) return true
    if (typeof constant === 'number' && constant >= low && constant <= high) return true
    const days = node.part === 'weekday' ? '; Monday is 1, Sunday 7' : ''
    const message = `now.${node.part} goes from ${low} to ${high}${days}`
    this.#fault('ONCEWARD_E_RULE_WRONG_VALUE', value, message, `write now.${node.part} == ${low}`)
    return false
  }

  /** Conditions aren't compared: they have three values, and asking for two of them doubles the work at each level. */
  #notCondition(node: Expression): void {
    if (node.kind === 'field' || node.kind === 'boolean') return
    this.#fault(
      'ONCEWARD_E_RULE_WRONG_TYPE',
      node,
      'a condition cannot be compared',
      'join conditions with and, or, not',
    )
  }

  #between(node: BetweenNode): ValueType {
    const types = [node.operand, node.low, node.high].map((operand) => this.#type(operand))
    if (types[0] === 'time') {
      const low = this.#date(node.low)
      const high = this.#date(node.high)
      if (low !== undefined && high !== undefined && high.until <= low.from) this.#reversed(node)
      return 'boolean'
    }
    if (types.includes('time')) {
      this.#fault(
        'ONCEWARD_E_RULE_WRONG_TYPE',
        node,
        'now cannot be a bound',
        'write now between "2025-11-01" and "2025-11-30"',
      )
    } else if (types.includes('boolean')) {
      this.#fault(
        'ONCEWARD_E_RULE_WRONG_TYPE',
        node,
        'between is for numbers, texts and dates',
        'write == true or == false',
      )
    } else if (![node.low, node.high].every((bound) => this.#withinPart(node.operand, bound))) {
      return 'boolean'
    } else if (this.#alike(node, types)) {
      const [low, high] = [constantOf(node.low), constantOf(node.high)]
      if (low !== undefined && high !== undefined && high < low) this.#reversed(node)
    }
    return 'boolean'
  }

  #reversed(node: BetweenNode): void {
    this.#fault(
      'ONCEWARD_E_RULE_WRONG_VALUE',
      node.high,
      'this range ends before it begins, so nothing is in it',
      'write the lower bound first',
    )
  }

  #in(node: InNode): ValueType {
    const type = this.#type(node.operand)
    if (type === 'boolean') this.#notCondition(node.operand)
    for (const element of node.list) {
      if (type === 'time') {
        this.#date(element)
        continue
      }
      const elementType = this.#type(element)
      if (!isLiteral(element)) {
        this.#fault(
          'ONCEWARD_E_RULE_WRONG_TYPE',
          element,
          'a list holds numbers, texts, true and false as they are',
          'write field == other or field == another',
        )
      } else if (this.#withinPart(node.operand, element)) this.#alike(element, [type, elementType])
    }
    return 'boolean'
  }

  #match(node: MatchNode): ValueType {
    const [left, right] = [this.#type(node.left), this.#type(node.right)]
    const whole = node.operator === 'starts_with' ? ['text'] : ['text', 'list']
    if (left !== 'any' && !whole.includes(left)) {
      const message = `${node.operator} asks for ${whole.map((type) => `a ${type}`).join(' or ')} on its left, this is ${TYPE_NAMES[left]}`
      this.#fault('ONCEWARD_E_RULE_WRONG_TYPE', node.left, message, 'write user.risk_flags contains "vpn"')
    }
    const part = left === 'list' || left === 'any' ? ['text', 'number', 'boolean'] : ['text']
    const parts = node.operator === 'starts_with' ? ['text'] : part
    if (node.right.kind === 'text' && node.right.value.length > PART_LENGTH_MAX) {
      const message = `${node.operator} looks for at most ${PART_LENGTH_MAX} characters`
      this.#fault('ONCEWARD_E_RULE_WRONG_VALUE', node.right, message, 'write a shorter text')
    }
    if (right !== 'any' && (!parts.includes(right) || !(isLiteral(node.right) || node.right.kind === 'field'))) {
      const message = `${node.operator} asks for a text, or a field that holds one, on its right`
      this.#fault('ONCEWARD_E_RULE_WRONG_TYPE', node.right, message, 'write payload.game_id starts_with "slot_"')
    }
    return 'boolean'
  }

  #segment(node: SegmentNode): ValueType {
    if (node.operand.kind !== 'field' || node.operand.path.join('.') !== 'user') {
      const hint = `write user in segment(${JSON.stringify(node.name)})`
      this.#fault('ONCEWARD_E_RULE_WRONG_TYPE', node.operand, 'only a user is in a segment', hint)
    }
    const { segments } = this.#context
    if (segments !== undefined && !segments.has(node.name)) {
      const like = nearest(node.name, segments.keys())
      const hint = like === undefined ? 'give it a file that begins with segment_id: …' : `did you mean ${like}?`
      const message = `there is no segment "${node.name}"`
      this.faults.push({ code: 'ONCEWARD_E_RULE_UNKNOWN_SEGMENT', start: node.nameStart, message, hint })
    }
    return 'boolean'
  }

  /** False, and a fault, where two known types differ: such values are never equal. */
  #alike(node: Expression, types: readonly ValueType[]): boolean {
    const known = [...new Set(types.filter((type) => type !== 'any'))]
    const [first, second] = known
    const whole = known.find((type) => type === 'list' || type === 'object')
    if (whole !== undefined) {
      const hint = whole === 'list' ? 'write user.risk_flags contains "vpn"' : 'name one of its fields'
      this.#fault('ONCEWARD_E_RULE_WRONG_TYPE', node, `${TYPE_NAMES[whole]} is never compared`, hint)
      return false
    }
    if (first === undefined || second === undefined) return true
    this.#fault(
      'ONCEWARD_E_RULE_WRONG_TYPE',
      node,
      `${TYPE_NAMES[first]} is never compared with ${TYPE_NAMES[second]}`,
      known.includes('duration')
        ? 'write a length of time with its unit: 30m or 7d'
        : 'numbers stand without quotes, texts within them',
    )
    return false
  }

  #date(node: Expression): DateRange | undefined {
    if (node.kind !== 'text') {
      this.#fault(
        'ONCEWARD_E_RULE_WRONG_TYPE',
        node,
        'now can only be compared with a date in quotes',
        'write now >= "2025-11-01"',
      )
      return undefined
    }
    const date = readDate(node.value, this.#zone)
    if (date.ok) return date.range
    this.#fault('ONCEWARD_E_RULE_WRONG_VALUE', node, date.message, date.hint)
    return undefined
  }

  #fault(code: ErrorCode, node: Expression, message: string, hint?: string): void {
    this.faults.push({ code, start: node.start, message, ...(hint === undefined ? {} : { hint }) })
  }
}
