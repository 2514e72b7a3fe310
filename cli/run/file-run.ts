import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { unwritable } from '../../connectors/files/errors.ts'
import type { LineReader } from '../../connectors/files/lines.ts'
import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import type { Clock } from '../../core/clock.ts'
import { DAY_MS } from '../../core/durations.ts'
import type { Log } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import { silentMetrics } from '../../core/ports/metrics.ts'
import { topicNames } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { type BatchCounts, noCounts } from '../../operators/operator.ts'
import { publishRules } from '../../pipeline/publish-rules.ts'
import { Worker } from '../../pipeline/worker.ts'
import type { RuleSource } from '../../rules/rule-file.ts'
import { openRocksDb } from '../../state/rocksdb.ts'
import { topicSpecs } from '../log-tools/topics.ts'
import { closing } from '../runtime.ts'
import { type Fed, feedLines } from './feed.ts'
import { type FrozenBy, type Summary, summaryOf, writeResults, writeSummary } from './results.ts'

export interface FileRunOptions {
  readonly lines: LineReader
  readonly rules: readonly RuleSource[]
  readonly normalize: (raw: Buffer | null) => Normalized
  readonly out: string
  readonly partitions: number
  readonly reorderWindowMs: number
  readonly dedupeWindowMs: number
  readonly clock: Clock
  readonly logger: Logger
  readonly signal: AbortSignal
  readonly onProgress: (processed: number) => void
}

export interface FileRun {
  readonly summary: Summary
  readonly frozenBy: FrozenBy
}

/** Events on the log ahead of the worker, at most: the file may be larger than the memory. */
const EVENTS_AHEAD_MAX = 50_000

/**
 * A file through the whole pipeline: the embedded log, one worker with its stores, and files at the end. Everything it
 * needs on the way lies in a folder inside `out`, which it removes.
 */
export async function runFile(options: FileRunOptions): Promise<FileRun | undefined> {
  const startedMs = options.clock.monotonic()
  await mkdir(options.out, { recursive: true }).catch(unwritable(options.out))
  const work = await mkdtemp(join(resolve(options.out), '.work-')).catch(unwritable(options.out))
  try {
    const kv = await openRocksDb(join(work, 'log'), { writeBufferBytes: 64 << 20 })
    return await closing(kv, async () => {
      const log = await openEmbeddedLog({ kv, clock: options.clock, logger: options.logger, maintenanceIntervalMs: 0 })
      return closing(log, async () => {
        const counts = await process(log, work, options)
        if (counts === undefined) return undefined
        const frozenBy = await writeResults(log, topicNames(), options.out)
        const summary = summaryOf(counts, Math.round(options.clock.monotonic() - startedMs) / 1000)
        await writeSummary(options.out, summary)
        return { summary, frozenBy }
      })
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Answers the counts, or undefined where it was stopped before the end. */
async function process(log: Log, work: string, options: FileRunOptions): Promise<BatchCounts | undefined> {
  const { partitions, clock, logger, signal } = options
  const topics = topicNames()
  await log.createTopics(topicSpecs({ topics, partitions, retentionMs: 0 }))
  await publishRules({ log, clock, logger, topic: topics.control, rules: options.rules })
  const tally = new Tally()
  const worker = new Worker({
    log,
    clock,
    logger,
    metrics: silentMetrics,
    application: 'run',
    topics,
    normalize: options.normalize,
    openStore: (partition) => openRocksDb(join(work, `partition-${partition}`)),
    reorderWindowMs: options.reorderWindowMs,
    dedupeWindowMs: options.dedupeWindowMs,
    // The feeder ticks at the end of the file; nothing is silent before that.
    tickAfterMs: DAY_MS,
    onBatch: (partition, position, counts) => {
      tally.add(partition, position, counts)
      options.onProgress(tally.counts.events)
    },
  })
  const stopped = new Promise<void>((done) => signal.addEventListener('abort', () => done(), { once: true }))
  const working = worker.run()
  const fed = feed(log, tally, options)
  try {
    // A worker that fails ends the run; otherwise it works until the whole file is done.
    await Promise.race([fed.then(({ ends }) => tally.reached(ends)), working, stopped])
  } finally {
    await worker.stop()
    tally.giveUp()
  }
  await working
  if (signal.aborted) return undefined
  await fed
  return tally.counts
}

async function feed(log: Log, tally: Tally, options: FileRunOptions): Promise<Fed> {
  const producer = await log.producer()
  return closing(producer, () =>
    feedLines(
      options.lines,
      {
        producer,
        topic: topicNames().events,
        partitions: options.partitions,
        normalize: options.normalize,
        pace: (appended) => tally.until(() => appended - tally.counts.events <= EVENTS_AHEAD_MAX),
        signal: options.signal,
      },
      options.reorderWindowMs,
    ),
  )
}

interface Waiter {
  readonly holds: () => boolean
  readonly wake: () => void
}

/** What the worker has done so far, and a way to wait for it. */
class Tally {
  readonly counts: BatchCounts = noCounts()
  readonly #positions = new Map<number, number>()
  #waiting: Waiter[] = []
  #givenUp = false

  add(partition: number, position: number, counts: BatchCounts): void {
    for (const name of Object.keys(counts) as (keyof BatchCounts)[]) this.counts[name] += counts[name]
    this.#positions.set(partition, position)
    this.#wake()
  }

  reached(ends: ReadonlyMap<number, number>): Promise<void> {
    return this.until(() => [...ends].every(([partition, end]) => (this.#positions.get(partition) ?? 0) >= end))
  }

  until(holds: () => boolean): Promise<void> {
    if (holds() || this.#givenUp) return Promise.resolve()
    return new Promise((wake) => {
      this.#waiting.push({ holds, wake })
    })
  }

  /** Nothing more will come: nobody is left waiting. */
  giveUp(): void {
    this.#givenUp = true
    this.#wake()
  }

  #wake(): void {
    const still: Waiter[] = []
    for (const waiter of this.#waiting) {
      if (this.#givenUp || waiter.holds()) waiter.wake()
      else still.push(waiter)
    }
    this.#waiting = still
  }
}
