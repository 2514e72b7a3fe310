import type { Clock } from '../core/clock.ts'
import { HOUR_MS } from '../core/durations.ts'
import { messageOf, OncewardError } from '../core/errors.ts'
import type { HealthReport } from '../core/ports/health.ts'
import type { GroupConsumer, GroupHandler, Log, MemberMemory, TopicPartition } from '../core/ports/log.ts'
import type { Logger } from '../core/ports/logger.ts'
import type { Metrics } from '../core/ports/metrics.ts'
import type { OrderedKv } from '../core/ports/ordered-kv.ts'
import { changelogTopic, type Topics } from '../core/topics.ts'
import { cachedValuesFor } from '../state/staged-state.ts'
import type { Normalized } from '../operators/normalize.ts'
import type { BatchCounts } from '../operators/operator.ts'
import type { BatchLimits } from './batch.ts'
import type { OutputPartitions } from './outputs.ts'
import { PartitionSlot } from './partition-slot.ts'
import { RuleFeed } from './rule-feed.ts'
import { Standbys } from './standbys.ts'
import { Stores } from './stores.ts'
import { PartitionTask, type TaskOptions } from './task.ts'
import { runTicker } from './ticker.ts'
import { createTopology } from './topology.ts'
import { outputPartitions, prepareWorkerTopics } from './worker-topics.ts'
import type { SchemaLoader } from './wire/schema-loader.ts'
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
  /** Learns the schemas of events in Avro before `normalize` meets them; undefined: none are decoded. */
  readonly schemas?: SchemaLoader | undefined
  /** Opens the store of a partition; the worker closes it. */
  readonly openStore: (partition: number) => Promise<OrderedKv>
  /** Partitions that have a store here already: the group gives this worker those rather than others. */
  readonly storedPartitions?: () => readonly number[]
  /** Deletes the store of a partition, which is closed. */
  readonly removeStore?: (partition: number) => Promise<void>
  /** How long the store of a partition that this worker has no part in any more is kept, ms; for ever where it is left out. */
  readonly storeRetentionMs?: number
  /** Copies of each partition's state that workers shall keep beside its owner's, this one among them; default 0. */
  readonly standby?: number
  readonly reorderWindowMs: number
  readonly dedupeWindowMs: number
  /** How long a partition with held events may be silent before a tick moves its time, ms of wall clock. */
  readonly tickAfterMs: number
  readonly sessionTimeoutMs?: number
  /** So that a worker that was killed gets its partitions back at once when it is started again. */
  readonly memory?: MemberMemory
  /** How long a failed partition waits before it is tried again, ms; default 30,000. */
  readonly failedRetryMs?: number
  /** How old the rules may be when a batch begins, ms; default RULES_AGE_MS_MAX. */
  readonly rulesAgeMsMax?: number
  readonly batchBytesMax?: number
  /** Of one transaction; default BATCH_LIMITS. */
  readonly limits?: BatchLimits
  readonly replicationFactor?: number
  /** Told of every batch once it is committed. */
  readonly onBatch?: (partition: number, position: number, counts: BatchCounts) => void
}

/** How long a stop waits for batches under way: with leaving the group (2 s at most), under the 5 s of a hand-over. */
const STOP_GRACE_MS = 1_500
/** Kafka's default of delete.retention.ms, where the broker does not tell. */
const DELETE_RETENTION_MS_DEFAULT = 24 * HOUR_MS

/** What all tasks of a worker share. */
type CommonTaskOptions = Omit<TaskOptions, 'partition' | 'openStore' | 'cancelled'>

/**
 * A worker: one member of the application's group, one task for each partition it is given. Any number of workers share
 * the work; what keeps them from paying twice is not the group but the transactional id of each partition.
 */
export class Worker {
  readonly #options: WorkerOptions
  readonly #feed: RuleFeed
  readonly #slots = new Map<number, PartitionSlot>()
  readonly #stopping = new AbortController()
  readonly #stores: Stores
  #standbys: Standbys | undefined
  #consumer: GroupConsumer | undefined
  #taskOptions: CommonTaskOptions | undefined
  #assigned = false
  /** Rejects where no partition works any more. */
  readonly #failed: Promise<never>
  #fail: (error: unknown) => void = () => undefined

  constructor(options: WorkerOptions) {
    this.#options = options
    const { log, logger, clock, topics } = options
    this.#feed = new RuleFeed({ log, topic: topics.control, logger, clock, ageMsMax: options.rulesAgeMsMax })
    this.#stores = new Stores({
      clock,
      logger,
      open: options.openStore,
      list: options.storedPartitions ?? (() => []),
      remove: options.removeStore,
      retentionMs: options.storeRetentionMs,
    })
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.#failed.catch(() => undefined)
  }

  /** Works until `stop`; rejects with an OncewardError where it cannot go on. */
  async run(): Promise<void> {
    const { log, topics, application, sessionTimeoutMs, batchBytesMax, standby, memory } = this.#options
    const { signal } = this.#stopping
    try {
      await prepareWorkerTopics(this.#options)
      this.#taskOptions = await this.#prepareTasks()
      this.#standbys = new Standbys({ ...this.#taskOptions, openStore: (partition) => this.#stores.open(partition) })
      await this.#stores.takeStock()
      await this.#waitForRules()
      if (this.#stopping.signal.aborted) return
      this.#feed.follow()
      this.#consumer = log.consumer({
        group: application,
        topics: [topics.events],
        holdsState: () => this.#held().map((held) => ({ topic: topics.events, ...held })),
        ...(standby === undefined ? {} : { standbyCopies: standby }),
        ...(sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }),
        ...(memory === undefined ? {} : { memory }),
        ...(batchBytesMax === undefined ? {} : { batchBytesMax }),
      })
      const ticker = runTicker({ ...this.#options, slots: () => this.#slots.values(), signal })
      const sweeper = this.#stores.sweep(signal, (partition) => !this.#assigned || this.#uses(partition))
      try {
        await Promise.race([this.#consumer.run(this.#handler()), this.#failed])
      } finally {
        this.#stopping.abort()
        await Promise.all([ticker, sweeper])
      }
    } finally {
      await this.stop()
      await Promise.all([...this.#slots.values()].map((slot) => this.#release(slot)))
      await this.#feed.close()
    }
  }

  /**
   * Finishes the batches under way, closes the stores, leaves the group. `run` then resolves. What the log does not
   * answer within the grace is cut off, for a stop must not wait for a broker.
   */
  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const slot of this.#slots.values()) slot.lose()
    const stopped = new AbortController()
    const cutOff = this.#cutOffAfterGrace(stopped.signal)
    const copiesClosed = this.#standbys?.close()
    await this.#consumer?.stop()
    await Promise.race([copiesClosed, cutOff])
    stopped.abort()
    await cutOff
  }

  async #cutOffAfterGrace(stopped: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(STOP_GRACE_MS, stopped)
    if (stopped.aborted) return
    this.#options.logger.warn({}, 'the log does not answer; stopping without what it was last asked to do')
    await Promise.all([...this.#slots.values()].map((slot) => slot.abandon()))
  }

  health(): HealthReport {
    const slots = [...this.#slots.values()]
    const failed = slots.filter(({ failure }) => failure !== undefined)
    const opening = slots.filter(({ task, failure }) => task === undefined && failure === undefined)
    const reasons = [
      ...(this.#assigned ? [] : ['the group has not given this worker its partitions yet']),
      ...opening.map(({ partition }) => `partition ${partition} is recovering`),
      ...failed.map(({ partition, failure }) => `partition ${partition} has failed: ${messageOf(failure)}`),
      ...(this.#feed.holding ? ['rule updates cannot be read; events wait until they can'] : []),
      ...(this.#options.schemas?.holding === true
        ? ['the schema registry cannot be asked; events in Avro wait until it can']
        : []),
      ...(this.#stopping.signal.aborted ? ['the worker is stopping'] : []),
    ]
    return { alive: true, ready: reasons.length === 0, reasons }
  }

  /** How long ago this worker certainly knew all rules that had been published, ms; infinite before it has read any. */
  get rulesAgeMs(): number {
    return this.#feed.ageMs
  }

  async #prepareTasks(): Promise<CommonTaskOptions> {
    const { log, clock, logger, application, topics, normalize, reorderWindowMs, dedupeWindowMs, limits } =
      this.#options
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
      cachedValuesMax: cachedValuesFor(info?.partitions ?? 1),
      ...(limits === undefined ? {} : { limits }),
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
        this.#endWhereNoneWorks()
        this.#options.metrics.partitions.set(this.#slots.size, { topic: this.#options.topics.events })
      },
      startOffset: ({ partition }: TopicPartition) => this.#slots.get(partition)?.task?.position,
      batch: (batch, control) => {
        const slot = this.#slots.get(batch.partition)
        return slot === undefined ? Promise.resolve(batch.fetchOffset) : slot.batch(batch, control)
      },
      standby: (partitions) => {
        // The group has shared out. A worker that was given nothing is ready all the same: to take over.
        this.#assigned = true
        if (this.#stopping.signal.aborted) return
        this.#standbys?.want(partitions.flatMap(({ partition }) => (this.#slots.has(partition) ? [] : [partition])))
      },
    }
  }

  /** Resolves after the first try to open it: a partition in trouble must not keep the others gained with it waiting. */
  async #gain(partition: number): Promise<void> {
    const { clock, logger, failedRetryMs } = this.#options
    const slot = new PartitionSlot({
      partition,
      clock,
      logger,
      openTask: (cancelled) => this.#open(partition, cancelled),
      onBatch: ({ batch, report, position }) => {
        reportBatch(this.#options, { partition, report, batch })
        this.#options.onBatch?.(partition, position, report.output.counts)
      },
      feed: this.#feed,
      schemas: this.#options.schemas,
      onFailed: () => this.#endWhereNoneWorks(),
      ...(failedRetryMs === undefined ? {} : { failedRetryMs }),
    })
    await this.#standbys?.release(partition)
    this.#slots.set(partition, slot)
    if (this.#stopping.signal.aborted) slot.lose()
    await slot.open()
  }

  async #lose(partition: number): Promise<void> {
    const slot = this.#slots.get(partition)
    if (slot === undefined) return
    await this.#release(slot)
    this.#options.logger.info({ partition }, 'partition handed over')
  }

  async #release(slot: PartitionSlot): Promise<void> {
    const { metrics, topics } = this.#options
    const reached = slot.task?.changelogOffset
    await slot.release()
    if (reached !== undefined) this.#stores.left(slot.partition, reached)
    this.#slots.delete(slot.partition)
    metrics.lagRecords.remove({ topic: topics.events, partition: slot.partition })
    metrics.lagSeconds.remove({ topic: topics.events, partition: slot.partition })
    this.#failedPartitions()
  }

  /** What the group is told: copies as they are now, other stores as they were left. */
  #held(): readonly { readonly partition: number; readonly reached: number }[] {
    const held = new Map(this.#stores.held().map(({ partition, reached }) => [partition, reached]))
    for (const { partition, reached } of this.#standbys?.copies() ?? []) {
      if (reached !== undefined) held.set(partition, reached)
    }
    return [...held].map(([partition, reached]) => ({ partition, reached }))
  }

  #uses(partition: number): boolean {
    return this.#slots.has(partition) || this.#standbys?.has(partition) === true
  }

  #failedPartitions(): readonly PartitionSlot[] {
    const failed = [...this.#slots.values()].filter(({ failure }) => failure !== undefined)
    this.#options.metrics.failedPartitions.set(failed.length, {})
    return failed
  }

  /** A worker of which no partition works ends with what the first one failed with: nothing is stopped by that. */
  #endWhereNoneWorks(): void {
    const [first, ...others] = this.#failedPartitions()
    if (first === undefined || others.length + 1 < this.#slots.size || this.#stopping.signal.aborted) return
    this.#fail(first.failure)
  }

  async #open(partition: number, cancelled: () => boolean): Promise<PartitionTask> {
    const { clock, logger, metrics } = this.#options
    if (this.#taskOptions === undefined) throw new OncewardError('ONCEWARD_E_INTERNAL', 'a partition came before run')
    const startedMs = clock.monotonic()
    const task = await PartitionTask.open({
      ...this.#taskOptions,
      partition,
      openStore: () => this.#stores.open(partition),
      cancelled,
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
}
