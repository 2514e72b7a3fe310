import type { Clock } from '../../core/clock.ts'
import { DAY_MS } from '../../core/durations.ts'
import type { Log } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import { changelogTopic } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { RuleFeed } from '../rule-feed.ts'
import { createTopology } from '../topology.ts'
import { outputPartitions } from '../worker-topics.ts'
import { type ReplayTaskOptions, replayPartition } from './partition-replay.ts'
import type { PreparedReplay } from './preparation.ts'
import type { PartitionSpan } from './span.ts'
import { readUndecided, type Undecided } from './undecided.ts'

export interface ReplayOptions {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly replay: PreparedReplay
  readonly normalize: (raw: Buffer | null) => Normalized
  readonly openStore: (partition: number) => Promise<OrderedKv>
  /** Most bytes of one partition in one batch. Default 512 KiB, as a worker's. */
  readonly batchBytesMax?: number
  readonly signal: AbortSignal
  readonly onProgress?: (progress: ReplayProgress) => void
}

export interface ReplayProgress {
  /** Records read since this process began. */
  readonly records: number
  /** Of all offsets of the replay, how many lie behind it; from 0 to 1. Offsets have gaps, so it is an estimate. */
  readonly share: number
  /** The share with which this process began: what an earlier one had done. */
  readonly startShare: number
}

/** `stopped`: by the signal; what is done stays done, and the same call goes on from there. */
export type ReplayEnd = { readonly kind: 'complete'; readonly undecided: Undecided } | { readonly kind: 'stopped' }

/** Partitions replayed at once; each has a store and a producer of its own. */
export const PARTITIONS_AT_ONCE = 4
const BATCH_BYTES = 524_288
const DELETE_RETENTION_MS_DEFAULT = DAY_MS

/** Runs the events of the plan through the whole pipeline into the replay's own topics. */
export async function runReplay(options: ReplayOptions): Promise<ReplayEnd> {
  const { signal, replay } = options
  const { spans } = replay.plan
  const task = await taskOptions(options)
  const progress = new Progress(spans, options.onProgress)
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const waiting = [...spans]
  const workOff = async (): Promise<void> => {
    for (let span = waiting.shift(); span !== undefined && !either.aborted; span = waiting.shift()) {
      const { partition } = span
      await replayPartition({
        task,
        span,
        openStore: () => options.openStore(partition),
        batchBytesMax: options.batchBytesMax ?? BATCH_BYTES,
        signal: either,
        advanced: (position, records) => progress.advance(partition, position, records),
      })
    }
  }
  const lanes = Array.from({ length: Math.min(PARTITIONS_AT_ONCE, spans.length) }, () =>
    workOff().catch((error: unknown) => {
      failed.abort()
      throw error
    }),
  )
  const ended = await Promise.allSettled(lanes)
  for (const result of ended) if (result.status === 'rejected') throw result.reason
  if (!progress.isComplete) return { kind: 'stopped' }
  return { kind: 'complete', undecided: await readUndecided(task.rules(), spans, options.openStore) }
}

async function taskOptions(options: ReplayOptions): Promise<ReplayTaskOptions> {
  const { log, clock, logger, replay } = options
  const { plan, own } = replay
  const feed = new RuleFeed({ log, clock, logger, topic: own.control })
  await feed.catchUp()
  await feed.close()
  const changelog = changelogTopic(plan.application)
  return {
    log,
    clock,
    logger,
    application: plan.application,
    topics: own,
    changelog,
    outputPartitions: await outputPartitions(log, own),
    topology: createTopology({ normalize: options.normalize }),
    rules: () => feed.rules,
    reorderWindowMs: plan.reorder_window_ms,
    dedupeWindowMs: plan.dedupe_window_ms,
    deleteRetentionMs: (await log.topic(changelog))?.deleteRetentionMs ?? DELETE_RETENTION_MS_DEFAULT,
  }
}

class Progress {
  readonly #spans: readonly PartitionSpan[]
  readonly #positions = new Map<number, number>()
  readonly #begun = new Map<number, number>()
  readonly #tell: ((progress: ReplayProgress) => void) | undefined
  #records = 0

  constructor(spans: readonly PartitionSpan[], tell: ((progress: ReplayProgress) => void) | undefined) {
    this.#spans = spans
    this.#tell = tell
  }

  advance(partition: number, position: number, records: number): void {
    this.#records += records
    if (!this.#begun.has(partition)) this.#begun.set(partition, position)
    this.#positions.set(partition, position)
    this.#tell?.({
      records: this.#records,
      share: this.#share(this.#positions),
      startShare: this.#share(this.#begun),
    })
  }

  get isComplete(): boolean {
    return this.#spans.every(({ partition, end }) => (this.#positions.get(partition) ?? 0) >= end)
  }

  #share(positions: ReadonlyMap<number, number>): number {
    let done = 0
    let all = 0
    for (const { partition, start, end } of this.#spans) {
      all += end - start
      done += Math.min(end, positions.get(partition) ?? start) - start
    }
    return all === 0 ? 1 : done / all
  }
}
