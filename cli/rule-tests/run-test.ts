import { isDeepStrictEqual } from 'node:util'
import { DAY_MS } from '../../core/durations.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import type { RewardTaskBase } from '../../core/model/reward.ts'
import { isEarned } from '../../operators/earned.ts'
import { REORDER_WINDOW_MS } from '../../operators/event-time.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { type BatchOutput, emptyOutput } from '../../operators/operator.ts'
import { createTopology } from '../../pipeline/topology.ts'
import type { RuleSet } from '../../rules/compiled.ts'
import { PartitionEngine } from '../backtest/engine.ts'
import type { Expectation, RuleTest } from './test-file.ts'

/** Something that came out otherwise than expected. */
export interface Difference {
  /** `scores[2].points`. */
  readonly what: string
  readonly expected: unknown
  readonly received: unknown
}

/** The rewards that a test brings: what rules give, whatever KYC and restrictions a player has. */
export function earnedOf({ rewards }: BatchOutput): RewardTaskBase[] {
  return rewards.flatMap(({ value }) => (isEarned(value) ? [value] : []))
}

export interface TestResult {
  readonly differences: readonly Difference[]
  readonly output: BatchOutput
}

/** Sends a test's events through the operators of a worker, and compares what comes out with what is expected. */
export async function runTest(
  test: RuleTest,
  rules: RuleSet,
  normalize: (raw: Buffer | null) => Normalized,
): Promise<TestResult> {
  const output = emptyOutput()
  const engine = new PartitionEngine({
    topology: createTopology({ normalize, gated: false }),
    rules,
    reorderWindowMs: REORDER_WINDOW_MS,
    dedupeWindowMs: DAY_MS,
    onOutput: ({ scores, rewards, dlq }) => {
      output.scores.push(...scores)
      output.rewards.push(...rewards)
      output.dlq.push(...dlq)
    },
  })
  await engine.process(
    test.events.map((event, offset): LogRecord => {
      const timestamp = Date.parse(String(event['ts']))
      return { topic: 'test', partition: 0, offset, timestamp, key: null, value: Buffer.from(JSON.stringify(event)) }
    }),
  )
  if (engine.watermark !== undefined) await engine.advance(engine.watermark + REORDER_WINDOW_MS + 1)
  return { differences: differencesOf(test.expect, output), output }
}

function differencesOf(expect: Expectation, output: BatchOutput): Difference[] {
  const scores = output.scores.map(({ value }) => ({ event: value.event_id, user: value.user_id, ...value }))
  const rewards = earnedOf(output).map((value) => ({
    user: value.user_id,
    rule_id: value.origin.rule_id,
    threshold: value.origin.threshold,
    event: value.origin.event_id,
    period: value.origin.period,
    pool: value.pool_id,
    ...value.reward,
  }))
  const withheld = scores.flatMap((score) =>
    (score.withheld ?? []).map((each) => ({ event: score.event, user: score.user, rule_id: score.rule_id, ...each })),
  )
  const rejected = output.dlq.map(({ value }) => ({
    event: value.event_id,
    reason: value.reason,
    detail: value.detail,
  }))
  const differences: Difference[] = []
  if (expect.points !== undefined) {
    const points = scores.reduce((sum, score) => sum + score.points, 0)
    if (points !== expect.points) differences.push({ what: 'points', expected: expect.points, received: points })
  }
  const asked = expect.scores?.map((each) => (typeof each === 'number' ? { points: each } : each))
  return [
    ...differences,
    ...inLists('scores', asked, scores),
    ...inLists('rewards', expect.rewards, rewards),
    ...inLists('withheld', expect.withheld, withheld),
    // An event that the schema refuses is a mistake in the test unless the test says so.
    ...inLists('rejected', expect.rejected ?? [], rejected),
  ]
}

type Fields = Readonly<Record<string, unknown>>

/** As many as expected, in order, each with the fields that are named. */
function inLists(name: string, expected: readonly Fields[] | undefined, received: readonly Fields[]): Difference[] {
  if (expected === undefined) return []
  const keys = [...new Set(expected.flatMap((each) => Object.keys(each)))]
  const shown = (item: Fields): Fields => {
    const named = Object.entries(item).filter(([key]) => (keys.length === 0 ? KEYS_SHOWN : keys).includes(key))
    return Object.fromEntries(named)
  }
  if (expected.length !== received.length) {
    return [{ what: name, expected, received: received.map(shown) }]
  }
  return expected.flatMap((each, index) =>
    Object.entries(each).flatMap(([key, value]) => {
      const found = received[index]?.[key]
      return isDeepStrictEqual(found, value)
        ? []
        : [{ what: `${name}[${index}].${key}`, expected: value, received: found }]
    }),
  )
}

/** Of items of which nothing is expected. */
const KEYS_SHOWN = ['event', 'points', 'threshold', 'type', 'amount', 'reason', 'detail']
