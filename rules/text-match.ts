import type { Json } from '../core/model/event.ts'
import { compareValues } from './comparison.ts'

/** Longest text that is looked for in another one, in UTF-16 code units: it bounds the time of one search. */
export const PART_LENGTH_MAX = 256

const equal = compareValues('==')

/** Each answers undefined where it is unknown: a side is missing, of a kind that it is not for, or too long to look for. */
export type Match = (whole: Json | undefined, part: Json | undefined) => boolean | undefined

/** Whether a text has `part` in it, or a list an element equal to it. */
export const containsValue: Match = (whole, part) => {
  if (!isScalar(part)) return undefined
  if (typeof whole !== 'string') return isList(whole) ? whole.some((element) => equal(element, part)) : undefined
  return isPart(part) ? whole.includes(part) : undefined
}

export const startsWith: Match = (whole, part) =>
  typeof whole === 'string' && isPart(part) ? whole.startsWith(part) : undefined

function isPart(value: Json | undefined): value is string {
  return typeof value === 'string' && value.length <= PART_LENGTH_MAX
}

function isScalar(value: Json | undefined): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}
