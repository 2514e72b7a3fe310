import { unreachable } from '../core/assert.ts'
import type { ErrorCode } from '../core/errors.ts'
import { type DateRange, readDate } from './dates.ts'
import { FUNCTION_NAMES, NUMERIC_FUNCTIONS, SPECIAL_FUNCTIONS } from './functions.ts'
import { type Fault, nearest } from './problem.ts'
import type { BetweenNode, CallNode, CompareNode, Expression, FieldNode, InNode } from './syntax-tree.ts'

/** What is known of a value before any event is seen; a field can be `any`. */
export type ValueType = 'number' | 'text' | 'boolean' | 'time' | 'any'

/** Where fields begin. Those of `object` have fields of their own, the others are values. */
export const FIELD_ROOTS: Readonly<Record<string, 'object' | 'text'>> = {
  event_id: 'text',
  event_name: 'text',
  version: 'text',
  user: 'object',
  context: 'object',
  payload: 'object',
}

const ROOT_NAMES = [...Object.keys(FIELD_ROOTS), 'ts', 'now']
const TYPE_NAMES: Readonly<Record<ValueType, string>> = {
  number: 'a number',
  text: 'a text',
  boolean: 'a condition',
  time: 'a time',
  any: 'a field',
}

/** The names that every object inherits: asking for them is a mistake or an attempt to get out of the data. */
const INHERITED = new Set([...Object.getOwnPropertyNames(Object.prototype), 'prototype'])

/** Checks types and names; answers every fault found, in no particular order. `zone` is where dates are read. */
export function checkExpression(
  expression: Expression,
  wanted: 'condition' | 'number',
  zone: string,
): readonly Fault[] {
  const checker = new Checker(zone)
  if (wanted === 'condition') checker.condition(expression)
  else checker.number(expression)
  return checker.faults
}

class Checker {
  readonly faults: Fault[] = []
  readonly #zone: string

  constructor(zone: string) {
    this.#zone = zone
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
      case 'call':
        return this.#call(node)
      case 'negate':
        this.number(node.operand)
        return 'number'
      case 'arithmetic':
        this.number(node.left)
        this.number(node.right)
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
      default:
        return unreachable(node)
    }
  }

  #field(node: FieldNode, alone = false): ValueType {
    const [root = '', ...rest] = node.path
    const inherited = node.path.find((name) => INHERITED.has(name))
    if (inherited !== undefined) {
      this.#fault('ONCEWARD_E_RULE_UNKNOWN_FIELD', node, `"${inherited}" is no field of an event`)
      return 'any'
    }
    const kind = Object.hasOwn(FIELD_ROOTS, root) ? FIELD_ROOTS[root] : undefined
    if (kind === undefined) this.#unknownRoot(node, root, rest)
    else if (kind === 'text' && rest.length > 0) {
      this.#fault('ONCEWARD_E_RULE_UNKNOWN_FIELD', node, `${root} is a text and has no fields`, `write ${root}`)
    } else if (kind === 'object' && rest.length === 0 && !alone) {
      this.#fault(
        'ONCEWARD_E_RULE_UNKNOWN_FIELD',
        node,
        `${root} is no value; name one of its fields`,
        `write ${root}.name`,
      )
    }
    return kind === 'text' ? 'text' : 'any'
  }

  #unknownRoot(node: FieldNode, root: string, rest: readonly string[]): void {
    if (rest.length > 0 && (root === 'now' || root === 'ts')) {
      this.#fault('ONCEWARD_E_RULE_UNKNOWN_FIELD', node, `${root} is a time and has no fields`, `write ${root}`)
      return
    }
    if (rest.length === 0 && FUNCTION_NAMES.includes(root)) {
      this.#fault(
        'ONCEWARD_E_RULE_UNKNOWN_FIELD',
        node,
        `${root} is a function and needs its arguments`,
        `write ${signatureOf(root)}`,
      )
      return
    }
    const like = nearest(root, rest.length > 0 ? Object.keys(FIELD_ROOTS) : ROOT_NAMES)
    const fixed = like === undefined ? undefined : [like, ...rest].join('.')
    const hint =
      fixed === undefined
        ? `write payload.${node.path.join('.')} for a field of the payload; others begin with user. or context.`
        : `did you mean ${fixed}?`
    this.#fault(
      'ONCEWARD_E_RULE_UNKNOWN_FIELD',
      node,
      `there is no field "${node.path.join('.')}"; fields are ${ROOT_NAMES.slice(0, 3).join(', ')}, ts, user.…, context.… and payload.…`,
      hint,
    )
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
    else if (field !== undefined && field.kind !== 'now') {
      this.#fault('ONCEWARD_E_RULE_WRONG_TYPE', field, 'exists asks for a field', 'write exists(payload.name)')
    }
    return 'boolean'
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
    } else if (this.#alike(node, [left, right]) && (left === 'boolean' || right === 'boolean')) {
      for (const side of [node.left, node.right]) this.#notCondition(side)
      if (node.operator !== '==' && node.operator !== '!=') {
        this.#fault('ONCEWARD_E_RULE_WRONG_TYPE', node, 'true and false have no order', 'write == or !=')
      }
    }
    return 'boolean'
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
      } else this.#alike(element, [type, elementType])
    }
    return 'boolean'
  }

  /** False, and a fault, where two known types differ: such values are never equal. */
  #alike(node: Expression, types: readonly ValueType[]): boolean {
    const known = [...new Set(types.filter((type) => type !== 'any'))]
    const [first, second] = known
    if (first === undefined || second === undefined) return true
    this.#fault(
      'ONCEWARD_E_RULE_WRONG_TYPE',
      node,
      `${TYPE_NAMES[first]} is never compared with ${TYPE_NAMES[second]}`,
      'numbers stand without quotes, texts within them',
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

function signatureOf(name: string): string {
  return NUMERIC_FUNCTIONS.get(name)?.signature ?? SPECIAL_FUNCTIONS.get(name)?.signature ?? `${name}(…)`
}

/** A number, a text or a boolean as it stands in the text; -5 too. */
export function isLiteral(node: Expression): boolean {
  if (node.kind === 'negate') return node.operand.kind === 'number'
  return node.kind === 'number' || node.kind === 'text' || node.kind === 'boolean'
}

function constantOf(node: Expression): number | string | undefined {
  if (node.kind === 'negate' && node.operand.kind === 'number') return -node.operand.value
  return node.kind === 'number' || node.kind === 'text' ? node.value : undefined
}
