import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { partitionOf } from '../../core/partitioner.ts'
import { seededRandom } from '../../core/random.ts'
import { reference, type ReferenceRule } from '../support/reference.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { sharedData, shuffleWithin, withBroken, withRepeats } from '../support/workload.ts'
import { bet, normalizerOf } from './support.ts'

const shared = sharedData()
const normalize = normalizerOf()

interface Expected {
  readonly scores: number
  readonly points: Record<string, number>
  readonly rewards: string[]
}

describe.runIf(shared !== undefined)('on 20,000 real bets', () => {
  const data = join(shared ?? '', 'data')
  // The body of a describe runs even where its tests don't: the files are read by the tests.
  let bets: string[] = []
  let expected: Expected
  beforeAll(() => {
    bets = gunzipSync(readFileSync(join(data, 'bets.ndjson.gz')))
      .toString()
      .trim()
      .split('\n')
    expected = JSON.parse(readFileSync(join(data, 'expected.json'), 'utf8')) as Expected
  })

  it.each([1, 4, 7])('the reference gives what was handed down, on %i partitions, in order or not', (partitions) => {
    const options = { rules: SHARED_RULES, partitionOf: (user: string) => partitionOf(user, partitions) }
    const plain = reference(bets, options)
    expect(plain).toMatchObject({
      events: 20_000,
      unique: 20_000,
      duplicates: 0,
      dlq: { schema: 0, future: 0, late: 0 },
    })
    const random = seededRandom(partitions)
    const repeated = withRepeats(shuffleWithin(bets, 50, random), 0.03, random)
    const rough = reference(withBroken(repeated, 100, random), options)
    expect(rough).toMatchObject({
      events: repeated.length + 100,
      unique: 20_000,
      duplicates: repeated.length - 20_000,
      dlq: { schema: 100, future: 0, late: 0 },
    })
    for (const result of [plain, rough]) {
      expect(result.scores).toBe(expected.scores)
      expect(result.points).toEqual(expected.points)
      expect(result.rewards).toEqual([...expected.rewards].sort())
    }
  })

  it('the normalizer passes every one, and rejects every broken line among them', () => {
    const lines = withBroken(bets, 2_000, seededRandom(1))
    const rejected = lines.filter((line) => normalize(line).kind === 'rejected')
    expect(rejected).toHaveLength(2_000)
    expect(lines.filter((line) => !bets.includes(line)).length).toBeLessThanOrEqual(2_000)
  })
})

describe('the reference', () => {
  const rule: ReferenceRule = { ruleId: 'r', eventName: 'bet', formula: (e) => Number(e.payload.bet), thresholds: [10] }
  const at = (id: string, ts: string, amount = 1, user = 'u'): string =>
    JSON.stringify({ ...bet, event_id: id, ts: `2025-${ts}Z`, user: { id: user }, payload: { bet: amount } })

  it('counts what is late by the watermark of its partition, and repeats before that', () => {
    const lines = [
      at('1', '11-03T12:00:00'),
      at('2', '11-03T12:02:00', 1, 'w'),
      at('3', '11-03T12:01:00'),
      at('4', '11-03T12:00:59'),
      at('4', '11-03T12:00:59'),
      at('1', '11-03T12:00:00'),
    ]
    expect(reference(lines, { rules: [rule] })).toMatchObject({ unique: 3, duplicates: 1, dlq: { late: 2 } })
    const apart = reference(lines, { rules: [rule], partitionOf: (user) => (user === 'w' ? 1 : 0) })
    expect(apart).toMatchObject({ unique: 4, duplicates: 2, dlq: { late: 0 } })
  })

  it('rejects what is more than five minutes ahead of its ingest time, and does not remember it', () => {
    const lines = [at('1', '11-03T12:05:00.001'), at('1', '11-03T12:05:00'), at('1', '11-03T12:05:00')]
    const ingestTime = (): number => Date.UTC(2025, 10, 3, 12)
    expect(reference(lines, { rules: [rule], ingestTime })).toMatchObject({
      unique: 1,
      duplicates: 1,
      dlq: { future: 1 },
    })
  })

  it('cuts by calendar windows of the time zone of the rule', () => {
    const lines = [at('1', '11-03T20:59:00', 9), at('2', '11-03T21:00:00', 9), at('3', '11-03T21:00:30', 9)]
    const capped = { ...rule, caps: { perBet: 8, perDay: 10 } }
    expect(reference(lines, { rules: [capped] })).toMatchObject({ points: { 'u|r': 10 }, scores: 2 })
    const istanbul = reference(lines, { rules: [{ ...capped, timeZone: 'Europe/Istanbul' }] })
    expect(istanbul).toMatchObject({ points: { 'u|r': 18 }, scores: 3 })
  })

  it('starts progress again with the period, and pays a threshold once in each', () => {
    const lines = [at('1', '11-02T12:00:00', 20), at('2', '11-03T12:00:00', 20), at('3', '11-03T12:00:01', 20)]
    const rewards = (reset: 'never' | 'daily' | 'weekly' | 'monthly'): string[] =>
      reference(lines, { rules: [{ ...rule, reset }] }).rewards
    expect(rewards('never')).toEqual(['u|r|10'])
    expect(rewards('daily')).toEqual(['u|r|2025-11-02|10', 'u|r|2025-11-03|10'])
    expect(rewards('weekly')).toEqual(['u|r|2025-W44|10', 'u|r|2025-W45|10'])
    expect(rewards('monthly')).toEqual(['u|r|2025-11|10'])
  })

  it('judges an event by the version in effect at its own time', () => {
    const double = { ...rule, formula: () => 2, effectiveFrom: Date.UTC(2025, 10, 3, 12) }
    const lines = [at('1', '11-03T11:59:59.999'), at('2', '11-03T12:00:00'), at('3', '11-03T11:59:59')]
    expect(reference(lines, { rules: [double, rule] }).points).toEqual({ 'u|r': 4 })
  })

  it('floors with a tolerance, and scores nothing below zero or without a number', () => {
    const points = (value: number): number =>
      reference([at('1', '11-03T12:00:00')], { rules: [{ ...rule, formula: () => value }] }).points['u|r'] ?? 0
    expect([(0.7 + 0.1) * 10, 1.999, -3, Number.NaN, Number.POSITIVE_INFINITY].map(points)).toEqual([8, 1, 0, 0, 0])
  })
})
