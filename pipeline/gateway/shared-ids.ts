import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { Log, OffsetBounds, PartitionReader, Producer } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import { fingerprintsIn, fingerprintsOf, fingerprintsPartition, fingerprintsRecord } from './answers-topic.ts'
import { FINGERPRINT_BYTES } from './content.ts'
import type { EventMemory } from './event-memory.ts'
import type { IntakeMetrics } from './intake-metrics.ts'
import { TopicFollower } from './topic-follower.ts'

/** Of one record, so that it fits the bus's default of 1 MiB. */
const RECORD_BYTES_MAX = 480_000
/** What waits to be written; more is dropped, and others do not hear of it. */
const WAITING_BYTES_MAX = 16 * 1_048_576
const SAMPLE_RECORDS = 200
const RETRY_DELAY_MS = 1_000

export interface SharedIdsParts {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly topic: string
  /** Tells this process's records from those of others. */
  readonly instance: Buffer
  readonly memory: EventMemory
  /** Ids that `memory` has room for. */
  readonly idsMax: number
  readonly metrics: IntakeMetrics
}

/**
 * Lets the gateways of an installation know what each has accepted. An id is written after the bus has acknowledged its event,
 * never before: otherwise a gateway that died in between would have a repeat answered `accepted` for an event that is nowhere. What is
 * lost on the way costs a repeat on the bus, which the worker drops.
 */
export class SharedIds {
  readonly #parts: SharedIdsParts
  readonly #producer: Producer
  readonly #follower: TopicFollower
  readonly #stop = new AbortController()
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #writing: Promise<void> | undefined

  private constructor(parts: SharedIdsParts, producer: Producer, follower: TopicFollower) {
    this.#parts = parts
    this.#producer = producer
    this.#follower = follower
  }

  /** Resolves once `memory` has the newest of what was accepted before, as far as it fits. */
  static async open(parts: SharedIdsParts): Promise<SharedIds> {
    const { log, clock, logger, topic, memory, instance, idsMax } = parts
    const follower = await TopicFollower.open({
      log,
      clock,
      logger,
      partition: fingerprintsPartition(topic),
      from: (bounds, reader) => startFor(idsMax, bounds, reader),
      take: ({ value }) => {
        const fingerprints = fingerprintsOf(value, instance)
        if (fingerprints === undefined) return
        for (let at = 0; at < fingerprints.length; at += FINGERPRINT_BYTES) memory.remember(fingerprints, at)
      },
    })
    return new SharedIds(parts, await log.producer(), follower)
  }

  /** Writes them as soon as it goes; the caller does not wait. */
  share(fingerprints: Buffer): void {
    if (this.#waitingBytes + fingerprints.length > WAITING_BYTES_MAX) {
      this.#parts.metrics.notShared(fingerprints.length / FINGERPRINT_BYTES)
      return
    }
    this.#waiting.push(fingerprints)
    this.#waitingBytes += fingerprints.length
    this.#writing ??= this.#write()
  }

  /** Writes what waits, where the log takes it at once. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#follower.close()
    const over = new AbortController()
    await Promise.race([this.#writing, this.#parts.clock.sleep(RETRY_DELAY_MS, over.signal)])
    over.abort()
    await this.#producer.close()
  }

  async #write(): Promise<void> {
    const { clock, instance, logger, metrics, topic } = this.#parts
    while (this.#waiting.length > 0) {
      const value = fingerprintsRecord(instance, this.#next())
      try {
        await this.#producer.send([{ ...fingerprintsPartition(topic), key: null, value, timestamp: clock.now() }])
      } catch (error) {
        metrics.notShared(fingerprintsIn(value))
        if (this.#stop.signal.aborted) break
        logger.warn({ topic, error: messageOf(error) }, 'other gateways do not hear of some accepted events')
        await clock.sleep(RETRY_DELAY_MS, this.#stop.signal)
      }
    }
    this.#writing = undefined
  }

  /** What one record takes of what waits. */
  #next(): readonly Buffer[] {
    let count = 0
    let bytes = 0
    for (const { length } of this.#waiting) {
      if (count > 0 && bytes + length > RECORD_BYTES_MAX) break
      count++
      bytes += length
    }
    this.#waitingBytes -= bytes
    return this.#waiting.splice(0, count)
  }
}

/** About where the newest `idsMax` ids begin, as the last records of the partition lead to expect. */
async function startFor(idsMax: number, { earliest, end }: OffsetBounds, reader: PartitionReader): Promise<number> {
  const sampleFrom = Math.max(earliest, end - SAMPLE_RECORDS)
  if (sampleFrom === earliest) return earliest
  const { records } = await reader.read(sampleFrom)
  const ids = records.reduce((sum, { value }) => sum + fingerprintsIn(value), 0)
  if (records.length === 0 || ids === 0) return earliest
  return Math.max(earliest, end - Math.ceil(idsMax / (ids / records.length)))
}
