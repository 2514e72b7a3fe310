import type { Clock } from '../../../core/clock.ts'
import { messageOf, OncewardError } from '../../../core/errors.ts'
import type {
  GroupConsumer,
  GroupConsumerOptions,
  Log,
  OffsetBounds,
  PartitionReader,
  Producer,
  RecordBatch,
  TopicInfo,
  TopicPartition,
  TopicSpec,
  TransactionalProducer,
} from '../../../core/ports/log.ts'
import { type Logger, silentLogger } from '../../../core/ports/logger.ts'
import type { OrderedKv } from '../../../core/ports/ordered-kv.ts'
import { STANDBY_COPIES_MAX } from '../standbys.ts'
import { EmbeddedConsumer } from './consumer.ts'
import { BATCH_BYTES_MAX, type Cursor, Fetcher } from './fetch.ts'
import { Group } from './group.ts'
import { Journal } from './journal.ts'
import { nameFits } from './keys.ts'
import { loadState } from './load.ts'
import { type Maintained, Maintenance } from './maintenance.ts'
import { EmbeddedProducer, EmbeddedTransactionalProducer, SteppedTransaction } from './producers.ts'
import type { LogState, Partition } from './state.ts'
import { Storage } from './storage.ts'
import { abortLeftOver, openProducer } from './transactions.ts'

const SESSION_TIMEOUT_MS = 30_000
const REBALANCE_TIMEOUT_MS = 60_000
const MAINTENANCE_INTERVAL_MS = 60_000
const TAIL_BYTES = 16 << 20
const MAX_PARTITIONS = 10_000

export interface EmbeddedLogOptions {
  /** Where everything is kept: RocksDB, or memory. Its owner closes it, after the log. One log per store. */
  readonly kv: OrderedKv
  readonly clock: Clock
  readonly logger?: Logger
  /** True: each write is on stable storage before it counts. Default false, as Kafka: a killed process loses nothing,
   * a machine that loses power may lose its last moments. */
  readonly sync?: boolean
  /** Bytes of the newest appends kept in memory for readers at the tail. Default 16 MiB. */
  readonly tailBytes?: number
  /** How long a batch under way may hold up the hand-over of its partition, in milliseconds. Default 60,000. */
  readonly rebalanceTimeoutMs?: number
  /** Least milliseconds between two maintenance runs that appends set off. Default 60,000; 0: none. */
  readonly maintenanceIntervalMs?: number
}

/**
 * Opens the log that `kv` holds, or begins one. Transactions found open are aborted: their producers are gone.
 * ONCEWARD_E_LOG_UNAVAILABLE where the store fails.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const storage = new Storage(options.kv, options.tailBytes ?? TAIL_BYTES)
  const state = await loadState(storage)
  const logger = options.logger ?? silentLogger
  const journal = new Journal(state, storage, { sync: options.sync ?? false, logger })
  await journal.submit((draft) => {
    for (const producer of state.producers.values()) abortLeftOver(draft, producer)
  })
  return new EmbeddedLog({ options, storage, state, journal, logger })
}

interface Parts {
  readonly options: EmbeddedLogOptions
  readonly storage: Storage
  readonly state: LogState
  readonly journal: Journal
  readonly logger: Logger
}

/** A log for one process that behaves as Kafka does, over an ordered store. See core/ports/log.ts for the contract. */
export class EmbeddedLog implements Log {
  readonly #parts: Parts
  readonly #fetcher: Fetcher
  readonly #maintenance: Maintenance
  readonly #groups = new Map<string, Group>()
  #maintainedAt: number
  #closing: Promise<void> | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    const { storage, state, journal, options } = parts
    this.#fetcher = new Fetcher(storage, options.clock)
    this.#maintenance = new Maintenance({ storage, state, journal, fetcher: this.#fetcher, clock: options.clock })
    this.#maintainedAt = options.clock.now()
    journal.onWritten = () => this.#maintainNowAndThen()
  }

  async createTopics(specs: readonly TopicSpec[]): Promise<readonly string[]> {
    return this.#parts.journal.submit((draft) => {
      for (const spec of specs) checkSpec(spec)
      const created: string[] = []
      for (const spec of specs) {
        if (draft.hasTopic(spec.topic)) continue
        draft.addTopic(spec)
        created.push(spec.topic)
      }
      return created
    })
  }

  async topic(topic: string): Promise<TopicInfo | undefined> {
    this.#parts.storage.checkOpen()
    const spec = this.#parts.state.topics.get(topic)?.spec
    if (!spec) return undefined
    const { partitions, cleanup, retentionMs, deleteRetentionMs } = spec
    return {
      topic,
      partitions,
      cleanup,
      ...(retentionMs === undefined ? {} : { retentionMs }),
      ...(deleteRetentionMs === undefined ? {} : { deleteRetentionMs }),
    }
  }

  async listTopics(): Promise<readonly string[]> {
    this.#parts.storage.checkOpen()
    return [...this.#parts.state.topics.keys()].sort()
  }

  async bounds(partitions: readonly TopicPartition[]): Promise<readonly OffsetBounds[]> {
    return partitions.map((partition) => {
      const { earliest, stableEnd } = this.#partition(partition)
      return { earliest, end: stableEnd }
    })
  }

  async offsetAt(partition: TopicPartition, timestamp: number): Promise<number> {
    return this.#fetcher.offsetAt(this.#partition(partition), timestamp)
  }

  /** Waits until no open transaction can still move them. */
  async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly (number | undefined)[]> {
    const { state, storage } = this.#parts
    for (const partition of partitions) this.#partition(partition)
    while (state.hasPendingOffsets(group, partitions)) {
      await state.settled.next(storage.closing)
      storage.checkOpen()
    }
    return partitions.map((partition) => state.committed(group, partition))
  }

  async members(group: string): Promise<number> {
    this.#parts.storage.checkOpen()
    return this.#groups.get(group)?.size ?? 0
  }

  async producer(): Promise<Producer> {
    this.#parts.storage.checkOpen()
    return new EmbeddedProducer(this.#parts.journal)
  }

  async transactional(transactionalId: string): Promise<TransactionalProducer> {
    const { journal } = this.#parts
    const handle = await journal.submit((draft) => openProducer(draft, transactionalId))
    return new EmbeddedTransactionalProducer(journal, handle)
  }

  /** A transaction that is taken step by step; for simulation and tests. */
  async stepped(transactionalId: string): Promise<SteppedTransaction> {
    return SteppedTransaction.open(this.#parts.journal, transactionalId)
  }

  async reader(partition: TopicPartition): Promise<PartitionReader> {
    return new EmbeddedReader(this.#fetcher, this.#partition(partition))
  }

  consumer(options: GroupConsumerOptions): GroupConsumer {
    const { state, journal, storage, logger } = this.#parts
    const { clock, rebalanceTimeoutMs } = this.#parts.options
    let group = this.#groups.get(options.group)
    if (!group) this.#groups.set(options.group, (group = new Group(options.group, state, { logger, clock })))
    return new EmbeddedConsumer({
      group,
      joining: {
        topics: new Set(options.topics),
        copies: Math.min(STANDBY_COPIES_MAX, options.standbyCopies ?? 0),
        stored: () => options.holdsState?.() ?? [],
      },
      memory: options.memory,
      journal,
      settings: {
        sessionTimeoutMs: options.sessionTimeoutMs ?? SESSION_TIMEOUT_MS,
        rebalanceTimeoutMs: rebalanceTimeoutMs ?? REBALANCE_TIMEOUT_MS,
        batchBytesMax: options.batchBytesMax ?? BATCH_BYTES_MAX,
      },
      context: { state, fetcher: this.#fetcher, clock, logger, closing: storage.closing },
    })
  }

  /** Applies retention and compaction now, wherever there is something to do. */
  async maintain(): Promise<Maintained> {
    this.#parts.storage.checkOpen()
    return this.#maintenance.run(true)
  }

  /**
   * Ends what waits, and every later call, with ONCEWARD_E_LOG_CLOSED; writes under way are seen to their end. Does not
   * close the store: who opened it closes it, after this. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#parts.storage.close()
      await this.#parts.journal.idle()
      await this.#maintenance.idle()
    })()
    return this.#closing
  }

  #partition(partition: TopicPartition): Partition {
    this.#parts.storage.checkOpen()
    return this.#parts.state.partition(partition)
  }

  /** Set off by appends, so that an idle log has no timer and a simulation stays in charge of time. */
  #maintainNowAndThen(): void {
    const { options, logger } = this.#parts
    const interval = options.maintenanceIntervalMs ?? MAINTENANCE_INTERVAL_MS
    const now = options.clock.now()
    if (interval === 0 || now - this.#maintainedAt < interval) return
    this.#maintainedAt = now
    this.#maintenance.run(false).catch((error: unknown) => {
      if (!this.#closing) logger.warn({ err: messageOf(error) }, 'retention or compaction of the embedded log failed')
    })
  }
}

class EmbeddedReader implements PartitionReader {
  readonly #fetcher: Fetcher
  readonly #partition: Partition
  readonly #cursor: Cursor = { chunk: undefined }
  readonly #closed = new AbortController()

  constructor(fetcher: Fetcher, partition: Partition) {
    this.#fetcher = fetcher
    this.#partition = partition
  }

  async read(offset: number, options: { waitMs?: number; bytesMax?: number } = {}): Promise<RecordBatch> {
    const { waitMs = 0, bytesMax = BATCH_BYTES_MAX } = options
    this.#checkOpen()
    const signal = this.#closed.signal
    const batch = await this.#fetcher.fetch(this.#partition, offset, this.#cursor, { waitMs, bytesMax, signal })
    this.#checkOpen()
    return batch
  }

  close(): Promise<void> {
    this.#closed.abort()
    return Promise.resolve()
  }

  #checkOpen(): void {
    if (this.#closed.signal.aborted) throw new OncewardError('ONCEWARD_E_LOG_CLOSED', 'this reader is closed')
  }
}

function checkSpec({ topic, partitions }: TopicSpec): void {
  if (!nameFits(topic) || !/^[\w.-]+$/.test(topic)) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_REFUSED',
      `"${topic}" cannot be a topic; a name has 1 to 249 letters, digits, dots, underscores and hyphens`,
    )
  }
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > MAX_PARTITIONS) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_REFUSED',
      `topic "${topic}" cannot have ${partitions} partitions; it takes 1 to ${MAX_PARTITIONS}`,
    )
  }
}
