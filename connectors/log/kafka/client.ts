import type { Clock } from '../../../core/clock.ts'
import { messageOf, OncewardError } from '../../../core/errors.ts'
import type { Logger } from '../../../core/ports/logger.ts'
import type { TopicPartition } from '../../../core/ports/log.ts'
import { type FailureKind, isTransient, kindOf, TimeLimit, toOncewardError } from './failures.ts'
import {
  type ClusterOptions,
  type Connections,
  connectOnce,
  createCluster,
  type KafkaBroker,
  type KafkaCluster,
} from './internals.ts'

export interface ClientSettings extends ClusterOptions {
  readonly clock: Clock
  /** Milliseconds after which a step that keeps failing is given up. */
  readonly retryMsMax: number
}

export const GROUP = 0
export const TRANSACTION = 1

/** Milliseconds before the second attempt, doubling up to the second number. */
const PAUSE_MS: Readonly<Partial<Record<FailureKind, readonly [min: number, max: number]>>> = {
  concurrent: [2, 50],
  rebalancing: [5, 50],
  'member-out': [5, 50],
  'topic-missing': [20, 200],
}
/** Failures that say nothing against the leaders and coordinators known. */
const STANDING = new Set<FailureKind>(['concurrent', 'rebalancing', 'member-out'])
/** A topic that was just created is unknown to a broker for a moment; one that is missing stays so. */
const TOPIC_MISSING_MS_MAX = 1_500
/** Failures at the first contact with a fresh broker are normal; those that last are worth a line. */
const WARN_AFTER_MS = 2_000

export interface RetryOptions {
  readonly msMax?: number
  /** Failures that end the retrying although they are transient, or don't although they are not. */
  readonly decide?: (kind: FailureKind) => boolean | undefined
}

/** Connections of their own to the cluster, and the bounded retrying that every step goes through. */
export class KafkaClient {
  readonly clock: Clock
  readonly logger: Logger
  readonly #settings: ClientSettings
  readonly #connections: Connections
  readonly #coordinators = new Map<string, number>()
  readonly #closing = new AbortController()
  /** What to call for each step under way when the client closes. */
  readonly #interrupts = new Set<() => void>()
  readonly #forks = new Set<KafkaClient>()
  #release: () => void = () => undefined

  constructor(settings: ClientSettings) {
    this.clock = settings.clock
    this.logger = settings.logger
    this.#settings = settings
    this.#connections = createCluster(settings)
  }

  get #cluster(): KafkaCluster {
    return this.#connections.cluster
  }

  get closed(): boolean {
    return this.#closing.signal.aborted
  }

  get requestMsMax(): number {
    return this.#settings.requestMsMax
  }

  /** Another client of the same cluster, with connections of its own; closed with this one at the latest. */
  fork(): KafkaClient {
    const fork = new KafkaClient(this.#settings)
    this.#forks.add(fork)
    fork.#release = () => this.#forks.delete(fork)
    return fork
  }

  /** Aborts when the client closes. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /**
   * Runs `step` until it succeeds, fails for good or the time is up. `action` completes "could not …". Rejects with an
   * OncewardError: ONCEWARD_E_LOG_UNAVAILABLE when time is up, otherwise what the failure means.
   */
  async retrying<T>(action: string, step: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
    const msMax = options.msMax ?? this.#settings.retryMsMax
    const over = new AbortController()
    const expiry = this.clock.sleep(msMax, over.signal).then(() => {
      throw toOncewardError(new TimeLimit(msMax), action)
    })
    expiry.catch(() => undefined)
    try {
      // the race also ends a step that waits for an answer which never comes
      return await Promise.race([this.#attempts(action, step, { ...options, msMax, over: over.signal }), expiry])
    } finally {
      over.abort()
    }
  }

  async #attempts<T>(
    action: string,
    step: () => Promise<T>,
    options: RetryOptions & { readonly msMax: number; readonly over: AbortSignal },
  ): Promise<T> {
    const start = this.clock.monotonic()
    let warned = false
    for (let attempt = 0; ; attempt += 1) {
      this.checkOpen(action)
      // the caller has been told that time is up: whatever the step does must not happen after that
      if (options.over.aborted) throw toOncewardError(new TimeLimit(options.msMax), action)
      try {
        return await this.#interruptible(step())
      } catch (error) {
        this.checkOpen(action)
        if (error instanceof OncewardError) throw error
        const kind = kindOf(error)
        const elapsed = this.clock.monotonic() - start
        const missing = kind === 'topic-missing' && elapsed < TOPIC_MISSING_MS_MAX
        const again = options.decide?.(kind) ?? (isTransient(kind) || missing)
        const pause = pauseMs(kind, attempt)
        if (!again || elapsed + pause > options.msMax || options.over.aborted) throw toOncewardError(error, action)
        if (!warned && elapsed > WARN_AFTER_MS) {
          warned = true
          this.logger.warn({ action, error: messageOf(error) }, 'Kafka does not do it yet; trying on')
        }
        await this.clock.sleep(pause, this.#closing.signal)
        // asking again takes as long as a connection may take, which a close must not wait for
        if (!STANDING.has(kind) && !this.closed) await this.#interruptible(this.forget(kind)).catch(() => undefined)
      }
    }
  }

  /** The broker that leads the partition. Throws (for `retrying`) where there is none at the moment. */
  async leader({ topic, partition }: TopicPartition): Promise<KafkaBroker> {
    const node = (await this.partitions(topic)).find((p) => p.partitionId === partition)
    if (node === undefined) {
      throw new OncewardError(
        'ONCEWARD_E_LOG_TOPIC_MISSING',
        `Topic ${topic} has no partition ${partition}; check the number of partitions it was created with`,
      )
    }
    return this.broker(node.leader)
  }

  /** Connects to a broker by its id. */
  async broker(nodeId: number): Promise<KafkaBroker> {
    this.checkOpen('find a broker')
    return connectOnce(await this.#cluster.findBroker({ nodeId }))
  }

  /** The partitions of a topic with their leaders. Throws (for `retrying`) where the topic is not known. */
  async partitions(topic: string): Promise<readonly { readonly partitionId: number; readonly leader: number }[]> {
    await this.#connect()
    await this.#cluster.addMultipleTargetTopics([topic])
    const known = this.#cluster.findTopicPartitionMetadata(topic)
    if (known.length > 0) return known
    // the metadata in hand was asked for before this topic was
    await this.#cluster.refreshMetadata()
    return this.#cluster.findTopicPartitionMetadata(topic)
  }

  /** The leader as of the last metadata, without asking anyone; undefined where there is none. */
  knownLeader({ topic, partition }: TopicPartition): number | undefined {
    if (!this.#cluster.brokerPool.metadata) return undefined
    const leader = this.#cluster.findTopicPartitionMetadata(topic).find((p) => p.partitionId === partition)?.leader
    return leader === undefined || leader < 0 ? undefined : leader
  }

  async refreshMetadata(): Promise<void> {
    await this.#cluster.refreshMetadata()
  }

  async anyBroker(): Promise<KafkaBroker> {
    await this.#connect()
    return connectOnce(await this.#cluster.brokerPool.findConnectedBroker())
  }

  async controller(): Promise<KafkaBroker> {
    await this.#connect()
    await this.#cluster.refreshMetadata()
    return this.#cluster.findControllerBroker()
  }

  /** The coordinator of a group or a transactional id, remembered until a step fails. */
  async coordinator(id: string, type: typeof GROUP | typeof TRANSACTION): Promise<KafkaBroker> {
    const key = `${type}/${id}`
    this.checkOpen('find a coordinator')
    let nodeId = this.#coordinators.get(key)
    if (nodeId === undefined) {
      const any = await this.anyBroker()
      nodeId = (await any.findGroupCoordinator({ groupId: id, coordinatorType: type })).coordinator.nodeId
      this.#coordinators.set(key, nodeId)
    }
    try {
      return await this.broker(nodeId)
    } catch (error) {
      // not among the brokers known so far: ask for them once before giving this attempt up
      await this.#cluster.refreshMetadata()
      this.#coordinators.delete(key)
      throw error
    }
  }

  /** Not a race with one lasting promise: that would keep a reaction of every step for as long as the client lives. */
  #interruptible<T>(step: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const interrupt = (): void => reject(new Error('closed'))
      this.#interrupts.add(interrupt)
      void step.then(resolve, reject).finally(() => this.#interrupts.delete(interrupt))
    })
  }

  /** kafkajs would connect again after a disconnect. */
  async #connect(): Promise<void> {
    this.checkOpen('reach Kafka')
    await this.#cluster.connect()
  }

  /** Idempotent. What is under way is rejected, not waited for. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#release()
    for (const fork of this.#forks) await fork.close()
    for (const interrupt of this.#interrupts) interrupt()
    this.#connections.destroy()
    await this.#cluster.disconnect()
  }

  checkOpen(action: string): void {
    if (this.closed) throw new OncewardError('ONCEWARD_E_LOG_CLOSED', `Could not ${action}: it was closed meanwhile`)
  }

  /** After a failure, leaders and coordinators may have moved. That asking fails too is no news: the step will say so. */
  async forget(kind: FailureKind): Promise<void> {
    this.#coordinators.clear()
    // kafkajs asks for all topics it ever heard of at once, so one that was deleted would fail them all for ever
    if (kind === 'topic-missing') this.#cluster.targetTopics.clear()
    try {
      await this.#cluster.refreshMetadata()
    } catch (error) {
      this.logger.debug({ error: messageOf(error) }, 'Kafka metadata could not be refreshed')
    }
  }
}

function pauseMs(kind: FailureKind, attempt: number): number {
  const [min, max] = PAUSE_MS[kind] ?? [10, 1_000]
  return Math.min(max, min * 2 ** Math.min(attempt, 16))
}
