import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../core/durations.ts'
import type { CapName } from '../../core/model/score.ts'
import { earliestLocal, oldestUnscored } from '../../operators/account-pruning.ts'
import { applyCaps, emptyAccount } from '../../operators/cap.ts'
import { EventTime } from '../../operators/event-time.ts'
import type { Turn } from '../../operators/operator.ts'
import { localMs } from '../../rules/calendar.ts'
import type { Caps } from '../../rules/compiled.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { ACCOUNTS, type Account, accountKey } from '../../state/stores.ts'
import { eventLine, TestEngine, testRule } from '../support/engine.ts'

const NOW = Date.parse('2025-11-03T10:20:30Z')
const minute = Math.floor(NOW / MINUTE_MS)
const hour = Math.floor(NOW / HOUR_MS)
const day = Math.floor(NOW / DAY_MS)

const rows: [name: string, caps: Caps, used: Partial<Account>, points: number, left: number, by: CapName | null][] = [
  ['no cap cuts nothing', {}, {}, 1_000_000, 1_000_000, null],
  ['exactly at a cap nothing is cut', { perBet: 50 }, {}, 50, 50, null],
  ['one event is cut', { perBet: 50 }, {}, 51, 50, 'per_bet'],
  ['a cap of nothing gives nothing', { perBet: 0 }, {}, 5, 0, 'per_bet'],
  ['a minute is cut to what is left of it', { perMinute: 10 }, { minutes: [minute, 7] }, 5, 3, 'per_minute'],
  ['exactly what is left is not cut', { perMinute: 10 }, { minutes: [minute, 7] }, 3, 3, null],
  ['another minute does not count', { perMinute: 10 }, { minutes: [minute - 1, 10, minute + 1, 10] }, 5, 5, null],
  ['an hour is cut', { perHour: 10 }, { hours: [hour - 1, 9, hour, 8] }, 5, 2, 'per_hour'],
  ['a day is cut', { perDay: 10 }, { days: [day, 10] }, 5, 0, 'per_day'],
  ['the cap that leaves the fewest cuts', { perBet: 4, perMinute: 10, perDay: 9 }, { days: [day, 8] }, 5, 1, 'per_day'],
  ['of caps that leave the same the narrowest is named', { perBet: 3, perMinute: 3, perDay: 3 }, {}, 5, 3, 'per_bet'],
  ['a window that is over-full gives nothing, not less', { perHour: 10 }, { hours: [hour, 25] }, 5, 0, 'per_hour'],
  ['no points are not cut', { perDay: 10 }, { days: [day, 4] }, 0, 0, null],
]

test.each(rows)('%s', (_name, ...[caps, used, points, left, by]) => {
  expect(applyCaps({ ...emptyAccount(), ...used }, caps, points, NOW)).toEqual({ points: left, by })
})

describe('a version that caps what the one before did not', () => {
  const from = NOW + 10_000
  const engineOf = (caps: Caps) =>
    new TestEngine(
      ruleSetOf([
        { rule: testRule({ ruleId: 'r', points: () => ({ ok: true, points: 4 }) }), effectiveFrom: undefined },
        {
          rule: testRule({ ruleId: 'r', version: '2.0', caps, points: () => ({ ok: true, points: 4 }) }),
          effectiveFrom: from,
        },
      ]),
    )

  test.each<[CapName, Caps]>([
    ['per_minute', { perMinute: 10 }],
    ['per_hour', { perHour: 10 }],
    ['per_day', { perDay: 10 }],
  ])('%s: what was given before in the same window counts', async (name, caps) => {
    const engine = engineOf(caps)
    for (const [i, ts] of [NOW, NOW + 1, from, from + 1].entries()) {
      await engine.feed([{ value: eventLine({ id: `e${i}`, ts }) }])
    }
    const scores = engine.output.scores.map(({ value }) => [value.points, value.cut_by])
    expect(scores).toEqual([
      [4, null],
      [4, null],
      [2, name],
      [0, name],
    ])
  })
})

describe('pruning', () => {
  const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu'] as const

  test('no window is forgotten that a later event can fall into', () => {
    const instants = fc.integer({ min: Date.parse('2000-01-01'), max: Date.parse('2030-01-01') })
    const changes = fc.constantFrom(
      ...['2010-11-07T02:31:00Z', '2025-10-26T01:00:00Z', '2025-11-02T06:00:00Z', '2025-04-05T15:00:00Z'].map(
        Date.parse,
      ),
    )
    const near = fc.tuple(changes, fc.integer({ min: -4 * HOUR_MS, max: 4 * HOUR_MS })).map(([at, by]) => at + by)
    const zones = fc.constantFrom(...ZONES, 'America/St_Johns')
    fc.assert(
      fc.property(zones, fc.oneof(instants, near), fc.nat(6 * HOUR_MS), (zone, horizon, later) => {
        const earliest = earliestLocal(zone, horizon)
        expect(localMs(zone, horizon + later)).toBeGreaterThanOrEqual(earliest)
        expect(localMs(zone, horizon) - earliest).toBeLessThanOrEqual(3 * HOUR_MS)
      }),
      { numRuns: 2_000 },
    )
  })

  test.each(['any', 'strict'] as const)(
    "lane %s: an account's windows stay few over a year of events",
    async (lane) => {
      const gap = fc.oneof(fc.nat(2 * MINUTE_MS), fc.nat(3 * HOUR_MS), fc.nat(4 * DAY_MS))
      const steps = fc.array(fc.tuple(gap, fc.nat(59_000)), { minLength: 50, maxLength: 120, size: 'max' })
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...ZONES), fc.boolean(), steps, async (zone, capped, steps) => {
          const engine = new TestEngine([
            testRule({
              ruleId: 'r',
              ordering: lane,
              timeZone: zone,
              caps: capped ? { perMinute: 5, perHour: 50, perDay: 500 } : {},
              trigger: { thresholds: [3], rewards: [{ type: 'fs', amount: 1 }], reset: 'daily' },
            }),
          ])
          let time = Date.parse('2025-01-01T00:00:00Z')
          for (const [index, [gap, back]] of steps.entries()) {
            time += gap
            await engine.feed([{ value: eventLine({ id: `e${index}`, ts: time - back }) }])
            const bytes = await engine.kv.get(Buffer.from(ACCOUNTS.prefix + accountKey('u', 'r')))
            if (bytes === undefined) continue
            const { minutes, hours, days, progress, peaks = [], late = [] } = ACCOUNTS.decode(bytes)
            // Where the clock is set back within the next hours, the hour that comes again must be kept.
            expect(minutes.length / 2).toBeLessThanOrEqual(3 + 60)
            expect(late).toEqual([])
            expect(hours.length / 2).toBeLessThanOrEqual(3)
            // As long as ids are remembered, 24 hours, a late event that is sent again may ask for them.
            expect(peaks.length / 3).toBeLessThanOrEqual(3)
            expect(days.length / 2).toBeLessThanOrEqual(3)
            expect(progress.length / 2).toBeLessThanOrEqual(3)
          }
        }),
        { numRuns: 15, endOnFailure: true },
      )
    },
  )

  test.each<[name: string, ordering: 'any' | 'strict', held: number | undefined, joined: boolean, expected: number]>([
    ['at once: the horizon', 'any', undefined, false, NOW - 60_000],
    ['at once, while the batch has strict events: the horizon as it began', 'any', undefined, true, NOW - 100_000],
    ['at once, while an older event waits: that event', 'any', NOW - 110_000, false, NOW - 110_000],
    ['in the strict lane: the event', 'strict', NOW - 110_000, true, NOW - 90_000],
  ])('no younger windows are forgotten than those of the oldest event still to be scored, %s', (_name, ...given) => {
    const [ordering, held, hasJoined, expected] = given
    const time = new EventTime(60_000, NOW - 40_000)
    time.advance(NOW)
    const turn = (ts: number): Turn => ({
      event: { eventId: 'h', eventName: 'login', userId: 'u', ts, data: {} },
      ingestTs: ts,
      lane: 'strict',
      scorings: [],
    })
    const batch = {
      time,
      waiting: held === undefined ? [] : [turn(held), turn(held + 1)],
      joined: hasJoined ? [turn(NOW)] : [],
    }
    const scoring = { rule: testRule({ ruleId: 'r', ordering }), event: turn(NOW - 90_000).event }
    expect(oldestUnscored(scoring, batch)).toBe(expected)
  })

  test('in UTC a minute is forgotten once no event can fall into it', async () => {
    const engine = new TestEngine([testRule({ ruleId: 'r', caps: { perMinute: 5 } })])
    const at = async (id: string, seconds: number): Promise<number[]> => {
      await engine.feed([{ value: eventLine({ id, ts: NOW + seconds * 1_000 }) }])
      const bytes = await engine.kv.get(Buffer.from(ACCOUNTS.prefix + accountKey('u', 'r')))
      return bytes === undefined ? [] : ACCOUNTS.decode(bytes).minutes
    }
    expect(await at('a', 0)).toEqual([minute, 1])
    expect(await at('b', 60 + 29)).toEqual([minute, 1, minute + 1, 1])
    expect(await at('c', 60 + 30)).toEqual([minute + 1, 1, minute + 2, 1])
  })
})
