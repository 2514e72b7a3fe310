import type { Clock } from '../../core/clock.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { OutRecord, Producer } from '../../core/ports/log.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import type { LatencyEvents } from './latency-events.ts'

export interface LatencyFeedOptions {
  readonly producer: Producer
  readonly clock: Clock
  readonly topic: string
  readonly partitions: number
  /** Events a second. */
  readonly rate: number
  readonly events: LatencyEvents
  readonly onSent?: (events: number) => void
}

/** The instants, ms since the epoch, between which the events are measured: from the first to just before the second. */
export interface Window {
  readonly from: number
  readonly until: number
}

/** What must come of the events that were sent. */
export interface Expected {
  events: number
  scores: number
  rewards: number
}

/** What is due is gathered for so long, as `linger.ms` of Kafka's own producer does (its default since Kafka 4.0). */
const LINGER_MS = 5
/** Most events in one request, while it catches up. */
const SEND_MAX = 2_000
const NEVER: Window = { from: Number.POSITIVE_INFINITY, until: Number.POSITIVE_INFINITY }

/**
 * Sends events on a schedule that nothing holds up: event n is due n/rate seconds after the start, and that instant is its
 * timestamp, whenever it is really sent. So a slow send, or a busy process, counts as latency of every event that it kept
 * waiting, and none is left out (no coordinated omission). The broker keeps these timestamps (CreateTime).
 */
export class LatencyFeed {
  readonly #options: LatencyFeedOptions
  readonly #startMs: number
  readonly #startMonotonicMs: number
  #window = NEVER
  #lastAckMs = 0
  /** Sent so far. */
  sent = 0
  /** Of all that was sent, and of what lies in the window. */
  readonly total: Expected = { events: 0, scores: 0, rewards: 0 }
  readonly measured: Expected = { events: 0, scores: 0, rewards: 0 }
  /** From the instant at which an event was due until the broker had it, ms. */
  readonly append = new LatencyHistogram()

  constructor(options: LatencyFeedOptions) {
    this.#options = options
    this.#startMs = options.clock.now()
    this.#startMonotonicMs = options.clock.monotonic()
  }

  /** The events of the next so many seconds are measured, and then it ends. No event of theirs was made up before. */
  measure(seconds: number): Window {
    const from = this.#startMs + Math.ceil(this.#elapsedMs()) + 1
    this.#window = { from, until: from + seconds * 1_000 }
    return this.#window
  }

  /** Events of the window that the broker took, a second. */
  reached(): number {
    const { from, until } = this.#window
    return (this.measured.events * 1_000) / Math.max(until - from, this.#lastAckMs - from)
  }

  /** From the end of the window until the broker had all of it, ms. */
  appendedMs(): number {
    return Math.max(0, this.#lastAckMs - this.#window.until)
  }

  /** Resolves once the window is over and all of it is acknowledged, or `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, rate } = this.#options
    while (!signal.aborted) {
      const startedMs = this.#elapsedMs()
      const due = Math.floor((this.#elapsedMs() * rate) / 1_000) - this.sent
      const over = await this.#send(Math.min(due, SEND_MAX))
      if (over) return
      const pause = due > SEND_MAX ? 0 : startedMs + LINGER_MS - this.#elapsedMs()
      if (pause > 0) await clock.sleep(pause, signal)
    }
  }

  /** Answers true once the next event lies behind the window. */
  async #send(count: number): Promise<boolean> {
    const { producer, clock, onSent } = this.#options
    const records: OutRecord[] = []
    while (records.length < count && this.#dueMs() < this.#window.until) records.push(this.#record())
    const over = this.#dueMs() >= this.#window.until
    if (records.length === 0) return over
    await producer.send(records)
    const nowMs = clock.now()
    for (const { timestamp } of records) if (timestamp >= this.#window.from) this.append.add(nowMs - timestamp)
    this.#lastAckMs = nowMs
    onSent?.(this.sent)
    return over
  }

  #record(): OutRecord {
    const { topic, partitions, events } = this.#options
    const timestamp = this.#dueMs()
    const { userId, line, scores, rewards } = events.next(timestamp)
    const partition = userId === undefined ? this.sent % partitions : partitionOf(userId, partitions)
    this.sent += 1
    for (const sum of timestamp >= this.#window.from ? [this.total, this.measured] : [this.total]) {
      sum.events += 1
      sum.scores += scores
      sum.rewards += rewards
    }
    return { topic, partition, key: userId ?? null, value: line, timestamp }
  }

  /** When the next event is due. Whole, as timestamps are: up to 1 ms early, never late. */
  #dueMs(): number {
    return this.#startMs + Math.floor((this.sent * 1_000) / this.#options.rate)
  }

  #elapsedMs(): number {
    return this.#options.clock.monotonic() - this.#startMonotonicMs
  }
}
