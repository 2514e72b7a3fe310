import type { Json, PlayerEvent } from '../core/model/event.ts'
import { fieldReader } from './event-fields.ts'
import type { Expression } from './syntax-tree.ts'

/** A compiled expression that gives a number. */
export interface NumberCode {
  /** NaN where a field in it is missing or no number. */
  readonly value: (event: PlayerEvent) => number
  /** Why `value` isn't finite; undefined where it is. */
  readonly explain: (event: PlayerEvent) => string | undefined
}

/** A field that should hold a number. */
export function numberField(path: readonly string[]): NumberCode {
  const read = fieldReader(path)
  const name = path.join('.')
  return {
    value: (event) => {
      const value = read(event)
      return typeof value === 'number' ? value : Number.NaN
    },
    explain: (event) => {
      const value = read(event)
      if (value === undefined) return `${name} is missing`
      if (typeof value !== 'number') return `${name} is ${kindOf(value)}, not a number`
      return Number.isFinite(value) ? undefined : `${name} is not a finite number`
    },
  }
}

function kindOf(value: Json): string {
  if (typeof value === 'string') return 'a text'
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  return Array.isArray(value) ? 'a list' : 'an object'
}

/** Says why an operation on finite numbers gave none. */
export type Cause = (x: number, y: number) => string

export function binary(
  apply: (x: number, y: number) => number,
  [left, right]: readonly [NumberCode, NumberCode],
  cause: Cause,
): NumberCode {
  const { value: a } = left
  const { value: b } = right
  const value = (event: PlayerEvent): number => apply(a(event), b(event))
  return {
    value,
    explain: (event) => {
      if (Number.isFinite(value(event))) return undefined
      return left.explain(event) ?? right.explain(event) ?? cause(a(event), b(event))
    },
  }
}

/** `text` is the whole expression that `node` is a part of. */
export function causeOf(node: Expression, text: string): Cause {
  const shown = shorten(text.slice(node.start, node.end))
  if (node.kind !== 'arithmetic') return () => `${shown} has no finite value`
  const divisor = shorten(text.slice(node.right.start, node.right.end))
  return (x, y) => {
    if ((node.operator === '/' || node.operator === '%') && y === 0)
      return `division by zero: ${divisor} is 0 in ${shown}`
    if (node.operator === '^' && x === 0 && y < 0) return `division by zero: 0 to a negative power in ${shown}`
    if (node.operator === '^' && x < 0) return `${shown} has no real value`
    return `${shown} is too large`
  }
}

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length <= 80 ? line : `${line.slice(0, 79)}…`
}

export function unary(apply: (x: number) => number, operand: NumberCode, cause: Cause): NumberCode {
  const { value: x } = operand
  return {
    value: (event) => apply(x(event)),
    explain: (event) => {
      if (Number.isFinite(apply(x(event)))) return undefined
      return operand.explain(event) ?? cause(x(event), 0)
    },
  }
}
