import type { JsonObject } from '../model/event.ts'
import { GENESIS } from './lines.ts'

/** The stream that keeps, for ever, which segments of the others were dropped. */
export const RETENTION_STREAM = 'retention'
export const RETIRED = 'retired'

/** A segment that was dropped because of its age, as the record of kind `retired` tells of it. */
export interface RetiredSegment {
  readonly stream: string
  readonly segment: string
  readonly first: number
  readonly last: number
  /** What its header was chained to. */
  readonly prev: string
  /** Hash of its footer. */
  readonly head: string
}

/** undefined: the body is none of a `retired` record. */
export function retiredOf(body: JsonObject): RetiredSegment | undefined {
  const { stream, segment, first, last, prev, head } = body
  if (typeof stream !== 'string' || typeof segment !== 'string') return undefined
  if (typeof first !== 'number' || typeof last !== 'number') return undefined
  if (typeof prev !== 'string' || typeof head !== 'string') return undefined
  return { stream, segment, first, last, prev, head }
}

/**
 * Whether what was dropped is exactly what is missing before record `first`: one segment after the other from the beginning
 * of the stream, the last of them the one that `prev` is chained to.
 */
export function coversBeginning(
  retired: readonly RetiredSegment[],
  { first, prev }: { readonly first: number; readonly prev: string },
): boolean {
  const byFirst = new Map(retired.map((one) => [one.first, one]))
  let next = 1
  let head = GENESIS
  while (next < first) {
    const one = byFirst.get(next)
    if (one === undefined || one.prev !== head || one.last < one.first) return false
    next = one.last + 1
    head = one.head
  }
  return next === first && head === prev
}
