import type { Clock } from '../../core/clock.ts'
import { DAY_MS, MINUTE_MS } from '../../core/durations.ts'
import { OncewardError } from '../../core/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import { type Logger, silentLogger } from '../../core/ports/logger.ts'
import { silentMetrics } from '../../core/ports/metrics.ts'
import type { Topics } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { Worker } from '../../pipeline/worker.ts'
import { openRocksDb } from '../../state/rocksdb.ts'
import { storedPartitions, storeFolder } from '../worker-process.ts'

export interface BenchWorkerOptions {
  readonly log: Log
  readonly clock: Clock
  readonly application: string
  readonly topics: Topics
  readonly normalize: (raw: Buffer | null) => Normalized
  /** The worker's state folder. */
  readonly state: string
}

/** How a partition's state came to be, as the worker's own log says it. */
export interface Opening {
  readonly decision: string
  readonly seconds: number
  readonly applied: number
}

/** The longest that anything is waited for. */
const PATIENCE_MS = 600_000
const LOOK_EVERY_MS = 2

/** A worker of this process, and what it has done so far. */
export class BenchWorker {
  readonly #options: BenchWorkerOptions
  readonly #worker: Worker
  readonly #ended: Promise<void>
  #failure: unknown
  /** The last partition that it opened. */
  opening: Opening | undefined
  /** The copy that it keeps has all that there is. */
  level = false
  events = 0

  constructor(options: BenchWorkerOptions) {
    this.#options = options
    const { log, clock, application, topics, normalize, state } = options
    this.#worker = new Worker({
      log,
      clock,
      logger: this.#logger(),
      metrics: silentMetrics,
      application,
      topics,
      normalize,
      openStore: (partition) => openRocksDb(storeFolder(state, application, partition)),
      storedPartitions: () => storedPartitions(state, application),
      standby: 1,
      reorderWindowMs: MINUTE_MS,
      dedupeWindowMs: DAY_MS,
      tickAfterMs: DAY_MS,
      onBatch: (_partition, _position, counts) => {
        this.events += counts.events
      },
    })
    this.#ended = this.#worker.run().catch((error: unknown) => {
      this.#failure = error
    })
  }

  /** Waits until `holds`; throws what ended the worker, or the signal's reason. */
  async until(holds: (worker: BenchWorker) => boolean, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const giveUpAt = clock.monotonic() + PATIENCE_MS
    while (!holds(this)) {
      if (this.#failure !== undefined) throw this.#failure
      signal.throwIfAborted()
      if (clock.monotonic() > giveUpAt) {
        throw new OncewardError('ONCEWARD_E_GAVE_UP', `the worker did not get there within ${PATIENCE_MS / 1000} s`)
      }
      await clock.sleep(LOOK_EVERY_MS, signal)
    }
  }

  async stop(): Promise<void> {
    await this.#worker.stop()
    await this.#ended
  }

  #logger(): Logger {
    const info = (fields: object, message: string): void => {
      if ('decision' in fields && 'seconds' in fields && 'applied' in fields) {
        const { decision, seconds, applied } = fields
        this.opening = { decision: String(decision), seconds: Number(seconds), applied: Number(applied) }
      }
      if (message === 'standby copy is level') this.level = true
    }
    return { ...silentLogger, info, child: () => this.#logger() }
  }
}
