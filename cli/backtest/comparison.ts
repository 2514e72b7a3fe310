import { type Cents, formatMoney } from '../../core/money.ts'
import { costText, groupBy, players, type Totals, totalsOf } from './figures.ts'
import { sorted, type Whole } from './merge.ts'
import type { IssuedReward } from './tally.ts'

/** A figure under the rules compared with, and under those that are tried. */
export interface Change<T> {
  readonly before: T
  readonly after: T
}

/** What changes against other rules, over the same events. */
export interface Comparison {
  readonly before: Totals
  readonly rules: readonly {
    readonly rule_id: string
    readonly points: Change<number>
    readonly rewards: Change<number>
    readonly cost: Change<string>
  }[]
  readonly pools: readonly { readonly pool: string; readonly cost: Change<string> }[]
  /** By reward task: the id says who, which rule, period and threshold. */
  readonly rewards: {
    readonly same: number
    /** Both give it, for another cost. */
    readonly changed: number
    readonly only_before: number
    readonly only_after: number
  }
  readonly players: { readonly more: number; readonly fewer: number; readonly same: number }
  /** Who gains and who loses the most points. */
  readonly gainers: readonly PlayerChange[]
  readonly losers: readonly PlayerChange[]
}

export interface PlayerChange {
  readonly user_id: string
  readonly points: Change<number>
  readonly rewards: Change<number>
}

export function compare(after: Whole, before: Whole, top: number): Comparison {
  const changes = playerChanges(after, before)
  const byGain = changes.toSorted((a, b) => gainOf(b) - gainOf(a))
  return {
    before: totalsOf(before),
    rules: ruleChanges(after, before),
    pools: poolChanges(after, before),
    rewards: rewardChanges(after.rewards, before.rewards),
    players: {
      more: changes.filter((change) => gainOf(change) > 0).length,
      fewer: changes.filter((change) => gainOf(change) < 0).length,
      same: changes.filter((change) => gainOf(change) === 0).length,
    },
    gainers: byGain.filter((change) => gainOf(change) > 0).slice(0, top),
    losers: byGain
      .toReversed()
      .filter((change) => gainOf(change) < 0)
      .slice(0, top),
  }
}

function gainOf({ points }: PlayerChange): number {
  return points.after - points.before
}

function playerChanges(after: Whole, before: Whole): PlayerChange[] {
  const changes = new Map<string, { points: Change<number>; rewards: Change<number> }>()
  for (const { user_id: userId, points, rewards } of players(after)) {
    changes.set(userId, { points: { before: 0, after: points }, rewards: { before: 0, after: rewards } })
  }
  for (const { user_id: userId, points, rewards } of players(before)) {
    const known = changes.get(userId)
    changes.set(userId, {
      points: { before: points, after: known?.points.after ?? 0 },
      rewards: { before: rewards, after: known?.rewards.after ?? 0 },
    })
  }
  return sorted([...changes], ([userId]) => userId).map(([userId, change]) => ({ user_id: userId, ...change }))
}

function ruleChanges(after: Whole, before: Whole): Comparison['rules'] {
  const points = (whole: Whole, ruleId: string): number =>
    whole.rules.filter((rule) => rule.ruleId === ruleId).reduce((sum, rule) => sum + rule.points, 0)
  const issued = (whole: Whole, ruleId: string): IssuedReward[] => whole.rewards.filter((one) => one.ruleId === ruleId)
  const ids = new Set([...after.rules, ...before.rules].map(({ ruleId }) => ruleId))
  return sorted([...ids], (id) => id).map((id) => {
    const [now, then] = [issued(after, id), issued(before, id)]
    return {
      rule_id: id,
      points: { before: points(before, id), after: points(after, id) },
      rewards: { before: then.length, after: now.length },
      cost: { before: costText(then), after: costText(now) },
    }
  })
}

function poolChanges(after: Whole, before: Whole): Comparison['pools'] {
  const costs = (whole: Whole): Map<string, Cents> => {
    const groups = groupBy(
      whole.rewards.filter(({ pool }) => pool !== null),
      ({ pool }) => pool ?? '',
    )
    return new Map([...groups].map(([pool, group]) => [pool, group.reduce((sum, { cost }) => sum + cost, 0n)]))
  }
  const [now, then] = [costs(after), costs(before)]
  return sorted([...new Set([...now.keys(), ...then.keys()])], (pool) => pool).map((pool) => ({
    pool,
    cost: { before: formatMoney(then.get(pool) ?? 0n), after: formatMoney(now.get(pool) ?? 0n) },
  }))
}

function rewardChanges(after: readonly IssuedReward[], before: readonly IssuedReward[]): Comparison['rewards'] {
  const then = new Map(before.map(({ taskId, cost }) => [taskId, cost]))
  const both = after.filter(({ taskId }) => then.has(taskId))
  const changed = both.filter(({ taskId, cost }) => then.get(taskId) !== cost).length
  return {
    same: both.length - changed,
    changed,
    only_before: before.length - both.length,
    only_after: after.length - both.length,
  }
}
