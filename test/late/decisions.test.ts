import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../core/durations.ts'
import type { DlqStep } from '../../core/model/dlq.ts'
import { EVER, EventTime } from '../../operators/event-time.ts'
import { decideLate } from '../../operators/late.ts'
import { readReprocessed, REPROCESSED_BYTES_MAX } from '../../operators/reprocessed.ts'
import { eventLine, TestEngine, testRule } from '../support/engine.ts'
import { again, stepsOf, T0 } from './support.ts'

describe('a late event', () => {
  const NOW = T0 + DAY_MS
  const facts = { ts: T0, horizon: NOW - MINUTE_MS, keptFrom: T0 }

  test.each<[name: string, history: readonly DlqStep[] | undefined, changed: object, counts: boolean]>([
    ['that was never looked at does not count', undefined, {}, false],
    ['that was set aside as late, and sent again, counts', stepsOf('late'), {}, true],
    ['that was set aside for something else before counts', stepsOf('schema', 'late'), {}, true],
    ['that was set aside for something else since counts', stepsOf('late', 'future'), {}, true],
    ['that was set aside for something else alone does not count', stepsOf('schema', 'future'), {}, false],
    ['a millisecond older than what is remembered does not count', stepsOf('late'), { ts: T0 - 1 }, false],
    ['of a state that knows nothing of before does not count', stepsOf('late'), { keptFrom: undefined }, false],
  ])('%s', (_name, history, changed, counts) => {
    expect(decideLate({ ...facts, history, ...changed }).kind).toBe(counts ? 'counts' : 'set-aside')
  })

  test('that is too old is told what to do', () => {
    expect(decideLate({ ...facts, ts: T0 - 1, history: stepsOf('late') })).toEqual({
      kind: 'set-aside',
      detail: expect.stringMatching(
        /^ts 2025-11-03T19:59:59\.999Z is too old .* from 2025-11-03T20:00:00\.000Z on .* onceward explain, .* onceward rewards issue$/,
      ),
    })
  })
})

describe('what is remembered', () => {
  test.each<[name: string, keptFrom: number | undefined, watermark: number | undefined, expected: number | undefined]>([
    ['before the first event of a state that knows all: all', EVER, undefined, EVER],
    ['the length of the window', EVER, T0, T0 - HOUR_MS],
    ['no more than before, where the window is longer now', T0 - MINUTE_MS, T0, T0 - MINUTE_MS],
    ['less than before, where it is shorter now', T0 - DAY_MS, T0, T0 - HOUR_MS],
    ['nothing, where the state says nothing of it', undefined, T0, T0],
    ['before the first event of such a state: that is not known', undefined, undefined, undefined],
  ])('is %s', (_name, keptFrom, watermark, expected) => {
    expect(new EventTime(MINUTE_MS, watermark, { keptFrom, rememberMs: HOUR_MS }).keptFrom).toBe(expected)
  })

  test('never comes back, in whatever windows a state is worked on', () => {
    const batches = fc.array(fc.record({ rememberMs: fc.nat(3 * HOUR_MS), later: fc.nat(2 * HOUR_MS) }))
    fc.assert(
      fc.property(fc.boolean(), batches, (isNew, all) => {
        let [watermark, keptFrom] = [T0, isNew ? EVER : undefined]
        for (const { rememberMs, later } of all) {
          const time = new EventTime(MINUTE_MS, watermark, { keptFrom, rememberMs })
          time.advance(watermark + later)
          watermark += later
          const next = time.keptFrom ?? Number.NaN
          expect(next).toBeGreaterThanOrEqual(keptFrom ?? T0)
          expect(next).toBeGreaterThanOrEqual(watermark - rememberMs)
          keptFrom = next
        }
      }),
    )
  })
})

describe('the header', () => {
  test('is read as it was written', () => {
    expect(readReprocessed(Buffer.from(again('late', 'schema')))).toEqual({
      ok: true,
      history: stepsOf('late', 'schema'),
    })
  })

  test.each([
    ['nothing', ''],
    ['no JSON', 'late'],
    ['no object', '["late"]'],
    ['no history', '{}'],
    ['an empty history', '{"history":[]}'],
    ['a history that is no list', '{"history":"late"}'],
    ['a step that is none', '{"history":[null]}'],
    ['a step without a reason', JSON.stringify({ history: [{ ...stepsOf('late')[0], was: undefined }] })],
    ['a reason that is none', JSON.stringify({ history: [{ ...stepsOf('late')[0], was: 'bored' }] })],
    ['a time that is none', JSON.stringify({ history: [{ ...stepsOf('late')[0], at: 'yesterday' }] })],
    ['an action that is none', JSON.stringify({ history: [{ ...stepsOf('late')[0], action: 'drop' }] })],
    ['a step after a good one', JSON.stringify({ history: [...stepsOf('late'), {}] })],
    ['too much', JSON.stringify({ history: [{ ...stepsOf('late')[0], actor: 'a'.repeat(REPROCESSED_BYTES_MAX) }] })],
  ])('of %s makes a dead letter for schema of an event that is fine, and nothing else', async (_name, header) => {
    const engine = new TestEngine([testRule({ ruleId: 'r' })])
    await engine.feed([{ value: eventLine({ id: 'e', ts: T0 }), again: header }])
    expect(engine.output.scores).toEqual([])
    expect(engine.output.counts).toMatchObject({ events: 1, unique: 0, schema: 1 })
    expect(engine.output.dlq.map(({ value }) => value)).toMatchObject([
      { reason: 'schema', event_id: 'e', user_id: 'u', detail: expect.stringContaining('onceward-reprocessed') },
    ])
    // Not remembered: sent again under a good one, it counts.
    await engine.feed([{ value: eventLine({ id: 'e', ts: T0 }), again: again('schema') }])
    expect(engine.points()).toEqual({ 'u|r': 1 })
  })

  test('is read or refused, whatever its bytes are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), (bytes) => {
        const read = readReprocessed(Buffer.from(bytes))
        if (!read.ok) expect(read.detail).toContain('onceward-reprocessed')
      }),
    )
  })
})

describe('what is set aside again', () => {
  const event = (id: string, ts: number): string => eventLine({ id, ts })

  test.each([
    ['late', event('e', T0 - HOUR_MS), 'schema'],
    ['late', event('e', T0 - 2 * DAY_MS), 'late'],
    ['future', event('e', T0 + 3 * DAY_MS), 'late'],
    ['schema', '{', 'late'],
    ['schema', eventLine({ id: 'e', name: 'nothing', ts: T0 }), 'future'],
  ] as const)('as %s keeps its history (%s)', async (reason, value, was) => {
    const engine = new TestEngine([testRule({ ruleId: 'r' })])
    await engine.feed([{ value: event('first', T0) }])
    await engine.feed([{ value, again: again(was), ingestTs: T0 }])
    expect(engine.output.dlq.map(({ value: letter }) => letter)).toMatchObject([{ reason, history: stepsOf(was) }])
  })

  test('for the first time has none', async () => {
    const engine = new TestEngine([testRule({ ruleId: 'r' })])
    await engine.feed([{ value: '{' }])
    expect(engine.output.dlq[0]?.value).not.toHaveProperty('history')
  })
})

describe('an event that is in time', () => {
  test.each(['late', 'schema', 'future'] as const)('counts as any other where it was %s before', async (was) => {
    const rules = [testRule({ ruleId: 'any' }), testRule({ ruleId: 'strict', ordering: 'strict' })]
    const engine = new TestEngine(rules)
    await engine.feed([{ value: eventLine({ id: 'e', ts: T0 }), again: again(was) }])
    await engine.finish()
    expect(engine.points()).toEqual({ 'u|any': 1, 'u|strict': 1 })
  })
})

describe('caps', () => {
  const pointsOfId = {
    points: ({ eventId }: { eventId: string }) => ({ ok: true, points: Number(eventId.split('-')[1]) }) as const,
  }

  test('what came late to an hour counts as long as anything can come to the hour', async () => {
    const engine = new TestEngine([testRule({ ruleId: 'r', caps: { perHour: 10 }, ...pointsOfId })])
    await engine.feed([{ value: eventLine({ id: 'now-1', ts: T0 + DAY_MS }) }])
    await engine.feed([{ value: eventLine({ id: 'a-8', ts: T0 + 5 * MINUTE_MS }), again: again('late') }])
    // The first minutes of that hour are past what is remembered, its last ones are not.
    await engine.feed([{ value: eventLine({ id: 'next-1', ts: T0 + DAY_MS + 30 * MINUTE_MS }) }])
    await engine.feed([{ value: eventLine({ id: 'b-8', ts: T0 + 50 * MINUTE_MS }), again: again('late') }])
    expect(engine.output.scores.map(({ value }) => [value.points, value.cut_by])).toEqual([
      [1, null],
      [8, null],
      [1, null],
      [2, 'per_hour'],
    ])
  })

  test('what came late to a minute counts for what comes to it in time', async () => {
    const engine = new TestEngine([testRule({ ruleId: 'r', caps: { perMinute: 10 }, ...pointsOfId })])
    // The watermark less a minute lies within the minute of both.
    await engine.feed([{ value: '', tick: T0 + MINUTE_MS + 30_000 }])
    await engine.feed([{ value: eventLine({ id: 'late-8', ts: T0 + 10_000 }), again: again('late') }])
    await engine.feed([{ value: eventLine({ id: 'in-8', ts: T0 + 40_000 }) }])
    expect(engine.output.scores.map(({ value }) => value.points)).toEqual([8, 2])
  })

  test.each([
    ['leaves room for it, whatever its own minute had', 12, 8, { points: 8 }],
    [
      'leaves less: the rule gives nothing, and says so',
      13,
      8,
      { points: 0, raw_points: 8, reason: 'late_window_forgotten' },
    ],
    ['leaves nothing, and the event is worth nothing', 20, 0, { points: 0 }],
  ])('the fullest minute of the day %s', async (_name, fullest, points, expected) => {
    const engine = new TestEngine([testRule({ ruleId: 'r', caps: { perMinute: 20, perDay: 100 }, ...pointsOfId })])
    await engine.feed([{ value: eventLine({ id: `full-${fullest}`, ts: T0 }) }])
    await engine.feed([{ value: eventLine({ id: 'now-1', ts: T0 + 3 * HOUR_MS }) }])
    await engine.feed([{ value: eventLine({ id: `late-${points}`, ts: T0 + HOUR_MS }), again: again('late') }])
    const last = engine.output.scores.at(-1)?.value
    expect(last).toMatchObject(expected)
    expect(last !== undefined && 'reason' in last).toBe('reason' in expected)
  })

  test('a threshold that a late event crosses pays, and only once', async () => {
    const trigger = { thresholds: [5], rewards: [{ type: 'fs', amount: 1 }], reset: 'daily' } as const
    const engine = new TestEngine([testRule({ ruleId: 'r', trigger, ...pointsOfId })])
    await engine.feed([{ value: eventLine({ id: 'a-3', ts: T0 }) }])
    await engine.feed([{ value: eventLine({ id: 'b-3', ts: T0 + 8 * HOUR_MS }) }])
    for (const _ of [1, 2]) {
      await engine.feed([{ value: eventLine({ id: 'late-3', ts: T0 + 1 }), again: again('late') }])
      engine.restart()
    }
    expect(engine.rewards()).toEqual(['u|r|2025-11-03|5'])
    expect(engine.earned()[0]?.origin.event_id).toBe('late-3')
    expect(engine.output.counts).toMatchObject({ events: 4, unique: 3, duplicates: 1 })
  })
})
