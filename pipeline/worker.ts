import type { Clock } from '../core/clock.ts'
import { HOUR_MS } from '../core/durations.ts'
import { messageOf, OncewardError } from '../core/errors.ts'
import type { HealthReport } from '../core/ports/health.ts'
import type { GroupConsumer, GroupControl, GroupHandler, Log, RecordBatch, TopicPartition } from '../core/ports/log.ts'
import type { Logger } from '../core/ports/logger.ts'
import type { Metrics } from '../core/ports/metrics.ts'
import type { OrderedKv } from '../core/ports/ordered-kv.ts'
import { changelogTopic, type Topics } from '../core/topics.ts'
import type { Normalized } from '../operators/normalize.ts'
import type { BatchCounts } from '../operators/operator.ts'
import type { OutputPartitions } from './outputs.ts'
import { RuleFeed } from './rule-feed.ts'
import { isRecoverable, PartitionTask, type TaskOptions } from './task.ts'
import { runTicker } from './ticker.ts'
import { createTopology } from './topology.ts'
import { outputPartitions, prepareWorkerTopics } from './worker-topics.ts'
import { reportBatch } from './worker-metrics.ts'

export interface WorkerOptions {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** Also the consumer group, and the prefix of transactional ids and of the changelog. */
  readonly application: string
  readonly topics: Topics
  readonly normalize: (raw: Buffer | null) => Normalized
  /** Opens the store of a partition; the worker closes it. */
  readonly openStore: (partition: number) => Promise<OrderedKv>
  /** Partitions that have a store here already: the group gives this worker those rather than others. */
  readonly storedPartitions?: () => readonly number[]
  readonly reorderWindowMs: number
  readonly dedupeWindowMs: number
  /** How long a partition with held events may be silent before a tick moves its time, ms of wall clock. */
  readonly tickAfterMs: number
  readonly sessionTimeoutMs?: number
  readonly batchBytesMax?: number
  readonly replicationFactor?: number
  /** Told of every batch once it is committed. */
  readonly onBatch?: (partition: number, position: number, counts: BatchCounts) => void
}

/** Times a partition's task is opened again after failures in a row, before the worker gives up. */
const FAILURES_MAX = 8
const BACKOFF_MS_MAX = 5_000
/** A fenced task waits this long: either the group takes the partition away meanwhile, or it is still ours to take back. */
const FENCED_WAIT_MS = 1_000
const HEARTBEAT_EVERY_MS = 1_000
/** Kafka's default of delete.retention.ms, where the broker does not tell. */
const DELETE_RETENTION_MS_DEFAULT = 24 * HOUR_MS

/** What all tasks of a worker share. */
type CommonTaskOptions = Omit<TaskOptions, 'partition' | 'openStore' | 'cancelled'>

/** One partition that the group has given to this worker. */
interface Slot {
  readonly partition: number
  task: PartitionTask | undefined
  /** The batch or the opening under way: the hand-over waits for it. */
  busy: Promise<unknown>
  lost: boolean
  failures: number
  /** Monotonic ms of the last batch. */
  lastBatchAt: number
}

/**
 * A worker: one member of the application's group, one task for each partition it is given. Any number of workers share
 * the work; what keeps them from paying twice is not the group but the transactional id of each partition.
 */
export class Worker {
  readonly #options: WorkerOptions
  readonly #feed: RuleFeed
  readonly #slots = new Map<number, Slot>()
  readonly #stopping = new AbortController()
  #consumer: GroupConsumer | undefined
  #taskOptions: CommonTaskOptions | undefined
  #assigned = false

  constructor(options: WorkerOptions) {
    this.#options = options
    const { log, logger, clock, topics } = options
    this.#feed = new RuleFeed({ log, topic: topics.control, logger, clock })
  }

  /** Works until `stop`; rejects with an OncewardError where it cannot go on. */
  async run(): Promise<void> {
    const { log, topics, application, sessionTimeoutMs, batchBytesMax, storedPartitions } = this.#options
    try {
      await prepareWorkerTopics(this.#options)
      this.#taskOptions = await this.#prepareTasks()
      await this.#waitForRules()
      if (this.#stopping.signal.aborted) return
      this.#feed.follow()
      this.#consumer = log.consumer({
        group: application,
        topics: [topics.events],
        holdsState: () => (storedPartitions?.() ?? []).map((partition) => ({ topic: topics.events, partition })),
        ...(sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }),
        ...(batchBytesMax === undefined ? {} : { batchBytesMax }),
      })
      const ticker = runTicker({ ...this.#options, slots: () => this.#slots.values(), signal: this.#stopping.signal })
      try {
        await this.#consumer.run(this.#handler())
      } finally {
        this.#stopping.abort()
        await ticker
      }
    } finally {
      this.#stopping.abort()
      await Promise.all([...this.#slots.values()].map((slot) => this.#release(slot)))
      await this.#feed.close()
    }
  }

  /** Finishes the batches under way, closes the stores, leaves the group. `run` then resolves. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const slot of this.#slots.values()) slot.lost = true
    await this.#consumer?.stop()
  }

  health(): HealthReport {
    const opening = [...this.#slots.values()].filter(({ task }) => task === undefined)
    return {
      alive: true,
      ready: this.#assigned && opening.length === 0 && !this.#stopping.signal.aborted,
      reasons: [
        ...(this.#assigned ? [] : ['the group has not given this worker its partitions yet']),
        ...opening.map(({ partition }) => `partition ${partition} is recovering`),
        ...(this.#stopping.signal.aborted ? ['the worker is stopping'] : []),
      ],
    }
  }

  async #prepareTasks(): Promise<CommonTaskOptions> {
    const { log, clock, logger, application, topics, normalize, reorderWindowMs, dedupeWindowMs } = this.#options
    const changelog = changelogTopic(application)
    const info = await log.topic(changelog)
    const partitions: OutputPartitions = await outputPartitions(log, topics)
    return {
      log,
      clock,
      logger,
      application,
      topics,
      changelog,
      outputPartitions: partitions,
      topology: createTopology({ normalize }),
      rules: () => this.#feed.rules,
      reorderWindowMs,
      dedupeWindowMs,
      deleteRetentionMs: info?.deleteRetentionMs ?? DELETE_RETENTION_MS_DEFAULT,
    }
  }

  /** A worker without a single rule would let events pass that can never be scored again, so it waits. */
  async #waitForRules(): Promise<void> {
    const { logger, clock, topics } = this.#options
    await this.#feed.catchUp()
    let told = false
    while (this.#feed.rules.versions.length === 0 && !this.#stopping.signal.aborted) {
      if (!told)
        logger.warn(
          { topic: topics.control },
          'no rules are published yet; waiting for the first, so that no event passes unscored',
        )
      told = true
      await clock.sleep(500, this.#stopping.signal)
      await this.#feed.catchUp()
    }
  }

  #handler(): GroupHandler {
    return {
      rebalanced: async ({ gained, lost }) => {
        await Promise.all(lost.map(({ partition }) => this.#lose(partition)))
        await Promise.all(gained.map(({ partition }) => this.#gain(partition)))
        this.#assigned = true
        this.#options.metrics.partitions.set(this.#slots.size, { topic: this.#options.topics.events })
      },
      startOffset: ({ partition }: TopicPartition) => this.#slots.get(partition)?.task?.position,
      batch: (batch, control) => {
        const slot = this.#slots.get(batch.partition)
        if (slot === undefined || slot.lost) return Promise.resolve(batch.fetchOffset)
        const work = this.#batch(slot, batch, control)
        slot.busy = work.catch(() => undefined)
        return work
      },
    }
  }

  async #gain(partition: number): Promise<void> {
    const slot: Slot = {
      partition,
      task: undefined,
      busy: Promise.resolve(),
      lost: this.#stopping.signal.aborted,
      failures: 0,
      lastBatchAt: this.#options.clock.monotonic(),
    }
    this.#slots.set(partition, slot)
    const opening = this.#openWithRetry(slot)
    slot.busy = opening.catch(() => undefined)
    await opening
  }

  async #lose(partition: number): Promise<void> {
    const slot = this.#slots.get(partition)
    if (slot === undefined) return
    await this.#release(slot)
    this.#options.logger.info({ partition }, 'partition handed over')
  }

  async #release(slot: Slot): Promise<void> {
    slot.lost = true
    await slot.busy
    this.#slots.delete(slot.partition)
    this.#options.metrics.lagRecords.remove({ topic: this.#options.topics.events, partition: slot.partition })
    this.#options.metrics.lagSeconds.remove({ topic: this.#options.topics.events, partition: slot.partition })
    await this.#closeTask(slot)
  }

  /** Answers the position to read next. */
  async #batch(slot: Slot, batch: RecordBatch, control: GroupControl): Promise<number> {
    if (slot.task === undefined) await this.#openWithRetry(slot, control)
    const { task } = slot
    if (task === undefined) return batch.fetchOffset
    if (batch.fetchOffset > task.position) return task.position
    try {
      const report = await task.process(batch)
      slot.failures = 0
      slot.lastBatchAt = this.#options.clock.monotonic()
      if (report !== undefined) {
        reportBatch(this.#options, batch, report)
        this.#options.onBatch?.(slot.partition, task.position, report.output.counts)
      }
      return task.position
    } catch (error) {
      await this.#closeTask(slot)
      this.#countFailure(slot, error)
      await this.#openWithRetry(slot, control, error)
      return slot.task?.position ?? batch.fetchOffset
    }
  }

  /** Opens the slot's task, again and again within the bound; leaves it undefined where the partition was lost meanwhile. */
  async #openWithRetry(slot: Slot, control?: GroupControl, former?: unknown): Promise<void> {
    let error = former
    while (slot.task === undefined && !slot.lost) {
      if (error !== undefined) await this.#backOff(slot, error, control)
      if (slot.lost) return
      try {
        slot.task = await this.#whileAlive(control, this.#open(slot))
      } catch (thrown) {
        if (slot.lost) return
        error = thrown
        this.#countFailure(slot, thrown)
      }
    }
  }

  async #open(slot: Slot): Promise<PartitionTask> {
    const { clock, logger, metrics, openStore } = this.#options
    const { partition } = slot
    if (this.#taskOptions === undefined) throw new OncewardError('ONCEWARD_E_INTERNAL', 'a partition came before run')
    const startedMs = clock.monotonic()
    const task = await PartitionTask.open({
      ...this.#taskOptions,
      partition,
      openStore: () => openStore(partition),
      cancelled: () => slot.lost,
    })
    const { recovery, position, applied } = task.recovered
    const seconds = (clock.monotonic() - startedMs) / 1000
    metrics.recoverySeconds.observe(seconds, { decision: recovery.kind })
    logger.info(
      { partition, decision: recovery.kind, position, applied, seconds },
      `partition recovered: ${recovery.kind}, ${recovery.reason}`,
    )
    return task
  }

  /** Tells the group that this member lives for as long as `work` takes: a recovery may outlast a session. */
  async #whileAlive<T>(control: GroupControl | undefined, work: Promise<T>): Promise<T> {
    if (control === undefined) return work
    const done = new AbortController()
    const beating = (async () => {
      while (!done.signal.aborted) {
        await control.heartbeat()
        await this.#options.clock.sleep(HEARTBEAT_EVERY_MS, done.signal)
      }
    })()
    try {
      return await work
    } finally {
      done.abort()
      await beating
    }
  }

  /** Throws where trying again cannot help or has been tried often enough. */
  #countFailure(slot: Slot, error: unknown): void {
    const { partition } = slot
    slot.failures++
    if (!isRecoverable(error)) throw error
    if (slot.failures > FAILURES_MAX) {
      throw new OncewardError(
        'ONCEWARD_E_GAVE_UP',
        `partition ${partition} failed ${slot.failures} times in a row, the last time with: ${messageOf(error)}`,
        { cause: error },
      )
    }
    this.#options.logger.warn(
      { partition, failures: slot.failures, error: messageOf(error) },
      'partition failed; it is recovered and tried again',
    )
  }

  async #backOff(slot: Slot, error: unknown, control: GroupControl | undefined): Promise<void> {
    const { clock } = this.#options
    const fenced = error instanceof OncewardError && error.code === 'ONCEWARD_E_LOG_FENCED'
    const waitMs = Math.max(fenced ? FENCED_WAIT_MS : 0, Math.min(BACKOFF_MS_MAX, 50 * 2 ** slot.failures))
    for (let waited = 0; waited < waitMs && !slot.lost; waited += HEARTBEAT_EVERY_MS) {
      await control?.heartbeat()
      await clock.sleep(Math.min(HEARTBEAT_EVERY_MS, waitMs - waited), this.#stopping.signal)
    }
  }

  async #closeTask(slot: Slot): Promise<void> {
    const { task, partition } = slot
    slot.task = undefined
    try {
      await task?.close()
    } catch (error) {
      this.#options.logger.warn(
        { partition, error: messageOf(error) },
        'closing a partition failed; its state is recovered when it is opened next',
      )
    }
  }
}
