import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MINUTE_MS } from '../../core/durations.ts'
import { crossedBy } from '../../operators/threshold.ts'
import type { CompiledRule, Reset } from '../../rules/compiled.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { eventLine, TestEngine, testRule } from '../support/engine.ts'
import { type ReferenceRule, reference } from '../support/reference.ts'

test.each<[name: string, thresholds: number[], before: number, after: number, crossed: number[]]>([
  ['below the first, none', [10, 20], 0, 9, []],
  ['exactly at a threshold, it is crossed', [10, 20], 9, 10, [0]],
  ['from a threshold on, it is not crossed again', [10, 20], 10, 19, []],
  ['one event may cross all', [10, 20, 30], 0, 30, [0, 1, 2]],
  ['only those between', [10, 20, 30], 10, 29, [1]],
  ['without points, none', [10], 10, 10, []],
  ['without thresholds, none', [], 0, 1_000, []],
])('%s', (_name, ...[thresholds, before, after, crossed]) => {
  expect(crossedBy(thresholds, before, after)).toEqual(crossed)
})

interface Shape {
  readonly points: number
  readonly reset: Reset
  readonly zone: string
  readonly lane: CompiledRule['ordering']
  readonly from?: number
}

const THRESHOLDS = [2, 3, 5, 8]
const CAPS = { perMinute: 6, perHour: 40, perDay: 100 }

async function sameAsReference(
  versions: readonly Shape[],
  texts: readonly string[],
  cuts: readonly number[],
): Promise<void> {
  const rules = versions.map(({ points, reset, zone, lane, from }, index) => ({
    effectiveFrom: from,
    rule: testRule({
      ruleId: 'r',
      version: String(index + 1),
      ordering: lane,
      timeZone: zone,
      caps: CAPS,
      points: () => ({ ok: true, points }),
      trigger: { thresholds: THRESHOLDS, rewards: THRESHOLDS.map(() => ({ type: 'fs', amount: 1 })), reset },
    }),
  }))
  const plain = versions.map(
    ({ points, reset, zone, from }): ReferenceRule => ({
      ruleId: 'r',
      eventName: 'login',
      formula: () => points,
      caps: CAPS,
      thresholds: THRESHOLDS,
      reset,
      timeZone: zone,
      ...(from === undefined ? {} : { effectiveFrom: from }),
    }),
  )
  const engine = new TestEngine(ruleSetOf(rules))
  let at = 0
  for (const cut of [...cuts, texts.length]) {
    await engine.feed(texts.slice(at, at + cut).map((value) => ({ value })))
    at += cut
  }
  await engine.finish()
  const expected = reference(texts, { rules: plain })
  expect(engine.points()).toEqual(expected.points)
  expect(engine.rewards()).toEqual(expected.rewards)
}

/** Events that go on past `around`, each up to a minute behind the one that is furthest. */
function eventsAround(around: number): fc.Arbitrary<string[]> {
  return fc
    .array(fc.tuple(fc.nat(50_000), fc.nat(60_000)), { minLength: 5, maxLength: 60, size: 'max' })
    .map((steps) => {
      let time = around - 5 * MINUTE_MS
      return steps.map(([gap, back], index) => {
        time += gap
        return eventLine({ id: `e${index}`, ts: time - Math.min(back, 59_000) })
      })
    })
}

const cuts = fc.array(fc.nat(15), { maxLength: 8 })
const lanes = fc.constantFrom<CompiledRule['ordering']>('any', 'strict')
const resets = fc.constantFrom<Reset>('never', 'daily', 'weekly', 'monthly')

const BOUNDARIES: [name: string, zone: string, at: string][] = [
  ['midnight in UTC', 'UTC', '2025-11-04T00:00:00Z'],
  ['the end of a month', 'UTC', '2025-12-01T00:00:00Z'],
  ['the end of a year that lies within a week', 'UTC', '2026-01-01T00:00:00Z'],
  ['the end of a week', 'Asia/Kathmandu', '2025-11-09T18:15:00Z'],
  ['a midnight that comes twice', 'America/Havana', '2025-11-02T05:00:00Z'],
  ['clocks set back', 'Europe/Berlin', '2025-10-26T01:00:00Z'],
  ['clocks set back over midnight', 'America/St_Johns', '2010-11-07T02:31:00Z'],
  ['a midnight that never comes', 'America/Santiago', '2025-09-07T04:00:00Z'],
]

describe('progress around the end of a period, with events out of order', () => {
  test.each(BOUNDARIES)('%s (%s)', async (_name, zone, at) => {
    await fc.assert(
      fc.asyncProperty(eventsAround(Date.parse(at)), cuts, resets, lanes, (texts, cuts, reset, lane) =>
        sameAsReference([{ points: 1, reset, zone, lane }], texts, cuts),
      ),
      { numRuns: 40, endOnFailure: true },
    )
  })
})

describe('a new version', () => {
  const SWITCH = Date.parse('2025-11-04T00:00:20Z')
  const events = eventsAround(SWITCH)

  test.each(['any', 'strict'] as const)(
    'that resets in another way leaves the former periods alone, lane %s',
    async (lane) => {
      await fc.assert(
        fc.asyncProperty(events, cuts, fc.tuple(resets, resets), (texts, cuts, [first, second]) =>
          sameAsReference(
            [
              { points: 1, reset: first, zone: 'UTC', lane },
              { points: 2, reset: second, zone: 'UTC', lane, from: SWITCH },
            ],
            lane === 'any' ? texts : inTimeOrder(texts),
            cuts,
          ),
        ),
        { numRuns: 150, endOnFailure: true },
      )
    },
  )

  test('in the other lane gives the same totals, however the input is cut into batches', async () => {
    await fc.assert(
      fc.asyncProperty(events, cuts, fc.tuple(lanes, lanes), (texts, cuts, [first, second]) =>
        sameAsReference(
          [
            { points: 5, reset: 'never', zone: 'UTC', lane: first },
            { points: 4, reset: 'never', zone: 'UTC', lane: second, from: SWITCH },
          ],
          texts,
          cuts,
        ),
      ),
      { numRuns: 300, endOnFailure: true },
    )
  })

  /** Where two kinds of periods share the caps, who comes first decides who is cut: the strict lane goes by time. */
  function inTimeOrder(texts: readonly string[]): string[] {
    const order = (text: string): string => `${JSON.parse(text).ts} ${JSON.parse(text).event_id}`
    return texts.toSorted((a, b) => (order(a) < order(b) ? -1 : 1))
  }
})
