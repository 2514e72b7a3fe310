import type { Clock } from '../../core/clock.ts'
import { hasCode } from '../../core/errors.ts'
import type { Cents } from '../../core/money.ts'
import type { RewardStatus } from '../../core/model/reward-status.ts'
import type { BudgetRow } from '../../core/ports/ledger.ts'
import type { Topics } from '../../core/topics.ts'
import type { IngestCounts } from '../log-tools/ingest.ts'
import { endsOf } from './committed-records.ts'
import type { Crew } from './crew.ts'
import type { Infrastructure } from './infrastructure.ts'
import type { RecentReward, RecentRewards } from './recent-rewards.ts'
import type { Tally } from './tally.ts'

/** All that the live view shows, at one moment. */
export interface Snapshot {
  readonly events: {
    readonly total: number
    readonly perSecond: number
    readonly unique: number
    readonly duplicates: number
    /** By reason; those without any are left out. */
    readonly dlq: Readonly<Record<string, number>>
  }
  readonly scores: number
  readonly points: number
  /** Of this run, but for what was left pending by the one before. */
  readonly rewards: {
    readonly created: number
    readonly paid: number
    readonly pending: number
    readonly failed: number
    /** Wait for a person, and for their player. */
    readonly held: number
    readonly frozen: number
  }
  readonly wallet: { readonly calls: number; readonly retried: number }
  readonly pools: readonly Pool[]
  readonly recent: readonly RecentReward[]
  readonly partitions: readonly { readonly partition: number; readonly worker: number; readonly lag: number }[]
}

export interface Pool {
  readonly poolId: string
  readonly budget: Cents | null
  readonly spent: Cents
}

export interface ObserverParts {
  readonly infrastructure: Infrastructure
  readonly topics: Topics
  readonly clock: Clock
  readonly crew: Crew
  readonly tally: Tally
  readonly recent: RecentRewards
  readonly ingested: () => IngestCounts
  /** The pools that the rules name, shown before anything was spent. */
  readonly pools: readonly Pool[]
}

const RATE_WINDOW_MS = 2_000
const LEDGER_EVERY_MS = 400
const RECENT_MAX = 50

/** Looks at everything that runs. What the ledger says is asked for at most a few times a second. */
export function createObserver(parts: ObserverParts): () => Promise<Snapshot> {
  const rate = rateMeter(parts.clock)
  const ledger = ledgerGlance(parts)
  return async () => {
    const { tally, crew, recent, ingested } = parts
    const { counts } = tally
    const { budgets, outstanding, held, frozen } = await ledger()
    const sink = crew.sinkStats()
    const sent = ingested()
    const failed = sink.deadLettered + sink.refused
    const dlq = {
      schema: sent.rejected + counts.schema,
      future: counts.future,
      late: counts.late,
      payout: sink.deadLettered,
      budget_closed: sink.refused,
    }
    return {
      events: {
        total: sent.lines,
        perSecond: rate(counts.events + sent.rejected),
        unique: counts.unique,
        duplicates: counts.duplicates,
        dlq: Object.fromEntries(Object.entries(dlq).filter(([, count]) => count > 0)),
      },
      scores: counts.scores,
      points: counts.points,
      rewards: {
        created: counts.rewards,
        paid: sink.succeeded,
        // Booked but not paid, and created but not booked yet.
        pending: Math.max(outstanding, counts.rewards - sink.succeeded - failed - held - frozen),
        failed,
        held,
        frozen,
      },
      wallet: { calls: sink.calls, retried: sink.retried },
      pools: mergePools(parts.pools, budgets),
      recent: recent.newest(RECENT_MAX),
      partitions: await partitionLags(parts),
    }
  }
}

async function partitionLags({ infrastructure, topics, tally }: ObserverParts): Promise<Snapshot['partitions']> {
  const ends = await endsOf(infrastructure.log, topics.events)
  return ends.flatMap((end, partition) => {
    const progress = tally.partitions.get(partition)
    if (progress === undefined) return []
    return [{ partition, worker: progress.worker, lag: Math.max(0, end - progress.position) }]
  })
}

function mergePools(named: readonly Pool[], booked: readonly BudgetRow[]): readonly Pool[] {
  const pools = new Map(named.map((pool) => [pool.poolId, pool]))
  for (const { poolId, budget, spent } of booked) pools.set(poolId, { poolId, budget, spent })
  return [...pools.values()]
}

interface Glance {
  readonly budgets: readonly BudgetRow[]
  readonly outstanding: number
  readonly held: number
  readonly frozen: number
}

function ledgerGlance({ infrastructure: { ledger }, clock }: ObserverParts): () => Promise<Glance> {
  let glance: Glance = { budgets: [], outstanding: 0, held: 0, frozen: 0 }
  let lookedMs = Number.NEGATIVE_INFINITY
  return async () => {
    if (clock.monotonic() - lookedMs < LEDGER_EVERY_MS) return glance
    try {
      const [budgets, totals] = await Promise.all([ledger.budgets(), ledger.totals()])
      const of = (...statuses: RewardStatus[]): number =>
        totals.reduce((sum, { status, count }) => sum + (statuses.includes(status) ? count : 0), 0)
      glance = { budgets, outstanding: of('reserved', 'sent'), held: of('held'), frozen: of('frozen') }
    } catch (error) {
      // The sink insists, and fails loudly where that does not help; the view goes on with what it knew.
      if (!hasCode(error, 'ONCEWARD_E_LEDGER_UNAVAILABLE')) throw error
    }
    lookedMs = clock.monotonic()
    return glance
  }
}

/** Events a second over the last two seconds. */
function rateMeter(clock: Clock): (total: number) => number {
  const samples: { readonly atMs: number; readonly total: number }[] = []
  return (total) => {
    const atMs = clock.monotonic()
    samples.push({ atMs, total })
    while (samples.length > 2 && (samples[1]?.atMs ?? atMs) <= atMs - RATE_WINDOW_MS) samples.shift()
    const [first] = samples
    if (first === undefined || atMs - first.atMs < 200) return 0
    return ((total - first.total) * 1_000) / (atMs - first.atMs)
  }
}
