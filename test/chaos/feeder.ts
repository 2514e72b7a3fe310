import type { Clock } from '../../core/clock.ts'
import type { Log, OutRecord, Producer } from '../../core/ports/log.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { FedEvent } from './workload.ts'

export interface FeederOptions {
  readonly log: Log
  readonly clock: Clock
  readonly topic: string
  readonly partitions: number
  /** Events a second. */
  readonly rate: number
  readonly events: Iterator<FedEvent>
}

const SEND_EVERY_MS = 50
/** Most events in one request, while it catches up after an outage. */
const SEND_MAX = 1_000

/**
 * Writes events at a steady rate whatever happens to the broker. A request without an answer is sent again, so an event
 * may stand on the topic twice, as at-least-once ingest does; it never lacks.
 */
export class Feeder {
  readonly #options: FeederOptions
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #producer: Producer | undefined
  /** Acknowledged. */
  fed = 0
  resent = 0

  constructor(options: FeederOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#run()
    this.#running.catch(() => undefined)
  }

  /** Ends the feed; rejects with what it failed with. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async close(): Promise<void> {
    await this.#producer?.close()
  }

  async send(events: readonly FedEvent[]): Promise<void> {
    const { log, clock, topic, partitions } = this.#options
    const records = events.map(({ userId, line }, index): OutRecord => {
      const partition = userId === null ? (this.fed + index) % partitions : partitionOf(userId, partitions)
      return { topic, partition, key: userId, value: line, timestamp: clock.now() }
    })
    for (;;) {
      try {
        this.#producer ??= await log.producer()
        await this.#producer.send(records)
        this.fed += events.length
        return
      } catch (error) {
        if (this.resent++ > 100) throw error
        await this.#producer?.close().catch(() => undefined)
        this.#producer = undefined
        await clock.sleep(200)
      }
    }
  }

  async #run(): Promise<void> {
    const { clock, rate, events } = this.#options
    const startedMs = clock.monotonic()
    while (!this.#stop.signal.aborted) {
      const due = Math.floor(((clock.monotonic() - startedMs) * rate) / 1_000) - this.fed
      const batch: FedEvent[] = []
      while (batch.length < Math.min(due, SEND_MAX)) {
        const next = events.next()
        if (next.done === true) break
        batch.push(next.value)
      }
      if (batch.length > 0) await this.send(batch)
      if (due <= SEND_MAX) await clock.sleep(SEND_EVERY_MS, this.#stop.signal)
    }
  }
}
