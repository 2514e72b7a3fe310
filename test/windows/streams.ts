import * as fc from 'fast-check'
import { eventLine } from '../support/engine.ts'
import type { PastEvent } from './reference.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

const gap = fc.oneof(
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.nat(1_500) },
  { weight: 4, arbitrary: fc.nat(40_000) },
  { weight: 4, arbitrary: fc.nat(20 * MINUTE) },
  { weight: 4, arbitrary: fc.nat(16 * HOUR) },
  { weight: 1, arbitrary: fc.nat(96 * HOUR) },
)

const kind = fc.oneof(
  fc.constant({ name: 'login', payload: {} }),
  fc.record({
    name: fc.constant('deposit'),
    payload: fc.record({ amount: fc.integer({ min: 1, max: 9 }).map((n) => n * 10) }),
  }),
  fc.record({
    name: fc.constant('bet'),
    payload: fc.record(
      {
        bet: fc.integer({ min: 1, max: 40 }).map((n) => n / 4),
        game_id: fc.constantFrom('g1', 'g2', 'a long name of a game that only its hash tells from others', ''),
      },
      { requiredKeys: ['bet'] },
    ),
  }),
)

export interface Stream {
  /** In order of event time. */
  readonly events: readonly PastEvent[]
  /** The same as they arrive: none comes after one that is more than a minute younger. */
  readonly arrivals: readonly PastEvent[]
}

/** What some users did from `start` on, ms. */
export function streams(start: number, maxLength = 70): fc.Arbitrary<Stream> {
  const step = fc.record({ gap, kind, user: fc.nat(1), delay: fc.nat(MINUTE), mark: fc.nat(999) })
  return fc.array(step, { minLength: 1, maxLength, size: 'max' }).map((steps) => {
    let ts = start
    const sent = steps.map(({ gap, kind: { name, payload }, user, delay, mark }, i) => {
      ts += gap
      // Ids are in no order of time.
      return { event: { id: `e${mark}-${i}`, user: `u${user}`, name, ts, payload }, arrival: ts + delay }
    })
    return {
      events: sent.map(({ event }) => event),
      arrivals: sent.toSorted((a, b) => a.arrival - b.arrival).map(({ event }) => event),
    }
  })
}

export function lineOf({ id, user, name, ts, payload }: PastEvent): { readonly value: string } {
  return { value: eventLine({ id, user, name, ts, payload }) }
}
