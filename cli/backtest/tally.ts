import { assert } from '../../core/assert.ts'
import { parseMoney } from '../../core/money.ts'
import { DAY_MS } from '../../core/durations.ts'
import type { Json } from '../../core/model/event.ts'
import type { RewardTaskBase } from '../../core/model/reward.ts'
import type { CapName, WithheldReward } from '../../core/model/score.ts'
import { type BatchCounts, type BatchOutput, noCounts, type Operator, type Scoring } from '../../operators/operator.ts'
import { isEarned } from '../../operators/earned.ts'
import { createRewardEmit } from '../../operators/reward-emit.ts'
import type { Segments } from '../../rules/segment.ts'
import type { Account } from '../../state/stores.ts'

/** What one rule version did; counts are of events that it matched. */
export interface RuleTally {
  readonly ruleId: string
  readonly version: string
  matched: number
  /** Above zero points. */
  scored: number
  points: number
  /** Its formula gave no number. */
  notFinite: number
  /** Points that the caps took away, and from how many events. */
  readonly cut: Map<CapName, { events: number; points: number }>
  /** Points by day (UTC), as days since the epoch. */
  readonly days: Map<number, number>
}

/** What one player has of one rule. */
export interface AccountTally {
  readonly userId: string
  readonly ruleId: string
  points: number
  /** As the last event that matched said. */
  geo: string | null
  platform: string | null
  payer: boolean | null
  /** The named segments that the player was in. */
  segments: readonly string[]
}

export interface IssuedReward {
  readonly taskId: string
  readonly userId: string
  readonly ruleId: string
  readonly version: string
  readonly threshold: number
  readonly type: string
  readonly pool: string | null
  /** Hundredths of the pool's money. */
  readonly cost: bigint
  /** Event time of the crossing, ms. */
  readonly ts: number
}

/** What some partitions come to under one set of rules, while they are processed. */
export interface Tally {
  readonly counts: BatchCounts
  /** By rule id and version. */
  readonly rules: Map<string, RuleTally>
  /** Those with points, by what the engine keeps of them: an object is found faster than a text. */
  readonly accounts: Map<Account, AccountTally>
  readonly rewards: IssuedReward[]
  readonly withheld: Map<string, { readonly ruleId: string; readonly reason: WithheldReward['reason']; count: number }>
}

/** The same as plain data, to go from process to process. */
export type FinishedTally = Omit<Tally, 'accounts'> & { readonly accounts: readonly AccountTally[] }

export function finished(tally: Tally): FinishedTally {
  return { ...tally, accounts: [...tally.accounts.values()] }
}

export function emptyTally(): Tally {
  return { counts: noCounts(), rules: new Map(), accounts: new Map(), rewards: [], withheld: new Map() }
}

/**
 * Takes reward-emit's place at the end of the line: counts what would have been written. Where a reward is at stake
 * reward-emit itself says which; for the rest, by far the most, no record is made.
 */
export function createTallyEmit(tally: Tally, segments: Segments): Operator<Scoring, never> {
  const emit = createRewardEmit()
  return {
    name: 'tally',
    ask() {},
    process(scoring, batch, next) {
      count(tally, scoring, segments)
      if (scoring.granted.length > 0) {
        emit.process(scoring, batch, next)
        return
      }
      if (scoring.points > 0) batch.output.counts.scores++
      batch.output.counts.points += scoring.points
    },
  }
}

/** Adds the counts and rewards of a batch. */
export function addOutput(tally: Tally, { counts, rewards }: BatchOutput): void {
  for (const name of Object.keys(counts) as (keyof BatchCounts)[]) tally.counts[name] += counts[name]
  for (const { value } of rewards) if (isEarned(value)) tally.rewards.push(issued(value))
}

function issued(task: RewardTaskBase): IssuedReward {
  return {
    taskId: task.reward_task_id,
    userId: task.user_id,
    ruleId: task.origin.rule_id,
    version: task.origin.rule_version,
    threshold: task.origin.threshold,
    type: task.reward.type,
    pool: task.pool_id,
    // Where no rate is known a person decides; until then it costs nothing.
    cost: task.cost === undefined ? 0n : parseMoney(task.cost),
    ts: Date.parse(task.created_at),
  }
}

function count(tally: Tally, scoring: Scoring, segments: Segments): void {
  const { rule, event, points, rawPoints, formula, cutBy, withheld, late } = scoring
  // It came late, and the rule gives nothing for it: whether it matches may not even be known.
  if (late?.refusal !== undefined) return
  const sum = ruleTally(tally, scoring)
  sum.matched++
  if (!formula.ok) sum.notFinite++
  if (cutBy !== null) {
    const cut = sum.cut.get(cutBy) ?? { events: 0, points: 0 }
    cut.events++
    cut.points += rawPoints - points
    sum.cut.set(cutBy, cut)
  }
  if (points > 0) {
    sum.scored++
    sum.points += points
    const day = Math.floor(event.ts / DAY_MS)
    sum.days.set(day, (sum.days.get(day) ?? 0) + points)
    countAccount(tally, scoring, segments)
  }
  for (const { reason } of withheld) {
    const key = `${rule.ruleId} ${reason}`
    const known = tally.withheld.get(key)
    if (known === undefined) tally.withheld.set(key, { ruleId: rule.ruleId, reason, count: 1 })
    else known.count++
  }
}

function ruleTally(tally: Tally, { rule }: Scoring): RuleTally {
  const key = `${rule.ruleId} ${rule.version}`
  let sum = tally.rules.get(key)
  if (sum === undefined) {
    const { ruleId, version } = rule
    sum = { ruleId, version, matched: 0, scored: 0, points: 0, notFinite: 0, cut: new Map(), days: new Map() }
    tally.rules.set(key, sum)
  }
  return sum
}

function countAccount(tally: Tally, scoring: Scoring, segments: Segments): void {
  const { account: state, event, rule, points } = scoring
  assert(state !== undefined, 'cap comes before the end of the line')
  let account = tally.accounts.get(state)
  if (account === undefined) {
    account = newAccount(event.userId, rule.ruleId)
    tally.accounts.set(state, account)
  }
  account.points += points
  // Checked against the schema: user is an object.
  const user = event.data['user'] as { readonly geo?: Json; readonly platform?: Json; readonly payer_flag?: Json }
  account.geo = typeof user.geo === 'string' ? user.geo : null
  account.platform = typeof user.platform === 'string' ? user.platform : null
  account.payer = typeof user.payer_flag === 'boolean' ? user.payer_flag : null
  if (segments.size > 0) account.segments = [...segments].flatMap(([name, has]) => (has(event) === true ? [name] : []))
}

function newAccount(userId: string, ruleId: string): AccountTally {
  return { userId, ruleId, points: 0, geo: null, platform: null, payer: null, segments: [] }
}
