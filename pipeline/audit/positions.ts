/**
 * How far the collector is, told by its chain alone: each record says where it comes from, and now and then one says how far
 * all are, so that only the end of the chain has to be read. There is no second memory that could say something else.
 */
import type { Json, JsonObject } from '../../core/model/event.ts'

/** By source (`sourceOf`): the offset, or the id, that comes next. */
export type Positions = Map<string, number>

export const POSITIONS = 'positions'
export const GAP = 'gap'
export const BEGIN = 'begin'

export function partitionSource(topic: string, partition: number): string {
  return `${topic}/${partition}`
}

/** The body of the record that says how far all are. */
export function positionsBody(positions: Positions): JsonObject {
  return { positions: Object.fromEntries(positions) }
}

/** Takes one record more, in the order of the chain. True: it says how far all sources are, so nothing older matters. */
export function foldRecord(
  positions: Positions,
  { kind, body }: { readonly kind: string; readonly body: JsonObject },
): boolean {
  if (kind === POSITIONS) {
    positions.clear()
    for (const [source, next] of Object.entries(objectOf(body['positions']))) {
      if (typeof next === 'number') positions.set(source, next)
    }
    return true
  }
  const { topic, partition, offset, table, id } = objectOf(body['source'])
  if (typeof topic === 'string' && typeof partition === 'number' && typeof offset === 'number') {
    positions.set(partitionSource(topic, partition), offset + 1)
  }
  if (typeof table === 'string' && typeof id === 'number') positions.set(table, id + 1)
  return false
}

function objectOf(value: Json | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {}
}
