import type { JsonObject } from '../../core/model/event.ts'
import { type CompiledMapping, compileMapping, type MappedBody, type MappedItem } from '../../rules/mapping.ts'
import { formatProblem } from '../../rules/problem.ts'

export const REQUEST = { receivedAt: 1_762_171_300_000, requestId: 'req_1' }

/** Throws with all problems of it. */
export function mappingOf(text: string, file = 'gameco.mapping.yaml'): CompiledMapping {
  const reading = compileMapping({ file, text })
  if (reading.ok) return reading.mapping
  throw new Error(reading.problems.map(formatProblem).join('\n'))
}

/** A mapping of one event, with what differs: lines below the event. */
export function simple(
  change: Readonly<Record<string, string>> = {},
  top: Readonly<Record<string, string>> = {},
): string {
  const event = {
    event_name: 'bet',
    event_id: '"g:{id}"',
    ts: '{ time: at, unit: ms }',
    user: '{ id: player }',
    payload: '{ bet: stake / 100 }',
    ...change,
  }
  const head = Object.entries({ provider: 'gameco', ...top }).map(([key, value]) => `${key}: ${value}\n`)
  const lines = Object.entries(event).map(([key, value]) => `    ${key}: ${value}\n`)
  return `${head.join('')}events:\n  -${lines.join('').slice(3)}`
}

/** What `simple` makes an event of. */
export const BODY: JsonObject = { id: 't1', at: 1_762_171_200_000, player: 'u_1', stake: 250 }

export function itemsOf(mapped: MappedBody): readonly MappedItem[] {
  if (!mapped.ok) throw new Error(mapped.detail)
  return mapped.events
}

/** The one event of a body, or the sentence that says why it is none. */
export function only(text: string, body: JsonObject = BODY): JsonObject | string {
  const [item, ...more] = itemsOf(mappingOf(text).map(body, REQUEST))
  if (item === undefined || more.length > 0) throw new Error(`not one event, but ${more.length + (item ? 1 : 0)}`)
  return item.ok ? item.event : item.detail
}

/** The value that `written` has in a payload. */
export function valueOf(written: string, body: JsonObject = {}): unknown {
  const event = only(simple({ payload: `{ v: ${written} }` }), { ...BODY, ...body })
  return typeof event === 'string' ? event : (event['payload'] as JsonObject)['v']
}
