import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { DAY_MS, MINUTE_MS } from '../../core/durations.ts'
import { OncewardError } from '../../core/errors.ts'
import type { Gauge, Metrics } from '../../core/ports/metrics.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Random } from '../../core/random.ts'
import type { Topics } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { createSink, type Sink } from '../../pipeline/payout/sink.ts'
import type { SinkStats } from '../../pipeline/payout/stats.ts'
import type { TaskView } from '../../pipeline/payout/task.ts'
import { Worker } from '../../pipeline/worker.ts'
import { openRocksDb } from '../../state/rocksdb.ts'
import { storeFolder } from '../worker-process.ts'
import { settlementObserver } from './settlements.ts'
import { type Infrastructure, PARTNER_NAME, WALLET_CONNECTIONS, WALLET_TIMEOUT_MS } from './infrastructure.ts'
import type { RecentRewards } from './recent-rewards.ts'
import type { Tally } from './tally.ts'

export const APPLICATION = 'demo'
export const SINK_GROUP = 'demo.sink'
export const WORKERS = 2

export interface CrewParts {
  readonly infrastructure: Infrastructure
  readonly topics: Topics
  readonly dir: string
  readonly normalize: (raw: Buffer | null) => Normalized
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  readonly tally: Tally
  readonly recent: RecentRewards
  readonly policyAt: TaskView['policyAt']
}

/** The workers and the sink, as long as they run. */
export interface Crew {
  /** Rejects as soon as one of them cannot go on; never resolves. */
  readonly failed: Promise<never>
  /** Why not all of them work yet; empty once they do. */
  waitingFor(): readonly string[]
  sinkStats(): SinkStats
  /** Lets each finish what it has begun. Idempotent. */
  close(): Promise<void>
}

/** Quick retries: the wallet's faults are injected, nothing there needs time to recover. */
const RETRY = { retriesMax: 8, baseMs: 100, capMs: 2_000 }
/** Longer than a call can take. Soon over, so that a demo that was killed is taken up again at once. */
const LEASE_MS = WALLET_TIMEOUT_MS + 3_000
const DEDUPE_WINDOW_MS = DAY_MS
const REORDER_WINDOW_MS = MINUTE_MS
const TICK_AFTER_MS = 5_000

export function startCrew(parts: CrewParts): Crew {
  const gauges = sharedGauge(parts.metrics.partitions)
  const workers = Array.from({ length: WORKERS }, (_, index) => createWorker(parts, index + 1, gauges(index)))
  const sink = createDemoSink(parts)
  const roles = [...workers, sink]
  const runs = roles.map((role) => role.run())
  let stopping = false
  const supervise = async (run: Promise<void>): Promise<void> => {
    await run
    if (!stopping) throw new OncewardError('ONCEWARD_E_INTERNAL', 'a worker or the sink ended by itself')
  }
  const failed = new Promise<never>((_, reject) => {
    for (const run of runs) supervise(run).catch(reject)
  })
  // It is told by `failed` to whoever races with it; nobody may be racing right now.
  failed.catch(() => undefined)
  return {
    failed,
    waitingFor: () => workers.flatMap((worker) => worker.health().reasons),
    sinkStats: () => sink.stats(),
    async close() {
      stopping = true
      await Promise.all(roles.map((role) => role.stop()))
      await Promise.allSettled(runs)
    },
  }
}

function createWorker(parts: CrewParts, worker: number, partitions: Gauge<'topic'>): Worker {
  const { infrastructure, topics, dir, normalize, clock, logger, metrics, tally } = parts
  return new Worker({
    log: infrastructure.log,
    clock,
    logger: logger.child({ worker }),
    metrics: { ...metrics, partitions },
    application: APPLICATION,
    topics,
    normalize,
    openStore: (partition) => openRocksDb(storeFolder(join(dir, 'state'), APPLICATION, partition)),
    reorderWindowMs: REORDER_WINDOW_MS,
    dedupeWindowMs: DEDUPE_WINDOW_MS,
    tickAfterMs: TICK_AFTER_MS,
    onBatch: (partition, position, counts) => tally.add(counts, partition, { worker, position }),
  })
}

/** Several workers in one process: the gauge shows what all of them hold. */
function sharedGauge(gauge: Gauge<'topic'>): (index: number) => Gauge<'topic'> {
  const held = new Map<number, number>()
  return (index) => ({
    ...gauge,
    set(value, labels) {
      held.set(index, value)
      const sum = [...held.values()].reduce((total, each) => total + each, 0)
      gauge.set(sum, labels)
    },
  })
}

function createDemoSink({ infrastructure, topics, clock, random, logger, metrics, recent, policyAt }: CrewParts): Sink {
  const { log, ledger, wallet } = infrastructure
  return createSink({
    log,
    ledger,
    partners: [
      {
        name: PARTNER_NAME,
        wallet,
        types: ['*'],
        concurrency: WALLET_CONNECTIONS,
        orderedByPlayer: false,
        leaseMs: LEASE_MS,
      },
    ],
    policyAt,
    topics,
    group: SINK_GROUP,
    clock,
    random,
    logger,
    retry: RETRY,
    metrics: settlementObserver(metrics, recent),
  })
}
