import { DAY_MS } from '../../core/durations.ts'
import { formatMoney } from '../../core/money.ts'
import type { CapName } from '../../core/model/score.ts'
import { type Budgets, runsDry } from './budgets.ts'
import { compare, type Comparison } from './comparison.ts'
import { costText, countBy, groupBy, type PlayerRow, players, pointsOf, type Totals, totalsOf } from './figures.ts'
import { sorted, type Whole, type WholeOutcome } from './merge.ts'
import type { AccountTally, IssuedReward, RuleTally } from './tally.ts'

/** What a backtest says, as `--json` prints it. Money is text with two decimals; times are RFC 3339, days are UTC. */
export interface Report {
  readonly events: {
    /** unique + duplicates + dlq, by exact count. */
    readonly read: number
    readonly unique: number
    readonly duplicates: number
    readonly dlq: { readonly schema: number; readonly future: number; readonly late: number }
    /** Left out because of --from and --to. */
    readonly outside: number
    readonly first: string | null
    readonly last: string | null
  }
  readonly totals: Totals
  readonly rules: readonly RuleRow[]
  readonly thresholds: readonly ThresholdRow[]
  readonly segments: readonly SegmentRow[]
  readonly days: readonly DayRow[]
  readonly pools: readonly PoolRow[]
  /** The most points first. */
  readonly top_players: readonly PlayerRow[]
  readonly against: Comparison | null
  /** Sentences on what to mind when reading the figures. */
  readonly notes: readonly string[]
  readonly seconds: number
}

export interface RuleRow extends Totals {
  readonly rule_id: string
  readonly versions: readonly string[]
  readonly matched: number
  readonly not_finite: number
  readonly cut: Readonly<Partial<Record<CapName, { readonly events: number; readonly points: number }>>>
  readonly withheld: Readonly<Record<string, number>>
}

export interface ThresholdRow {
  readonly rule_id: string
  readonly threshold: number
  readonly reward: string
  readonly rewards: number
  readonly cost: string
}

export interface SegmentRow {
  /** `segment`: those that rules name; a player may be in several. */
  readonly segment: 'geo' | 'platform' | 'payer' | 'segment'
  /** Null: the events do not say. */
  readonly value: string | null
  readonly players: number
  readonly points: number
  readonly rewards: number
  readonly cost: string
}

export interface DayRow {
  readonly day: string
  readonly points: number
  readonly points_by_rule: Readonly<Record<string, number>>
  readonly rewards: number
  readonly cost: string
  readonly cost_by_pool: Readonly<Record<string, string>>
}

export interface PoolRow {
  readonly pool: string
  readonly rewards: number
  readonly cost: string
  readonly budget: string | null
  readonly budget_source: 'given' | 'soft_cap' | null
  /** When the first reward is not covered; null: the budget lasts, or is not known. */
  readonly runs_dry_at: string | null
  readonly uncovered_rewards: number
  readonly uncovered_cost: string
}

export interface ReportOptions {
  readonly budgets: Budgets
  /** How many players are listed. */
  readonly top: number
  readonly notes: readonly string[]
  readonly seconds: number
}

const NO_POOL = '(no pool)'

export function reportOf(outcome: WholeOutcome, options: ReportOptions): Report {
  const { candidate, baseline, outside, firstTs, lastTs } = outcome
  const { events, unique, duplicates, schema, future, late } = candidate.counts
  const timeText = (ts: number | undefined): string | null => (ts === undefined ? null : new Date(ts).toISOString())
  return {
    events: {
      read: events,
      unique,
      duplicates,
      dlq: { schema, future, late },
      outside,
      first: timeText(firstTs),
      last: timeText(lastTs),
    },
    totals: totalsOf(candidate),
    rules: ruleRows(candidate),
    thresholds: thresholdRows(candidate.rewards),
    segments: segmentRows(candidate),
    days: dayRows(candidate),
    pools: poolRows(candidate.rewards, options.budgets),
    top_players: players(candidate).slice(0, options.top),
    against: baseline === undefined ? null : compare(candidate, baseline, options.top),
    notes: options.notes,
    seconds: options.seconds,
  }
}

function ruleRows({ rules, accounts, rewards, withheld }: Whole): RuleRow[] {
  const players = countBy(accounts, ({ ruleId }) => ruleId)
  const issued = groupBy(rewards, ({ ruleId }) => ruleId)
  return [...groupBy(rules, ({ ruleId }) => ruleId)].map(([ruleId, versions]) => {
    const sum = (of: (rule: RuleTally) => number): number => versions.reduce((total, one) => total + of(one), 0)
    return {
      rule_id: ruleId,
      versions: versions.map(({ version }) => version),
      matched: sum(({ matched }) => matched),
      scores: sum(({ scored }) => scored),
      points: sum(({ points }) => points),
      players: players.get(ruleId) ?? 0,
      rewards: issued.get(ruleId)?.length ?? 0,
      cost: costText(issued.get(ruleId) ?? []),
      not_finite: sum(({ notFinite }) => notFinite),
      cut: cutsOf(versions),
      withheld: Object.fromEntries(
        withheld.filter((one) => one.ruleId === ruleId).map((one) => [one.reason, one.count]),
      ),
    }
  })
}

function cutsOf(versions: readonly RuleTally[]): RuleRow['cut'] {
  const cuts: Partial<Record<CapName, { events: number; points: number }>> = {}
  for (const [cap, { events, points }] of versions.flatMap(({ cut }) => [...cut])) {
    const known = cuts[cap] ?? { events: 0, points: 0 }
    cuts[cap] = { events: known.events + events, points: known.points + points }
  }
  return cuts
}

function thresholdRows(rewards: readonly IssuedReward[]): ThresholdRow[] {
  const groups = groupBy(
    rewards,
    ({ ruleId, threshold, type }) => `${ruleId}\0${String(threshold).padStart(20)}\0${type}`,
  )
  return sorted([...groups], ([key]) => key).flatMap(([, group]) => {
    const [first] = group
    if (first === undefined) return []
    const { ruleId, threshold, type } = first
    return [{ rule_id: ruleId, threshold, reward: type, rewards: group.length, cost: costText(group) }]
  })
}

function segmentRows({ accounts, rewards }: Whole): SegmentRow[] {
  const issued = groupBy(rewards, ({ userId }) => userId)
  const users = [...groupBy(accounts, ({ userId }) => userId)]
  const dimensions = {
    geo: ({ geo }: AccountTally) => [geo],
    platform: ({ platform }: AccountTally) => [platform],
    payer: ({ payer }: AccountTally) => [payer === null ? null : String(payer)],
    segment: ({ segments }: AccountTally) => segments,
  } as const
  return Object.entries(dimensions).flatMap(([segment, valuesOf]) => {
    const members = users.flatMap(([userId, own]) => {
      const values = own[0] === undefined ? [] : valuesOf(own[0])
      return values.map((value) => ({ value, points: pointsOf(own), rewards: issued.get(userId) ?? [] }))
    })
    return sorted([...groupBy(members, ({ value }) => value)], ([value]) => value ?? '').map(([value, group]) => {
      const theirs = group.flatMap((member) => member.rewards)
      return {
        segment: segment as SegmentRow['segment'],
        value,
        players: group.length,
        points: pointsOf(group),
        rewards: theirs.length,
        cost: costText(theirs),
      }
    })
  })
}

function dayRows({ rules, rewards }: Whole): DayRow[] {
  const issued = groupBy(rewards, ({ ts }) => Math.floor(ts / DAY_MS))
  const days = new Set([...rules.flatMap((rule) => [...rule.days.keys()]), ...issued.keys()])
  return [...days]
    .sort((a, b) => a - b)
    .map((day) => {
      const byRule: Record<string, number> = {}
      for (const { ruleId, days: own } of rules) {
        const points = own.get(day)
        if (points !== undefined) byRule[ruleId] = (byRule[ruleId] ?? 0) + points
      }
      const today = issued.get(day) ?? []
      const pools = [...groupBy(today, ({ pool }) => pool ?? NO_POOL)]
      return {
        day: new Date(day * DAY_MS).toISOString().slice(0, 10),
        points: Object.values(byRule).reduce((sum, points) => sum + points, 0),
        points_by_rule: byRule,
        rewards: today.length,
        cost: costText(today),
        cost_by_pool: Object.fromEntries(pools.map(([pool, group]) => [pool, costText(group)])),
      }
    })
}

function poolRows(rewards: readonly IssuedReward[], budgets: Budgets): PoolRow[] {
  const issued = groupBy(rewards, ({ pool }) => pool ?? NO_POOL)
  for (const pool of budgets.keys()) if (!issued.has(pool)) issued.set(pool, [])
  return sorted([...issued], ([pool]) => pool).map(([pool, group]) => {
    const budget = budgets.get(pool)
    const dry = budget && runsDry(group, budget.amount)
    return {
      pool,
      rewards: group.length,
      cost: costText(group),
      budget: budget === undefined ? null : formatMoney(budget.amount),
      budget_source: budget?.source ?? null,
      runs_dry_at: dry === undefined ? null : new Date(dry.at).toISOString(),
      uncovered_rewards: dry?.rewards ?? 0,
      uncovered_cost: formatMoney(dry?.cost ?? 0n),
    }
  })
}
