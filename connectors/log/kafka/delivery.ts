/**
 * Fetches the partitions of a group member and hands them to its handler: one batch at a time for each partition, and
 * the next one already fetched while it is worked on. At most one fetch request is under way for each broker.
 */
import { messageOf, OncewardError } from '../../../core/errors.ts'
import type { GroupHandler, RecordBatch, TopicPartition } from '../../../core/ports/log.ts'
import type { KafkaClient } from './client.ts'
import { isTransient, kindOf, toOncewardError } from './failures.ts'
import { fetchRecords, type Fetched, keyOf, type PartitionAnswer } from './requests.ts'

/** How long a broker may hold a fetch that finds nothing. */
const POLL_MS_MAX = 250
/** The same while some partition is busy and so left out of the request: it must not wait for the idle ones. */
const POLL_WHEN_BUSY_MS_MAX = 10
/** All partitions of one answer. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024
const PAUSE_MS = 100
const TOPIC_MISSING_MS_MAX = 10_000

export interface DeliveryOptions {
  readonly client: KafkaClient
  readonly handler: GroupHandler
  readonly batchBytesMax: number
  /** Milliseconds without any answer from a broker after which delivery gives up. */
  readonly unavailableMsMax: number
  /** Called once, with what made going on impossible. */
  readonly failed: (error: unknown) => void
}

interface Feed extends TopicPartition {
  /** Where the next fetch begins; a fetch that began elsewhere is outdated. */
  position: number
  ready: RecordBatch | undefined
  working: Promise<void> | undefined
  /** When the handler last showed that it is alive, on the monotonic clock. */
  aliveAt: number
  stopped: boolean
}

export class Delivery {
  readonly #options: DeliveryOptions
  readonly #feeds = new Map<string, Feed>()
  readonly #fetching = new Set<number>()
  #answeredAt: number
  #waitingForLeader = false
  #closed = false
  #turn = 0

  constructor(options: DeliveryOptions) {
    this.#options = options
    this.#answeredAt = options.client.clock.monotonic()
  }

  start(partitions: readonly (TopicPartition & { readonly offset: number })[]): void {
    if (this.#feeds.size === 0) this.#answeredAt = this.#now()
    for (const { topic, partition, offset } of partitions) {
      const feed = {
        topic,
        partition,
        position: offset,
        ready: undefined,
        working: undefined,
        aliveAt: 0,
        stopped: false,
      }
      this.#feeds.set(keyOf(feed), feed)
    }
    this.#pump()
  }

  /** No further batch of these begins; resolves when those under way have ended. */
  async stop(partitions: readonly TopicPartition[]): Promise<void> {
    const stopped = partitions.flatMap((partition) => this.#feeds.get(keyOf(partition)) ?? [])
    for (const feed of stopped) {
      feed.stopped = true
      this.#feeds.delete(keyOf(feed))
    }
    for (const feed of stopped) await feed.working
  }

  /** As `stop` for all partitions, and nothing starts any more. */
  async close(): Promise<void> {
    this.#closed = true
    await this.stop([...this.#feeds.values()])
  }

  /** Milliseconds since the handler of some batch under way last showed that it is alive; 0 where none is. */
  silentMs(): number {
    let silent = 0
    for (const feed of this.#feeds.values()) {
      if (feed.working) silent = Math.max(silent, this.#now() - feed.aliveAt)
    }
    return silent
  }

  /** Asks each broker that is not being asked for the partitions that have nothing ready. */
  #pump(): void {
    if (this.#closed) return
    const hungry = new Map<number, Feed[]>()
    let busy = false
    let leaderless = false
    for (const feed of this.#feeds.values()) {
      if (feed.ready) {
        busy = true
        continue
      }
      const leader = this.#options.client.knownLeader(feed)
      if (leader === undefined) leaderless = true
      else if (!this.#fetching.has(leader)) {
        const own = hungry.get(leader)
        if (own) own.push(feed)
        else hungry.set(leader, [feed])
      }
    }
    for (const [leader, feeds] of hungry) void this.#fetch(leader, feeds, busy)
    if (leaderless && !this.#waitingForLeader) void this.#awaitLeader()
  }

  async #fetch(leader: number, feeds: readonly Feed[], busy: boolean): Promise<void> {
    const { client, batchBytesMax } = this.#options
    this.#fetching.add(leader)
    try {
      const broker = await client.broker(leader)
      // a full answer serves the first ones only: begin with another partition each time
      this.#turn += 1
      const first = this.#turn % feeds.length
      const asked = [...feeds.slice(first), ...feeds.slice(0, first)].map(({ topic, partition, position }) => ({
        topic,
        partition,
        offset: position,
        bytesMax: batchBytesMax,
      }))
      const positions = new Map(asked.map((p) => [keyOf(p), p.offset]))
      const answers = await fetchRecords(broker, {
        partitions: asked,
        answerMsMax: client.requestMsMax,
        waitMsMax: busy ? POLL_WHEN_BUSY_MS_MAX : POLL_MS_MAX,
        bytesMax: Math.max(ANSWER_BYTES_MAX, batchBytesMax),
      })
      let failure: Error | undefined
      for (const answer of answers) {
        const feed = this.#feeds.get(keyOf(answer))
        if (!feed || feed.ready || feed.position !== positions.get(keyOf(answer))) continue
        if (answer.error) failure ??= answer.error
        else this.#take(feed, answer)
      }
      if (failure) throw failure
      this.#answeredAt = this.#now()
    } catch (error) {
      await this.#recover(error)
    } finally {
      this.#fetching.delete(leader)
    }
    this.#pump()
  }

  #take(feed: Feed, answer: PartitionAnswer<Fetched> & { readonly error?: undefined }): void {
    const { topic, partition, records, nextOffset, end } = answer
    const fetchOffset = feed.position
    feed.position = nextOffset
    // Markers and aborted records alone are passed over in silence, except at the end: there the handler must learn of
    // the position, or the group would look as if it lagged for ever.
    if (records.length === 0 && (nextOffset === fetchOffset || nextOffset < end)) return
    feed.ready = { topic, partition, records, fetchOffset, nextOffset, end }
    feed.working ??= this.#work(feed)
  }

  async #work(feed: Feed): Promise<void> {
    const { handler } = this.#options
    const heartbeat = (): Promise<void> => {
      feed.aliveAt = this.#now()
      return Promise.resolve()
    }
    try {
      for (let batch = feed.ready; batch && !feed.stopped; batch = feed.ready) {
        feed.ready = undefined
        feed.aliveAt = this.#now()
        this.#pump()
        const position = await handler.batch(batch, { heartbeat })
        if (position !== batch.nextOffset) {
          feed.position = position
          feed.ready = undefined
        }
      }
    } catch (error) {
      this.#fail(error)
    }
    feed.working = undefined
    this.#pump()
  }

  /** A broker that is away is waited for; anything else ends the delivery. */
  async #recover(error: unknown): Promise<void> {
    const { client, unavailableMsMax } = this.#options
    if (this.#closed || client.closed) return
    const kind = kindOf(error)
    const silentMs = this.#now() - this.#answeredAt
    const limit = kind === 'topic-missing' ? TOPIC_MISSING_MS_MAX : unavailableMsMax
    if (!(isTransient(kind) || kind === 'topic-missing') || silentMs > limit) {
      this.#fail(toOncewardError(error, 'read the partitions of the group'))
      return
    }
    client.logger.debug({ error: messageOf(error) }, 'a fetch failed; trying again')
    await client.clock.sleep(PAUSE_MS, client.closing)
    await this.#refresh()
  }

  async #awaitLeader(): Promise<void> {
    const { client, unavailableMsMax } = this.#options
    this.#waitingForLeader = true
    await client.clock.sleep(PAUSE_MS, client.closing)
    await this.#refresh()
    this.#waitingForLeader = false
    if (this.#now() - this.#answeredAt > unavailableMsMax) {
      this.#fail(
        new OncewardError('ONCEWARD_E_LOG_UNAVAILABLE', 'Partitions of the group have no leader; check the cluster'),
      )
    }
    this.#pump()
  }

  async #refresh(): Promise<void> {
    const { client } = this.#options
    try {
      await client.refreshMetadata()
    } catch (error) {
      client.logger.debug({ error: messageOf(error) }, 'Kafka metadata could not be refreshed')
    }
  }

  #fail(error: unknown): void {
    if (this.#closed) return
    this.#closed = true
    this.#options.failed(error)
  }

  #now(): number {
    return this.#options.client.clock.monotonic()
  }
}
