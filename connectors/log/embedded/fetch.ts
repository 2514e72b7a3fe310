import { InvariantError } from '../../../core/assert.ts'
import type { Clock } from '../../../core/clock.ts'
import { OncewardError } from '../../../core/errors.ts'
import type { LogRecord, RecordBatch } from '../../../core/ports/log.ts'
import { type Chunk, parseChunk, sliceInto } from './chunk.ts'
import { chunkKey, chunkRange, readU64 } from './keys.ts'
import type { Partition } from './state.ts'
import type { Storage } from './storage.ts'

export const BATCH_BYTES_MAX = 1 << 20

/** Where one reader is: the chunk it read last, so that the next read needs no search. */
export interface Cursor {
  chunk: Chunk | undefined
}

export interface FetchOptions {
  readonly bytesMax: number
  /** Milliseconds to wait for the first record; infinite: until one comes. */
  readonly waitMs: number
  /** Ends the wait; what was found is answered. */
  readonly signal: AbortSignal
}

/** Reads partitions: committed records in offset order, by chunk. */
export class Fetcher {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor(storage: Storage, clock: Clock) {
    this.#storage = storage
    this.#clock = clock
  }

  /** As PartitionReader.read. */
  async fetch(partition: Partition, offset: number, cursor: Cursor, options: FetchOptions): Promise<RecordBatch> {
    this.#storage.checkOpen()
    let batch = await this.#read(partition, offset, cursor, options.bytesMax)
    if (batch.records.length > 0 || options.waitMs <= 0) return { ...batch, fetchOffset: offset }
    const wait = new AbortController()
    const stop = (): void => wait.abort()
    const sources = [options.signal, this.#storage.closing]
    for (const source of sources) source.addEventListener('abort', stop, { once: true })
    if (sources.some((source) => source.aborted)) stop()
    if (Number.isFinite(options.waitMs)) void this.#clock.sleep(options.waitMs, wait.signal).then(stop)
    try {
      while (batch.records.length === 0 && !wait.signal.aborted) {
        if (partition.stableEnd <= batch.nextOffset) await partition.changed.next(wait.signal)
        this.#storage.checkOpen()
        batch = await this.#read(partition, batch.nextOffset, cursor, options.bytesMax)
      }
    } finally {
      stop()
      for (const source of sources) source.removeEventListener('abort', stop)
    }
    this.#storage.checkOpen()
    return { ...batch, fetchOffset: offset }
  }

  /** The first offset of a committed record with at least that timestamp; the stable end where there is none. */
  async offsetAt(partition: Partition, timestamp: number): Promise<number> {
    const end = partition.stableEnd
    if (partition.maxTimestamp < timestamp) return end
    let chunk = await this.#firstChunkReaching(partition, timestamp, end)
    while (chunk && chunk.base < end) {
      if (chunk.maxTimestamp >= timestamp && this.#isVisible(partition, chunk)) {
        const records: LogRecord[] = []
        sliceInto(chunk, partition, records, { from: partition.earliest, bytesMax: Number.POSITIVE_INFINITY })
        const found = records.find((record) => record.timestamp >= timestamp)
        if (found) return found.offset
      }
      chunk = chunk.next < end ? await this.chunkAt(partition, chunk.next) : undefined
    }
    return end
  }

  /** The chunk that covers `offset`; undefined where retention has taken it. */
  async chunkAt(partition: Partition, offset: number): Promise<Chunk | undefined> {
    const exact = await this.#storage.get(chunkKey(partition, offset))
    if (exact) return parseChunk(offset, exact)
    const found = await this.#storage.last(chunkRange(partition, 0, offset))
    if (!found) return undefined
    const chunk = parseChunk(readU64(found[0], 9), found[1])
    return chunk.next > offset ? chunk : undefined
  }

  async #read(partition: Partition, offset: number, cursor: Cursor, bytesMax: number): Promise<RecordBatch> {
    checkRange(partition, offset)
    const end = partition.stableEnd
    const records: LogRecord[] = []
    let position = offset
    for (let left = bytesMax; position < end && (left > 0 || records.length === 0); ) {
      const chunk = await this.#chunkFor(partition, position, cursor)
      if (!chunk) {
        if (records.length > 0) break
        checkRange(partition, position)
        throw new InvariantError(
          `chunks tile a partition, but ${partition.topic}/${partition.partition} has none at ${position}`,
        )
      }
      if (!this.#isVisible(partition, chunk)) {
        position = chunk.next
        continue
      }
      const sliced = sliceInto(chunk, partition, records, { from: position, bytesMax: left })
      left -= sliced.bytes
      position = sliced.next
      if (position < chunk.next) break
    }
    const { topic, partition: number } = partition
    return { topic, partition: number, records, fetchOffset: offset, nextOffset: position, end: partition.stableEnd }
  }

  async #chunkFor(partition: Partition, position: number, cursor: Cursor): Promise<Chunk | undefined> {
    const { chunk } = cursor
    if (chunk && chunk.base <= position && position < chunk.next) return chunk
    cursor.chunk = await this.chunkAt(partition, position)
    return cursor.chunk
  }

  #isVisible(partition: Partition, chunk: Chunk): boolean {
    if (chunk.kind !== 'data') return false
    return chunk.producerId === 0 || !partition.isAborted(chunk.producerId, chunk.base)
  }

  /** The greatest timestamp so far only grows from chunk to chunk, so the first to reach `timestamp` is found by halving. */
  async #firstChunkReaching(partition: Partition, timestamp: number, end: number): Promise<Chunk | undefined> {
    let low = partition.earliest
    let high = end
    while (low < high) {
      const chunk = await this.chunkAt(partition, Math.floor((low + high) / 2))
      if (!chunk) return undefined
      if (chunk.runningMaxTimestamp >= timestamp) high = chunk.base
      else low = chunk.next
    }
    return low < end ? this.chunkAt(partition, low) : undefined
  }
}

function checkRange(partition: Partition, offset: number): void {
  const { topic, earliest, end } = partition
  if (Number.isSafeInteger(offset) && offset >= earliest && offset <= end) return
  throw new OncewardError(
    'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE',
    `offset ${offset} of ${topic}/${partition.partition} is out of range; the partition holds ${earliest} up to ${end}`,
  )
}
