import type { Clock } from '../../core/clock.ts'
import { hasCode, messageOf } from '../../core/errors.ts'
import type { Log, LogRecord, OffsetBounds, PartitionReader, TopicPartition } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'

const POLL_WAIT_MS = 1_000
const RETRY_DELAY_MS = 1_000
const READ_BYTES_MAX = 4 * 1_048_576

export interface FollowerParts {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly partition: TopicPartition
  /** Where to begin. */
  readonly from: (bounds: OffsetBounds, reader: PartitionReader) => Promise<number> | number
  /** Called for each record in order. Throws nothing. */
  readonly take: (record: LogRecord) => void
}

/**
 * Reads one partition, first to the end that it had when it was opened, then on in the background. A lost connection is waited
 * out: what others have written meanwhile comes later.
 */
export class TopicFollower {
  readonly #parts: FollowerParts
  readonly #reader: PartitionReader
  readonly #stop = new AbortController()
  #position: number
  #following: Promise<void> = Promise.resolve()

  private constructor(parts: FollowerParts, reader: PartitionReader, position: number) {
    this.#parts = parts
    this.#reader = reader
    this.#position = position
  }

  /** Resolves once all that was there has been taken. */
  static async open(parts: FollowerParts): Promise<TopicFollower> {
    const { log, partition } = parts
    const [bounds] = await log.bounds([partition])
    const { earliest, end } = bounds ?? { earliest: 0, end: 0 }
    const reader = await log.reader(partition)
    try {
      const follower = new TopicFollower(parts, reader, await parts.from({ earliest, end }, reader))
      while (follower.#position < end && (await follower.#readOn(0))) continue
      follower.#following = follower.#follow()
      return follower
    } catch (error) {
      await reader.close()
      throw error
    }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    // The reader first: a read that a broker does not answer must not hold up a stop.
    await this.#reader.close()
    await this.#following
  }

  async #follow(): Promise<void> {
    const { clock, logger, partition } = this.#parts
    let told = false
    while (!this.#stop.signal.aborted) {
      try {
        await this.#readOn(POLL_WAIT_MS)
        told = false
      } catch (error) {
        if (this.#stop.signal.aborted) return
        if (!told)
          logger.warn(
            { error: messageOf(error), topic: partition.topic },
            'cannot read what other gateways write; trying on',
          )
        told = true
        if (hasCode(error, 'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE')) await this.#skip()
        await clock.sleep(RETRY_DELAY_MS, this.#stop.signal)
      }
    }
  }

  /** What retention has taken away cannot be read any more. */
  async #skip(): Promise<void> {
    const [bounds] = await this.#parts.log.bounds([this.#parts.partition]).catch(() => [])
    this.#position = bounds?.earliest ?? this.#position
  }

  /** Reads one batch; false where nothing moved. */
  async #readOn(waitMs: number): Promise<boolean> {
    const { records, nextOffset } = await this.#reader.read(this.#position, { waitMs, bytesMax: READ_BYTES_MAX })
    const moved = nextOffset > this.#position
    this.#position = nextOffset
    for (const record of records) this.#parts.take(record)
    return moved
  }
}
