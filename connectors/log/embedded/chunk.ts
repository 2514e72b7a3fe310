import { assert } from '../../../core/assert.ts'
import type { Headers, LogRecord, OutRecord, TopicPartition } from '../../../core/ports/log.ts'
import { readU64, writeU64 } from './keys.ts'

/**
 * A chunk is one value of the store: the records of one append to one partition, or one transaction marker. A chunk
 * covers `span` offsets from its base on, though compaction may have taken records out, so that the chunks of a
 * partition always tile its offsets: the next chunk's key follows from this one.
 *
 * Layout, big endian: format u8, kind u8, producer id u64 (0: not in a transaction), count u32, span u32, own greatest
 * timestamp f64, greatest timestamp of the partition so far f64; then the records: offset delta u32, timestamp f64, key
 * length i32, value length i32 (-1: null), flags u8, [tombstone's delete horizon f64], key, value, [headers].
 */
export type ChunkKind = 'data' | 'commit' | 'abort'

export interface Chunk {
  readonly kind: ChunkKind
  readonly base: number
  /** The first offset after those the chunk covers. */
  readonly next: number
  /** 0 where the records belong to no transaction, or to one known to have committed. */
  readonly producerId: number
  readonly count: number
  readonly maxTimestamp: number
  /** The greatest timestamp of this chunk and all before it; at least that, once retention has dropped some. */
  readonly runningMaxTimestamp: number
  readonly bytes: Buffer
}

export interface ChunkHead {
  readonly kind: ChunkKind
  readonly producerId: number
  readonly span: number
  readonly runningMaxTimestamp: number
}

/** A record as it lies in a chunk. */
export interface StoredRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Headers | undefined
  /** When compaction may drop this tombstone, ms since the epoch; undefined until compaction has first seen it. */
  readonly deleteHorizon: number | undefined
}

const FORMAT = 1
const KINDS: readonly ChunkKind[] = ['data', 'commit', 'abort']
const HEAD_BYTES = 34
const RECORD_BYTES = 21
const HAS_HEADERS = 1
const HAS_HORIZON = 2

/** The bytes that a record counts for against limits: its key, value and headers. */
export function recordBytes(record: Pick<Writable, 'key' | 'value' | 'headers'>): number {
  return lengthOf(record.key) + lengthOf(record.value) + headerBytes(record.headers)
}

/** Encodes appended records; their offsets are consecutive. */
export function encodeAppend(records: readonly OutRecord[], head: Omit<ChunkHead, 'span' | 'kind'>): Buffer {
  let size = HEAD_BYTES
  for (const record of records) size += RECORD_BYTES + recordBytes(record)
  const buffer = Buffer.allocUnsafe(size)
  let at = HEAD_BYTES
  let maxTimestamp = Number.NEGATIVE_INFINITY
  for (let i = 0; i < records.length; i++) {
    const record = records[i]
    if (record === undefined) continue
    if (record.timestamp > maxTimestamp) maxTimestamp = record.timestamp
    at = writeRecord(buffer, at, record, i)
  }
  assert(at === size, `a chunk of ${size} bytes was filled with ${at}`)
  writeHead(buffer, { ...head, kind: 'data', span: records.length, count: records.length, maxTimestamp })
  return buffer
}

/** Encodes what compaction has left of a run of chunks from `base` on. */
export function encodeKept(base: number, records: readonly StoredRecord[], head: Omit<ChunkHead, 'kind'>): Buffer {
  let size = HEAD_BYTES
  for (const record of records) size += keptBytes(record)
  const buffer = Buffer.allocUnsafe(size)
  let at = HEAD_BYTES
  let maxTimestamp = Number.NEGATIVE_INFINITY
  for (const record of records) {
    if (record.timestamp > maxTimestamp) maxTimestamp = record.timestamp
    at = writeRecord(buffer, at, record, record.offset - base)
  }
  assert(at === size, `a chunk of ${size} bytes was filled with ${at}`)
  writeHead(buffer, { ...head, kind: 'data', count: records.length, maxTimestamp })
  return buffer
}

/** The bytes of a record in a chunk that compaction writes. */
export function keptBytes(record: StoredRecord): number {
  return RECORD_BYTES + recordBytes(record) + (record.deleteHorizon === undefined ? 0 : 8)
}

export function encodeMarker(kind: 'commit' | 'abort', producerId: number, runningMaxTimestamp: number): Buffer {
  const buffer = Buffer.allocUnsafe(HEAD_BYTES)
  writeHead(buffer, {
    kind,
    producerId,
    span: 1,
    runningMaxTimestamp,
    count: 0,
    maxTimestamp: Number.NEGATIVE_INFINITY,
  })
  return buffer
}

export function parseChunk(base: number, bytes: Buffer): Chunk {
  assert(bytes.readUInt8(0) === FORMAT, `a chunk of format ${bytes[0]}; this version reads format ${FORMAT}`)
  const kind = KINDS[bytes.readUInt8(1)]
  assert(kind !== undefined, `a chunk of unknown kind ${bytes[1]}`)
  return {
    kind,
    base,
    next: base + bytes.readUInt32BE(14),
    producerId: readU64(bytes, 2),
    count: bytes.readUInt32BE(10),
    maxTimestamp: bytes.readDoubleBE(18),
    runningMaxTimestamp: bytes.readDoubleBE(26),
    bytes,
  }
}

/**
 * Appends the chunk's records from offset `from` on to `into`, until `bytesMax` bytes are there (at least one record
 * where `into` is empty). Answers the bytes added, and the first offset not looked at.
 */
export function sliceInto(
  chunk: Chunk,
  partition: TopicPartition,
  into: LogRecord[],
  window: { readonly from: number; readonly bytesMax: number },
): { readonly bytes: number; readonly next: number } {
  const { bytes } = chunk
  let at = HEAD_BYTES
  let taken = 0
  for (let i = 0; i < chunk.count; i++) {
    const offset = chunk.base + bytes.readUInt32BE(at)
    const size = sizeAt(bytes, at)
    if (offset >= window.from) {
      if (taken + size.payload > window.bytesMax && into.length > 0) return { bytes: taken, next: offset }
      const record = readRecord(chunk, at, offset)
      const base = { topic: partition.topic, partition: partition.partition, offset, timestamp: record.timestamp }
      const { key, value, headers } = record
      into.push(headers ? { ...base, key, value, headers } : { ...base, key, value })
      taken += size.payload
    }
    at += size.total
  }
  return { bytes: taken, next: chunk.next }
}

/** Every record of the chunk, as it lies there. */
export function storedRecords(chunk: Chunk): StoredRecord[] {
  const records: StoredRecord[] = []
  let at = HEAD_BYTES
  for (let i = 0; i < chunk.count; i++) {
    records.push(readRecord(chunk, at, chunk.base + chunk.bytes.readUInt32BE(at)))
    at += sizeAt(chunk.bytes, at).total
  }
  return records
}

function writeHead(buffer: Buffer, head: ChunkHead & { readonly count: number; readonly maxTimestamp: number }): void {
  buffer.writeUInt8(FORMAT, 0)
  buffer.writeUInt8(KINDS.indexOf(head.kind), 1)
  writeU64(buffer, head.producerId, 2)
  buffer.writeUInt32BE(head.count, 10)
  buffer.writeUInt32BE(head.span, 14)
  buffer.writeDoubleBE(head.maxTimestamp, 18)
  buffer.writeDoubleBE(Math.max(head.runningMaxTimestamp, head.maxTimestamp), 26)
}

type Writable = Pick<OutRecord, 'key' | 'value' | 'timestamp'> & {
  readonly headers?: Headers | undefined
  readonly deleteHorizon?: number | undefined
}

function writeRecord(buffer: Buffer, start: number, record: Writable, delta: number): number {
  const { headers, deleteHorizon } = record
  buffer.writeUInt32BE(delta, start)
  buffer.writeDoubleBE(record.timestamp, start + 4)
  const flags = (hasHeaders(headers) ? HAS_HEADERS : 0) | (deleteHorizon === undefined ? 0 : HAS_HORIZON)
  buffer.writeUInt8(flags, start + 20)
  let at = start + RECORD_BYTES
  if (deleteHorizon !== undefined) at = buffer.writeDoubleBE(deleteHorizon, at)
  const keyEnd = writeBytes(buffer, at, record.key)
  buffer.writeInt32BE(record.key === null ? -1 : keyEnd - at, start + 12)
  const valueEnd = writeBytes(buffer, keyEnd, record.value)
  buffer.writeInt32BE(record.value === null ? -1 : valueEnd - keyEnd, start + 16)
  return hasHeaders(headers) ? writeHeaders(buffer, valueEnd, headers) : valueEnd
}

function readRecord(chunk: Chunk, start: number, offset: number): StoredRecord {
  const { bytes } = chunk
  const keyLength = bytes.readInt32BE(start + 12)
  const valueLength = bytes.readInt32BE(start + 16)
  const flags = bytes.readUInt8(start + 20)
  let at = start + RECORD_BYTES
  const deleteHorizon = flags & HAS_HORIZON ? bytes.readDoubleBE(at) : undefined
  if (flags & HAS_HORIZON) at += 8
  const key = keyLength < 0 ? null : bytes.subarray(at, at + keyLength)
  at += Math.max(keyLength, 0)
  const value = valueLength < 0 ? null : bytes.subarray(at, at + valueLength)
  at += Math.max(valueLength, 0)
  const headers = flags & HAS_HEADERS ? readHeaders(bytes, at) : undefined
  return { offset, timestamp: bytes.readDoubleBE(start + 4), key, value, headers, deleteHorizon }
}

/** The size of the record at `start`: with all its fields, and of what `recordBytes` counts. */
function sizeAt(bytes: Buffer, start: number): { readonly total: number; readonly payload: number } {
  const flags = bytes.readUInt8(start + 20)
  const horizon = flags & HAS_HORIZON ? 8 : 0
  let payload = Math.max(bytes.readInt32BE(start + 12), 0) + Math.max(bytes.readInt32BE(start + 16), 0)
  if (flags & HAS_HEADERS) payload += bytes.readUInt32BE(start + RECORD_BYTES + horizon + payload)
  return { total: RECORD_BYTES + horizon + payload, payload }
}

/** Headers: their whole length u32, then each: name length u16, value length u32, name, value. */
function writeHeaders(buffer: Buffer, start: number, headers: Headers): number {
  let at = start + 4
  for (const [name, value] of Object.entries(headers)) {
    const nameEnd = at + 6 + buffer.write(name, at + 6)
    buffer.writeUInt16BE(nameEnd - at - 6, at)
    buffer.writeUInt32BE(value.length, at + 2)
    value.copy(buffer, nameEnd)
    at = nameEnd + value.length
  }
  buffer.writeUInt32BE(at - start, start)
  return at
}

function readHeaders(bytes: Buffer, start: number): Headers {
  const end = start + bytes.readUInt32BE(start)
  const entries: [string, Buffer][] = []
  for (let at = start + 4; at < end; ) {
    const nameEnd = at + 6 + bytes.readUInt16BE(at)
    const valueEnd = nameEnd + bytes.readUInt32BE(at + 2)
    entries.push([bytes.toString('utf8', at + 6, nameEnd), bytes.subarray(nameEnd, valueEnd)])
    at = valueEnd
  }
  return Object.fromEntries(entries)
}

function headerBytes(headers: Headers | undefined): number {
  if (!hasHeaders(headers)) return 0
  let size = 4
  for (const [name, value] of Object.entries(headers)) size += 6 + Buffer.byteLength(name) + value.length
  return size
}

function hasHeaders(headers: Headers | undefined): headers is Headers {
  if (headers !== undefined) for (const _name in headers) return true
  return false
}

function lengthOf(bytes: Buffer | string | null): number {
  if (bytes === null) return 0
  return typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length
}

function writeBytes(buffer: Buffer, at: number, bytes: Buffer | string | null): number {
  if (bytes === null) return at
  return at + (typeof bytes === 'string' ? buffer.write(bytes, at) : bytes.copy(buffer, at))
}
