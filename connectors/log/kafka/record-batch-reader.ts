/**
 * Decodes the records of a fetch response: Kafka's record batch format, version 2.
 * Source: https://kafka.apache.org/41/documentation.html#recordbatch and org.apache.kafka's CompletedFetch (which
 * batches of aborted transactions to skip).
 *
 * Ours and not kafkajs' because kafkajs (1) filters aborted records one by one and takes any record whose key is four
 * zero bytes for an abort marker, (2) doesn't tell the position after markers and compacted records, (3) builds a
 * decoder, two BigInts and seven objects for each record, which is most of a consumer's CPU.
 */
import { OncewardError } from '../../../core/errors.ts'
import type { Headers, LogRecord } from '../../../core/ports/log.ts'
import { readInt64 } from './bytes.ts'
import { codecOf } from './internals.ts'

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface FetchedRecords {
  readonly records: readonly LogRecord[]
  /** One past the last offset that the response covers, markers and skipped records included. */
  readonly nextOffset: number
}

const HEADER_BYTES = 61
const LENGTH_FIELD_END = 12
const COMPRESSION_MASK = 0x07
const TIMESTAMP_TYPE_FLAG = 0x08
const TRANSACTIONAL_FLAG = 0x10
const CONTROL_FLAG = 0x20
const ABORT_MARKER = 0

interface Batch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly attributes: number
  readonly baseTimestamp: number
  /** Present where the broker stamps the records itself (LogAppendTime). */
  readonly appendTimestamp: number | undefined
  readonly producerId: number
  readonly count: number
}

export interface Source {
  readonly topic: string
  readonly partition: number
  /** Records below it, which whole batches bring along, are left out. */
  readonly fetchOffset: number
  readonly aborted: readonly AbortedTransaction[]
}

/** `bytes`: whole batches, the last of which may be cut off; what is cut off is left for the next fetch. */
export async function readRecords(bytes: Buffer, source: Source): Promise<FetchedRecords> {
  const records: LogRecord[] = []
  const open = new AbortedFilter(source.aborted)
  let nextOffset = source.fetchOffset
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const end = at + LENGTH_FIELD_END + bytes.readInt32BE(at + 8)
    if (end > bytes.length) break
    const batch = readHeader(bytes, at, source)
    nextOffset = Math.max(nextOffset, batch.lastOffset + 1)
    if (!open.skips(batch, bytes, at)) {
      const codec = codecOf(batch.attributes & COMPRESSION_MASK)
      const body = codec ? await codec.decompress(bytes.subarray(at + HEADER_BYTES, end)) : bytes
      readBatch(body, codec ? 0 : at + HEADER_BYTES, batch, { source, records })
    }
    at = end
  }
  return { records, nextOffset }
}

function readHeader(bytes: Buffer, at: number, source: Source): Batch {
  const magic = bytes.readInt8(at + 16)
  if (magic !== 2) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_REFUSED',
      `${source.topic}-${source.partition} holds records in message format ${magic}; only format 2 (Kafka 0.11 and later) is read, so let the topic be rewritten by a current broker`,
    )
  }
  const attributes = bytes.readInt16BE(at + 21)
  const baseOffset = readInt64(bytes, at)
  return {
    baseOffset,
    lastOffset: baseOffset + bytes.readInt32BE(at + 23),
    attributes,
    baseTimestamp: readInt64(bytes, at + 27),
    appendTimestamp: (attributes & TIMESTAMP_TYPE_FLAG) === 0 ? undefined : readInt64(bytes, at + 35),
    producerId: readInt64(bytes, at + 43),
    count: bytes.readInt32BE(at + 57),
  }
}

/**
 * Knows which batches belong to aborted transactions: a producer's batches from the first offset of its aborted
 * transaction up to the abort marker.
 */
class AbortedFilter {
  readonly #pending: AbortedTransaction[]
  readonly #open = new Set<number>()

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#pending = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** True for markers too: they are no records. */
  skips(batch: Batch, bytes: Buffer, at: number): boolean {
    while (this.#pending[0] && this.#pending[0].firstOffset <= batch.lastOffset) {
      this.#open.add(this.#pending[0].producerId)
      this.#pending.shift()
    }
    if ((batch.attributes & CONTROL_FLAG) !== 0) {
      if (batch.count > 0 && markerType(bytes, at + HEADER_BYTES) === ABORT_MARKER) this.#open.delete(batch.producerId)
      return true
    }
    return (batch.attributes & TRANSACTIONAL_FLAG) !== 0 && this.#open.has(batch.producerId)
  }
}

/** The key of a control record is {version: int16, type: int16}. */
function markerType(bytes: Buffer, at: number): number {
  const cursor = new Cursor(bytes, at)
  cursor.varint() // length
  cursor.at += 1 // attributes
  cursor.varint() // timestamp delta
  cursor.varint() // offset delta
  cursor.varint() // key length
  return bytes.readInt16BE(cursor.at + 2)
}

interface Sink {
  readonly source: Source
  readonly records: LogRecord[]
}

function readBatch(bytes: Buffer, start: number, batch: Batch, { source, records }: Sink): void {
  const cursor = new Cursor(bytes, start)
  for (let i = 0; i < batch.count; i += 1) {
    const length = cursor.varint()
    const end = cursor.at + length
    cursor.at += 1 // attributes, unused by Kafka
    const timestampDelta = cursor.varint()
    const offset = batch.baseOffset + cursor.varint()
    if (offset >= source.fetchOffset) {
      const timestamp = batch.appendTimestamp ?? batch.baseTimestamp + timestampDelta
      records.push(new FetchedRecord(source, offset, timestamp, cursor))
    }
    cursor.at = end
  }
}

/**
 * Key and value are cut out of the response when they are asked for: a batch waits while the one before it is worked on,
 * and two buffers for each of its records were most of what the garbage collector had to copy meanwhile.
 */
class FetchedRecord implements LogRecord {
  readonly offset: number
  readonly timestamp: number
  readonly headers?: Headers
  readonly #source: Source
  readonly #bytes: Buffer
  readonly #keyAt: number
  readonly #keyLength: number
  readonly #valueAt: number
  readonly #valueLength: number

  /** Reads on at `cursor`, where the key begins. */
  constructor(source: Source, offset: number, timestamp: number, cursor: Cursor) {
    this.#source = source
    this.offset = offset
    this.timestamp = timestamp
    this.#bytes = cursor.source
    this.#keyLength = cursor.varint()
    this.#keyAt = cursor.at
    if (this.#keyLength > 0) cursor.at += this.#keyLength
    this.#valueLength = cursor.varint()
    this.#valueAt = cursor.at
    if (this.#valueLength > 0) cursor.at += this.#valueLength
    const headerCount = cursor.varint()
    if (headerCount > 0) this.headers = readHeaders(cursor, headerCount)
  }

  get topic(): string {
    return this.#source.topic
  }

  get partition(): number {
    return this.#source.partition
  }

  get key(): Buffer | null {
    return this.#keyLength < 0 ? null : this.#bytes.subarray(this.#keyAt, this.#keyAt + this.#keyLength)
  }

  get value(): Buffer | null {
    return this.#valueLength < 0 ? null : this.#bytes.subarray(this.#valueAt, this.#valueAt + this.#valueLength)
  }
}

function readHeaders(cursor: Cursor, count: number): Headers {
  const headers: [name: string, value: Buffer][] = []
  for (let i = 0; i < count; i += 1) {
    const name = cursor.bytes()?.toString() ?? ''
    headers.push([name, cursor.bytes() ?? Buffer.alloc(0)])
  }
  // not by assignment: a header may be called __proto__
  return Object.fromEntries(headers)
}

class Cursor {
  at: number
  readonly source: Buffer

  constructor(bytes: Buffer, at: number) {
    this.source = bytes
    this.at = at
  }

  /** Zigzag, up to 53 bits: serves for Kafka's varint and varlong. */
  varint(): number {
    const bytes = this.source
    let byte = bytes[this.at++] ?? 0
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1)
    let value = byte & 0x7f
    let factor = 128
    do {
      byte = bytes[this.at++] ?? 0
      value += (byte & 0x7f) * factor
      factor *= 128
    } while (byte >= 0x80)
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** A view, not a copy; null where the length is negative. */
  bytes(): Buffer | null {
    const length = this.varint()
    if (length < 0) return null
    return this.source.subarray(this.at, (this.at += length))
  }
}
