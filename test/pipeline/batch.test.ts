import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CompiledRule } from '../../rules/compiled.ts'
import { eventLine, TestEngine, testRule } from '../support/engine.ts'
import { type ReferenceRule, reference } from '../support/reference.ts'

const T0 = Date.parse('2025-10-25T23:30:00Z')
const betOf = (data: { readonly [key: string]: unknown }): number => (data['payload'] as { bet: number }).bet

/** The same rule twice: for the engine and for the reference. */
function both(lane: CompiledRule['ordering']): { engine: CompiledRule[]; plain: ReferenceRule[] } {
  const caps = { perBet: 7, perMinute: 9, perHour: 20, perDay: 25 }
  const shape = [
    { id: 'capped', caps, reset: 'never', zone: 'Europe/Berlin', thresholds: [3, 10, 40] },
    { id: 'daily', caps: { perMinute: 6 }, reset: 'daily', zone: 'America/New_York', thresholds: [5, 12] },
    { id: 'weekly', caps: {}, reset: 'weekly', zone: 'UTC', thresholds: [30] },
  ] as const
  const reward = { type: 'fs', amount: 1 }
  return {
    engine: shape.map(({ id, caps, reset, zone, thresholds }) =>
      testRule({
        ruleId: id,
        eventNames: ['bet'],
        ordering: lane,
        timeZone: zone,
        caps,
        points: ({ data }) => ({ ok: true, points: betOf(data) }),
        trigger: { thresholds, rewards: thresholds.map(() => reward), reset },
      }),
    ),
    plain: shape.map(({ id, caps, reset, zone, thresholds }) => ({
      ruleId: id,
      eventName: 'bet',
      formula: ({ payload }) => Number(payload['bet']),
      caps,
      timeZone: zone,
      thresholds,
      reset,
    })),
  }
}

/** Lines over some hours around midnight in UTC and the end of summer time in Berlin, with repeats, late and broken ones. */
const lines = fc
  .array(
    fc.oneof(
      { weight: 12, arbitrary: fc.tuple(fc.nat(400), fc.nat(2), fc.integer({ min: 0, max: 12 }), fc.nat(70_000)) },
      { weight: 1, arbitrary: fc.constantFrom('', '{', '{"event_id":1}', 'null') },
    ),
    { maxLength: 120, size: 'max' },
  )
  .map((steps) => {
    let time = T0
    return steps.map((step) => {
      if (typeof step === 'string') return step
      const [id, user, bet, back] = step
      time += 5_000 + id * 400
      return eventLine({ id: `e${id}`, user: `u${user}`, name: 'bet', ts: time - back, payload: { bet } })
    })
  })

async function run(
  texts: readonly string[],
  rules: readonly CompiledRule[],
  cuts: readonly number[],
): Promise<TestEngine> {
  const engine = new TestEngine(rules)
  let at = 0
  for (const cut of [...cuts, texts.length]) {
    if (cut === 0) engine.restart()
    await engine.feed(texts.slice(at, at + cut).map((value) => ({ value })))
    at += cut
  }
  await engine.feed(texts.slice(at).map((value) => ({ value })))
  await engine.finish()
  return engine
}

describe('the engine against the plain reference', () => {
  test.each(['any', 'strict'] as const)(
    'lane %s: the same totals, however the input is cut into batches',
    async (lane) => {
      const { engine: rules, plain } = both(lane)
      await fc.assert(
        fc.asyncProperty(lines, fc.array(fc.nat(40), { maxLength: 8 }), async (texts, cuts) => {
          const engine = await run(texts, rules, cuts)
          const expected = reference(texts, { rules: plain })
          expect(engine.points()).toEqual(expected.points)
          expect(engine.rewards()).toEqual(expected.rewards)
          const { events, unique, duplicates, schema, future, late, scores } = engine.output.counts
          expect({ events, unique, duplicates, dlq: { schema, future, late } }).toEqual({
            events: expected.events,
            unique: expected.unique,
            duplicates: expected.duplicates,
            dlq: expected.dlq,
          })
          expect(events).toBe(unique + duplicates + schema + future + late)
          if (lane === 'any') expect(scores).toBe(expected.scores)
        }),
        { numRuns: 80, endOnFailure: true },
      )
    },
  )

  test('the strict lane is scored in event-time order, ties by event id', async () => {
    const rule = testRule({ ruleId: 'r', ordering: 'strict' })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(99), fc.nat(59)), { maxLength: 60 }), fc.nat(9), async (steps, cut) => {
        const engine = new TestEngine([rule])
        const texts = steps.map(([id, second], index) => eventLine({ id: `e${id}`, ts: T0 + (index + second) * 1_000 }))
        await engine.feed(texts.slice(0, cut).map((value) => ({ value })))
        engine.restart()
        for (const value of texts.slice(cut)) await engine.feed([{ value }])
        await engine.finish()
        const got = engine.output.scores.map(({ value }) => `${value.event_ts} ${value.event_id}`)
        expect(got).toEqual([...got].sort())
        expect(got).toHaveLength(engine.output.counts.unique)
      }),
      { numRuns: 80, endOnFailure: true },
    )
  })
})

describe('order of checks', () => {
  const at = (id: string, seconds: number, ingestTs?: number): { value: string; ingestTs?: number } => ({
    value: eventLine({ id, ts: T0 + seconds * 1_000 }),
    ...(ingestTs === undefined ? {} : { ingestTs }),
  })

  async function counts(...batches: { value: string; ingestTs?: number; tick?: number }[][]): Promise<object> {
    const engine = new TestEngine([testRule({ ruleId: 'r' })])
    for (const batch of batches) await engine.feed(batch)
    const { unique, duplicates, schema, future, late } = engine.output.counts
    return { unique, duplicates, schema, future, late }
  }
  const none = { unique: 0, duplicates: 0, schema: 0, future: 0, late: 0 }

  test('exactly at the window an event is not late, a millisecond below it is', async () => {
    const early = { value: eventLine({ id: 'c', ts: T0 - 60_001 }) }
    expect(await counts([at('a', 0), at('b', -60), early])).toEqual({ ...none, unique: 2, late: 1 })
  })

  test('seen before is dropped even where it is late', async () => {
    expect(await counts([at('a', 0), at('b', 100)], [at('a', 0)])).toEqual({ ...none, unique: 2, duplicates: 1 })
  })

  test('a rejected event is not remembered as seen', async () => {
    expect(await counts([at('b', 100), at('a', 0), at('a', 0), at('a', 90)])).toEqual({ ...none, unique: 2, late: 2 })
    const soon = at('f', 301, T0)
    expect(await counts([soon, soon, at('f', 301, T0 + 1_000)])).toEqual({ ...none, unique: 1, future: 2 })
  })

  test('an event from the future does not move the watermark', async () => {
    expect(await counts([at('f', 86_400, T0), at('a', 0)])).toEqual({ ...none, unique: 1, future: 1 })
  })

  test('a repeat within one batch is dropped', async () => {
    expect(await counts([at('a', 0), at('a', 0)])).toEqual({ ...none, unique: 1, duplicates: 1 })
  })

  test('a tick moves the watermark and counts as no event', async () => {
    expect(await counts([at('a', 0), { value: '', tick: T0 + 61_000 }, at('b', 0)])).toEqual({
      ...none,
      unique: 1,
      late: 1,
    })
  })

  test('what is set aside keeps its exact bytes', async () => {
    const engine = new TestEngine([])
    await engine.feed([{ value: '{"broken' }])
    expect(engine.output.dlq[0]?.value).toMatchObject({ reason: 'schema', raw: '{"broken', source: { offset: 0 } })
  })
})

describe('scores', () => {
  const rule = testRule({
    ruleId: 'r',
    caps: { perBet: 50, perMinute: 60 },
    points: ({ eventId }) =>
      eventId === 'nan' ? { ok: false, detail: 'payload.bet is missing' } : { ok: true, points: 80 },
    trigger: {
      thresholds: [50, 55, 100],
      rewards: Array.from({ length: 3 }, () => ({ type: 'fs', amount: 1 })),
      reset: 'never',
    },
  })

  test('tell what was cut and by which cap, and one event may cross several thresholds', async () => {
    const engine = new TestEngine([rule])
    await engine.feed(['a', 'b', 'c', 'nan'].map((id) => ({ value: eventLine({ id, ts: T0 }) })))
    const told = engine.output.scores.map(({ value }) => [value.raw_points, value.points, value.progress, value.cut_by])
    expect(told).toEqual([
      [80, 50, 50, 'per_bet'],
      [80, 10, 60, 'per_minute'],
      [80, 0, 60, 'per_minute'],
      [0, 0, 60, null],
    ])
    expect(engine.output.scores[3]?.value).toMatchObject({ reason: 'not_finite', detail: 'payload.bet is missing' })
    expect(engine.rewards()).toEqual(['u|r|50', 'u|r|55'])
    const wide = new TestEngine([testRule({ ...rule, caps: {} })])
    await wide.feed([{ value: eventLine({ id: 'a', ts: T0 }) }, { value: eventLine({ id: 'b', ts: T0 }) }])
    expect(wide.rewards()).toEqual(['u|r|100', 'u|r|50', 'u|r|55'])
    expect(wide.earned().map(({ origin }) => origin.event_id)).toEqual(['a', 'a', 'b'])
  })

  test('ids are the same in every run and differ between crossings', async () => {
    const ids = async (): Promise<string[]> => {
      const engine = new TestEngine([rule])
      await engine.feed([{ value: eventLine({ id: 'a', ts: T0 }) }, { value: eventLine({ id: 'b', ts: T0 + 60_000 }) }])
      return [
        ...engine.earned().map(({ reward_task_id }) => reward_task_id),
        ...engine.output.scores.map(({ value }) => value.scoring_key),
      ]
    }
    const first = await ids()
    expect(await ids()).toEqual(first)
    expect(new Set(first).size).toBe(5)
    for (const id of first) expect(id).toMatch(/^(rt_)?[0-9a-f]{32}$/)
  })
})
