import { assert } from '../core/assert.ts'
import type { Clock } from '../core/clock.ts'
import { OncewardError } from '../core/errors.ts'
import type { Log, RecordBatch, TransactionalProducer } from '../core/ports/log.ts'
import type { Logger } from '../core/ports/logger.ts'
import type { KvOp, OrderedKv } from '../core/ports/ordered-kv.ts'
import type { Topics } from '../core/topics.ts'
import { EVER } from '../operators/event-time.ts'
import type { BatchOutput } from '../operators/operator.ts'
import type { RuleSet } from '../rules/compiled.ts'
import { PartitionStore } from '../state/partition-store.ts'
import { hourOf } from '../state/seen-ids.ts'
import { NO_INPUT_OFFSET, STORE_FORMAT } from '../state/stamp.ts'
import { type Change, StagedState } from '../state/staged-state.ts'
import { parseHeldKey } from '../state/stores.ts'
import { BATCH_LIMITS, type BatchLimits, type BatchResult, runBatch } from './batch.ts'
import { type OutputPartitions, toRecords } from './outputs.ts'
import { type Recovered, recover } from './recover.ts'
import type { Topology } from './topology.ts'

export interface TaskOptions {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly application: string
  readonly partition: number
  readonly topics: Topics
  readonly changelog: string
  readonly outputPartitions: OutputPartitions
  readonly topology: Topology
  readonly openStore: () => Promise<OrderedKv>
  /** The rules as they stand now; asked once a batch. */
  readonly rules: () => RuleSet
  readonly reorderWindowMs: number
  readonly dedupeWindowMs: number
  readonly deleteRetentionMs: number
  /** Default: BATCH_LIMITS. */
  readonly limits?: BatchLimits
  /** Decoded values kept from one batch to the next; default: what one partition may have at most. */
  readonly cachedValuesMax?: number
  readonly cancelled: () => boolean
}

/** What one committed batch did, for metrics. */
export interface BatchReport {
  readonly output: BatchOutput
  /** Records of the input; 0 where held events alone were released. */
  readonly records: number
  /** Ingest time of the batch's oldest record, ms; undefined where there is none. */
  readonly oldestIngestTs: number | undefined
  readonly batchMs: number
  readonly commitMs: number
}

/**
 * One partition of one application: its transactional id, its store, its place in the input.
 *
 * I4 (commit first): the log has a batch before the store does, so the store is level with the log or behind, never ahead.
 * I5 (one writer): this task's transactional id was opened before the committed offset was read; an older task of the
 *    partition can commit nothing after that.
 * I6 (no second try): after any failure the task is finished; what is true is found out by opening another.
 * I10 (overdue): held events and timers that a batch leaves behind are dealt with by further commits at the same input offset. Until
 *    the last of them the state says so and no stamp names that offset: it would not tell one of these commits from another.
 */
export class PartitionTask {
  readonly recovered: Recovered
  readonly #options: TaskOptions
  readonly #producer: TransactionalProducer
  readonly #store: PartitionStore
  readonly #state: StagedState
  #position: number
  #changelogOffset: number
  #watermark: number | undefined
  #keptFrom: number | undefined
  #heldSince: number | undefined
  #nextTimer: number | undefined
  #overdue: boolean
  /** What the stamp on disk says. */
  #stamped: { readonly inputOffset: number; readonly writtenAt: number }
  /** The hour up to which segments of ids were dropped. */
  #expiredHour = Number.NEGATIVE_INFINITY
  #status: 'open' | 'busy' | 'failed' | 'closed' = 'open'

  private constructor(
    options: TaskOptions,
    producer: TransactionalProducer,
    store: PartitionStore,
    recovered: Recovered,
  ) {
    this.#options = options
    this.#producer = producer
    this.#store = store
    this.recovered = recovered
    this.#position = recovered.position
    this.#changelogOffset = recovered.changelogOffset
    this.#watermark = recovered.meta?.watermark
    this.#keptFrom = recovered.meta?.keptFrom ?? keptFromStart(recovered.position)
    this.#overdue = recovered.meta?.overdue === true
    this.#stamped = recovered.stamp
    const { dedupeWindowMs, cachedValuesMax } = options
    this.#state = new StagedState(store.kv, {
      dedupeWindowMs,
      ...(cachedValuesMax === undefined ? {} : { cachedValuesMax }),
    })
  }

  /** Fences whoever had the partition, recovers its state, and stands ready at its committed offset. */
  static async open(options: TaskOptions): Promise<PartitionTask> {
    const { log, application, partition, topics, changelog, clock } = options
    const producer = await log.transactional(`${application}.${partition}`)
    let kv: OrderedKv | undefined
    try {
      kv = await options.openStore()
      const store = new PartitionStore(kv)
      const recovered = await recover({
        log,
        store,
        application,
        partition,
        events: topics.events,
        changelog,
        deleteRetentionMs: options.deleteRetentionMs,
        now: () => clock.now(),
        cancelled: options.cancelled,
      })
      const task = new PartitionTask(options, producer, store, recovered)
      await task.#readHeldSince()
      await task.#readNextTimer()
      return task
    } catch (error) {
      await kv?.close()
      await producer.close()
      throw error
    }
  }

  /** The next input offset to read. */
  get position(): number {
    return this.#position
  }

  /** Held events or timers whose turn has come wait for a further `process`. */
  get overdue(): boolean {
    return this.#overdue
  }

  /** The next changelog offset that the store does not have. */
  get changelogOffset(): number {
    return this.#changelogOffset
  }

  get watermark(): number | undefined {
    return this.#watermark
  }

  /** Event time of the oldest held event; undefined where none is held. */
  get heldSince(): number | undefined {
    return this.#heldSince
  }

  /** The event time at which time alone next changes something for a player; undefined: never. */
  get nextTimer(): number | undefined {
    return this.#nextTimer
  }

  /**
   * One batch, exactly once, of what was fetched as one:
   *  1. the consumer fetched it; what lies below our position was processed before, what is beyond the limits waits
   *  2. decode, check, ask each operator which state it will touch
   *  3. read all of it in one call
   *  4. run the operators over the staged view
   *  5. one transaction: outputs, the last value of each changed key, the input position
   *  6. only once it has committed: one write to the store, with the stamp
   * To be called with the same fetched batch until it answers undefined: then nothing is left to do, neither records of it
   * nor held events whose turn has come; without one, for the latter alone. Any error leaves the task failed (I6).
   */
  async process(batch?: RecordBatch): Promise<BatchReport | undefined> {
    assert(this.#status === 'open', `a task processes one batch at a time and none after a failure: ${this.#status}`)
    const { records, nextOffset } = this.#portionOf(batch)
    if (records.length === 0 && !this.#overdue) {
      this.#position = Math.max(this.#position, batch?.nextOffset ?? 0)
      return undefined
    }
    this.#status = 'busy'
    try {
      const report = await this.#processRecords(records, nextOffset)
      this.#status = 'open'
      return { ...report, oldestIngestTs: records[0]?.timestamp }
    } catch (error) {
      this.#status = 'failed'
      throw error
    }
  }

  /** What one transaction takes of a fetched batch. Where no record is left, the position stays: it is committed already. */
  #portionOf(batch: RecordBatch | undefined): Pick<RecordBatch, 'records' | 'nextOffset'> {
    if (batch === undefined) return { records: [], nextOffset: this.#position }
    const { records, fetchOffset, nextOffset } = batch
    assert(fetchOffset <= this.#position, `no gap: fetched at ${fetchOffset}, expected ${this.#position}`)
    // The last call for a batch finds it done: that is asked after each, and need not look at its records again.
    if (nextOffset <= this.#position) return { records: [], nextOffset: this.#position }
    const max = (this.#options.limits ?? BATCH_LIMITS).records
    const left = fetchOffset === this.#position ? records : records.filter(({ offset }) => offset >= this.#position)
    const beyond = left[max]
    if (beyond !== undefined) return { records: left.slice(0, max), nextOffset: beyond.offset }
    return { records: left, nextOffset: left.length === 0 ? this.#position : nextOffset }
  }

  async #processRecords(
    records: RecordBatch['records'],
    endOffset: number,
  ): Promise<Omit<BatchReport, 'oldestIngestTs'>> {
    const { clock, application, topics, partition, changelog, outputPartitions } = this.#options
    const startedMs = clock.monotonic()
    const result = await runBatch(this.#options.topology, this.#state, {
      records,
      nextOffset: endOffset,
      rules: this.#options.rules(),
      reorderWindowMs: this.#options.reorderWindowMs,
      watermark: this.#watermark,
      keptFrom: this.#keptFrom,
      heldSince: this.#heldSince,
      nextTimer: this.#nextTimer,
      expireSeen: this.#watermark !== undefined && hourOf(this.#watermark) > this.#expiredHour,
      limits: this.#options.limits ?? BATCH_LIMITS,
    })
    const { nextOffset } = result
    const changes = this.#state.changes(nextOffset)
    const destination = { topics, partitions: outputPartitions, changelog, partition }
    await this.#keepStampYoung()
    const commitStartedMs = clock.monotonic()
    const ends = await this.#producer.commit({
      records: toRecords(result.output, changes, destination, clock.now()),
      offsets: { group: application, positions: [{ topic: topics.events, partition, offset: nextOffset }] },
    })
    const commitMs = clock.monotonic() - commitStartedMs
    const end = ends.find(({ topic, partition: of }) => topic === changelog && of === partition)
    assert(end !== undefined, 'a commit tells where the changelog ends')
    this.#changelogOffset = end.nextOffset
    await this.#write(changes, this.#state.indexOps(), result.overdue ? NO_INPUT_OFFSET : nextOffset)
    await this.#advance(result)
    return { output: result.output, records: result.records, batchMs: clock.monotonic() - startedMs, commitMs }
  }

  /** The batch is in the log and in the store: now it is what this task goes on from. */
  async #advance(result: BatchResult): Promise<void> {
    this.#state.settled()
    if (!result.expiryPending && this.#watermark !== undefined) this.#expiredHour = hourOf(this.#watermark)
    this.#position = result.nextOffset
    this.#watermark = result.watermark
    this.#keptFrom = result.keptFrom
    this.#overdue = result.overdue
    if (result.heldChanged) await this.#readHeldSince()
    if (result.timersChanged) await this.#readNextTimer()
  }

  /** Closes the store and the producer; idempotent. A batch under way must have ended. */
  async close(): Promise<void> {
    if (this.#status === 'closed') return
    assert(this.#status !== 'busy', 'a task is closed between batches')
    this.#status = 'closed'
    try {
      await this.#producer.close()
    } finally {
      await this.#store.close()
    }
  }

  /** Cuts off a batch under way, whatever its commit comes to: `process` then rejects. `close` is still to be called. */
  async abandon(): Promise<void> {
    await this.#producer.close()
  }

  async #readHeldSince(): Promise<void> {
    const key = await this.#state.firstHeld()
    this.#heldSince = key === undefined ? undefined : parseHeldKey(key).ts
  }

  async #readNextTimer(): Promise<void> {
    this.#nextTimer = await this.#state.firstTimer()
  }

  /**
   * Between two batches the store is level and misses no tombstone. A stamp that was written long ago does not say so: were
   * the worker killed between this commit and its write, the store would be taken for one that has been away for as long.
   */
  async #keepStampYoung(): Promise<void> {
    const { clock, deleteRetentionMs } = this.#options
    const { inputOffset, writtenAt } = this.#stamped
    if (clock.now() - writtenAt >= deleteRetentionMs / 2) await this.#write([], [], inputOffset)
  }

  async #write(changes: readonly Change[], indexOps: readonly KvOp[], inputOffset: number): Promise<void> {
    const { application, partition, clock } = this.#options
    const writtenAt = clock.now()
    const changelogOffset = this.#changelogOffset
    const stamp = { format: STORE_FORMAT, application, partition, inputOffset, changelogOffset, writtenAt }
    await this.#store.write(changes, indexOps, stamp)
    this.#stamped = { inputOffset, writtenAt }
  }
}

/** Of a state that does not say what it has forgotten: nothing, where no record came before. */
function keptFromStart(position: number): number | undefined {
  return position === 0 ? EVER : undefined
}

/** True where trying again, with a fresh task, may help. */
export function isRecoverable(error: unknown): boolean {
  return error instanceof OncewardError && (error.retry || error.code === 'ONCEWARD_E_LOG_FENCED')
}
