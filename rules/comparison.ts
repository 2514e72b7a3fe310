import type { Json } from '../core/model/event.ts'
import type { ComparisonOperator } from './syntax-tree.ts'
import { numbersEqual } from './tolerance.ts'

/**
 * Each answers true only where the comparison is known to hold. Its opposite holds where `OPPOSITE` does; where neither
 * does, a side is missing or the two are of different kinds, and the comparison is unknown.
 */
export type Comparator<T> = (a: T, b: T) => boolean
export type Comparators<T> = Readonly<Record<ComparisonOperator, Comparator<T>>>

export const OPPOSITE: Readonly<Record<ComparisonOperator, ComparisonOperator>> = {
  '==': '!=',
  '!=': '==',
  '<': '>=',
  '>=': '<',
  '>': '<=',
  '<=': '>',
}

/** The same comparison with its sides changed over. */
export const MIRRORED: Readonly<Record<ComparisonOperator, ComparisonOperator>> = {
  '==': '==',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
}

/** NaN stands for a missing number. */
export const compareNumbers: Comparators<number> = {
  '==': numbersEqual,
  '!=': (a, b) => (a < b || a > b) && !numbersEqual(a, b),
  '<': (a, b) => a < b && !numbersEqual(a, b),
  '<=': (a, b) => a <= b || numbersEqual(a, b),
  '>': (a, b) => a > b && !numbersEqual(a, b),
  '>=': (a, b) => a >= b || numbersEqual(a, b),
}

/** Texts, by code point. */
export const compareTexts: Comparators<string> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => codePointOrder(a, b) < 0,
  '<=': (a, b) => codePointOrder(a, b) <= 0,
  '>': (a, b) => codePointOrder(a, b) > 0,
  '>=': (a, b) => codePointOrder(a, b) >= 0,
}

/** Values whose kinds show only at run time. Booleans have no order; lists and objects are never compared. */
export function compareValues(operator: ComparisonOperator): Comparator<Json | undefined> {
  const numbers = compareNumbers[operator]
  const texts = compareTexts[operator]
  return (a, b) => {
    if (typeof a === 'number') return typeof b === 'number' && numbers(a, b)
    if (typeof a === 'string') return typeof b === 'string' && texts(a, b)
    if (typeof a !== 'boolean' || typeof b !== 'boolean') return false
    return operator === '==' ? a === b : operator === '!=' && a !== b
  }
}

/** JavaScript orders by UTF-16 unit, which puts U+FF5E above U+1F600. */
function codePointOrder(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    const xIsSurrogate = x >= 0xd800 && x <= 0xdfff
    const yIsSurrogate = y >= 0xd800 && y <= 0xdfff
    // Within one kind the order of units is the order of code points; a surrogate stands for more than any unit.
    if (xIsSurrogate !== yIsSurrogate) return xIsSurrogate ? 1 : -1
    return x - y
  }
  return a.length - b.length
}
