import type { Clock } from '../core/clock.ts'
import { hasCode, messageOf, OncewardError } from '../core/errors.ts'
import type { GroupControl, RecordBatch } from '../core/ports/log.ts'
import type { Logger } from '../core/ports/logger.ts'
import type { RuleFeed } from './rule-feed.ts'
import { type BatchReport, isRecoverable, type PartitionTask } from './task.ts'
import type { SchemaLoader } from './wire/schema-loader.ts'

export interface PartitionSlotOptions {
  readonly partition: number
  readonly clock: Clock
  readonly logger: Logger
  /** Opens the partition's task; stops early once `cancelled` says so. */
  readonly openTask: (cancelled: () => boolean) => Promise<PartitionTask>
  /** Told of every transaction; `batch`: what it was fetched in, undefined where it released held events alone. */
  readonly onBatch: (done: { report: BatchReport; position: number; batch: RecordBatch | undefined }) => void
  /** A batch does not begin while the rules are too old to judge its events by. */
  readonly feed: Pick<RuleFeed, 'fresh' | 'untilFresh'>
  /** Nor before the schemas that its events were written by are known; undefined: Avro is not decoded. */
  readonly schemas?: Pick<SchemaLoader, 'untilLoaded'> | undefined
  /** Told whenever the partition begins or ceases to be failed, with what it failed with. */
  readonly onFailed: (failure: unknown) => void
  /** How long a failed partition waits before it is tried again, ms; default 30,000. */
  readonly failedRetryMs?: number
}

/** Failures in a row after which a partition counts as failed, although trying again may help. */
export const FAILURES_MAX = 8
export const FAILED_RETRY_MS = 30_000
const BACKOFF_MS_MAX = 5_000
/** A fenced task waits this long: either the group takes the partition away meanwhile, or it is still ours to take back. */
const FENCED_WAIT_MS = 1_000
/** A batch waits this long for a task that is being opened; then it is given back, so that a hand-over need not wait. */
const OPENING_WAIT_MS = 500

export type Retry =
  /** Opened again after `waitMs`. */
  | { readonly kind: 'soon'; readonly waitMs: number }
  /** Failed: said so wherever anyone looks, and tried again after `waitMs` all the same. */
  | { readonly kind: 'failed'; readonly waitMs: number }

/** What follows from a failure of a partition's task, `failures` in a row with this one. Pure. */
export function decideRetry(error: unknown, failures: number, failedRetryMs = FAILED_RETRY_MS): Retry {
  if (!isRecoverable(error) || failures > FAILURES_MAX) return { kind: 'failed', waitMs: failedRetryMs }
  const fencedMs = hasCode(error, 'ONCEWARD_E_LOG_FENCED') ? FENCED_WAIT_MS : 0
  return { kind: 'soon', waitMs: Math.max(fencedMs, Math.min(BACKOFF_MS_MAX, 50 * 2 ** failures)) }
}

/**
 * One partition that the group has given to this worker: its task, opened and opened again until the partition is
 * handed over. Each slot minds itself alone, so that one partition's trouble is never another's.
 */
export class PartitionSlot {
  readonly partition: number
  readonly #options: PartitionSlotOptions
  readonly #gone = new AbortController()
  readonly #abandoned = withResolver()
  #task: PartitionTask | undefined
  /** The batch under way: the hand-over waits for it. */
  #busy: Promise<unknown> = Promise.resolve()
  /** Settles once the task is open or the partition is gone. */
  #opening: Promise<void> = Promise.resolve()
  #failures = 0
  #failure: unknown
  #lastBatchAt: number

  constructor(options: PartitionSlotOptions) {
    this.partition = options.partition
    this.#options = options
    this.#lastBatchAt = options.clock.monotonic()
  }

  get task(): PartitionTask | undefined {
    return this.#task
  }

  /** Monotonic ms of the last batch. */
  get lastBatchAt(): number {
    return this.#lastBatchAt
  }

  /** What it failed with, where it is waiting for its next try; undefined where it works or recovers. */
  get failure(): unknown {
    return this.#failure
  }

  /** Opens the task, again and again. Resolves after the first try, whatever came of it. */
  async open(): Promise<void> {
    const { promise: tried, resolve } = withResolver()
    this.#opening = this.#openUntilDone(undefined, resolve)
    await Promise.race([tried, this.#abandoned.promise])
  }

  /** Nothing new begins. What is under way ends, and waits end at once. */
  lose(): void {
    this.#gone.abort()
  }

  /**
   * For a stop that must not wait for a log without answers: what is under way is cut off. Whether a commit among it
   * counts is settled by whoever opens the partition next. Never rejects.
   */
  async abandon(): Promise<void> {
    this.lose()
    this.#abandoned.resolve()
    await this.#task?.abandon().catch(() => undefined)
  }

  /** Hands the partition over: what is under way ends, and the task is closed. Never rejects. */
  async release(): Promise<void> {
    this.lose()
    await this.#busy
    await Promise.race([this.#opening, this.#abandoned.promise])
    await this.#closeTask()
  }

  /** Answers the position to read next. */
  batch(batch: RecordBatch, control: GroupControl): Promise<number> {
    if (this.#gone.signal.aborted) return Promise.resolve(batch.fetchOffset)
    const work = this.#process(batch, control)
    this.#busy = work.catch(() => undefined)
    return work
  }

  async #process(batch: RecordBatch, control: GroupControl): Promise<number> {
    await this.#opened()
    const task = this.#task
    if (task === undefined) return batch.fetchOffset
    if (batch.fetchOffset > task.position) return task.position
    const { schemas } = this.#options
    const waiting = { signal: this.#gone.signal, alive: () => control.heartbeat() }
    if (schemas !== undefined && !(await schemas.untilLoaded(batch.records, waiting))) return task.position
    try {
      await this.#workOff(task, batch, () => control.heartbeat())
      return task.position
    } catch (error) {
      await this.#closeTask()
      if (!this.#gone.signal.aborted) this.#opening = this.#openUntilDone({ error }, () => undefined)
      await this.#opened()
      return this.#task?.position ?? batch.fetchOffset
    }
  }

  /** One transaction after the other, until nothing is left to do or the partition is to be handed over. */
  async #workOff(task: PartitionTask, batch?: RecordBatch, between?: () => Promise<void>): Promise<void> {
    for (;;) {
      if (!this.#options.feed.fresh && !(await this.#freshened(between))) return
      const report = await task.process(batch)
      this.#failures = 0
      this.#lastBatchAt = this.#options.clock.monotonic()
      if (report === undefined) return
      this.#options.onBatch({ report, position: task.position, batch })
      if (this.#gone.signal.aborted) return
      await between?.()
    }
  }

  async #opened(): Promise<void> {
    if (this.#task !== undefined || this.#gone.signal.aborted) return
    const over = new AbortController()
    await Promise.race([this.#opening, this.#options.clock.sleep(OPENING_WAIT_MS, over.signal)])
    over.abort()
  }

  /** Waits until the rules are fresh; false where the partition goes meanwhile. */
  async #freshened(waiting?: () => Promise<void>): Promise<boolean> {
    const { feed } = this.#options
    const gone = this.#gone.signal
    while (!feed.fresh && !gone.aborted) {
      await feed.untilFresh(gone)
      await waiting?.()
    }
    return !gone.aborted
  }

  /** `tried` is called after the first try. Never rejects. */
  async #openUntilDone(former: { readonly error: unknown } | undefined, tried: () => void): Promise<void> {
    const { openTask, clock } = this.#options
    const gone = this.#gone.signal
    if (former !== undefined) await clock.sleep(this.#count(former.error), gone)
    while (!gone.aborted) {
      try {
        const task = await openTask(() => gone.aborted)
        if (task.overdue) {
          // The others gained with it need not wait for what may be a million events.
          tried()
          await this.#workOff(task).catch((error: unknown) => this.#closeTask(task).then(() => Promise.reject(error)))
        }
        this.#task = task
        // Given up while it was opened: nobody else will close it.
        if (gone.aborted) await this.#closeTask()
        else this.#mend()
        break
      } catch (error) {
        if (gone.aborted) break
        const waitMs = this.#count(error)
        tried()
        await clock.sleep(waitMs, gone)
      }
    }
    tried()
  }

  /** Counts a failure and answers how long to wait before the next try. */
  #count(error: unknown): number {
    const { partition, logger, failedRetryMs, onFailed } = this.#options
    this.#failures++
    const retry = decideRetry(error, this.#failures, failedRetryMs)
    const fields = { partition, failures: this.#failures, error: messageOf(error), retryInMs: retry.waitMs }
    if (retry.kind === 'soon') {
      logger.warn(fields, 'partition failed; it is recovered and tried again')
      return retry.waitMs
    }
    this.#failure = isRecoverable(error) ? gaveUp(partition, this.#failures, error) : error
    logger.error(
      { ...fields, err: error },
      'partition has failed and stands still; it is tried again, and the other partitions go on',
    )
    onFailed(this.#failure)
    return retry.waitMs
  }

  #mend(): void {
    if (this.#failure === undefined) return
    this.#failure = undefined
    this.#options.logger.info({ partition: this.partition }, 'partition works again after it had failed')
    this.#options.onFailed(undefined)
  }

  async #closeTask(task = this.#task): Promise<void> {
    this.#task = undefined
    try {
      await task?.close()
    } catch (error) {
      this.#options.logger.warn(
        { partition: this.partition, error: messageOf(error) },
        'closing a partition failed; its state is recovered when it is opened next',
      )
    }
  }
}

function gaveUp(partition: number, failures: number, cause: unknown): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_GAVE_UP',
    `partition ${partition} failed ${failures} times in a row, the last time with: ${messageOf(cause)}`,
    { cause },
  )
}

function withResolver(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
