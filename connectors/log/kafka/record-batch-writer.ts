/**
 * Encodes records as Kafka's record batch, version 2. Source: https://kafka.apache.org/41/documentation.html#recordbatch
 * Ours and not kafkajs' because kafkajs groups messages per partition in quadratic time and encodes through a
 * growing buffer for each record; this measures first and then writes once.
 */
import type { OutRecord } from '../../../core/ports/log.ts'
import { writeInt64 } from './bytes.ts'
import { crc32c } from './crc32c.ts'

export interface BatchProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly transactional: boolean
}

const HEADER_BYTES = 61
const CRC_AT = 17
const CRC_FROM = 21
const TRANSACTIONAL_FLAG = 0x10

/** More than any record needs besides its key, value and headers. */
const RECORD_OVERHEAD_MAX = 32

/** An upper bound of the bytes that the record takes in a batch. */
export function recordBytesMax(record: OutRecord): number {
  let size = RECORD_OVERHEAD_MAX + lengthOf(record.key) + lengthOf(record.value)
  for (const [name, value] of Object.entries(record.headers ?? {})) {
    size += 10 + Buffer.byteLength(name) + value.length
  }
  return size
}

/** All records must be of one partition, at least one. */
export function writeRecordBatch(records: readonly OutRecord[], producer: BatchProducer): Buffer {
  const baseTimestamp = records[0]?.timestamp ?? 0
  let maxTimestamp = baseTimestamp
  let size = HEADER_BYTES
  const plans: Plan[] = []
  for (const [index, record] of records.entries()) {
    const plan = planOf(record, index, record.timestamp - baseTimestamp)
    plans.push(plan)
    size += varintBytes(plan.bodyBytes) + plan.bodyBytes
    if (record.timestamp > maxTimestamp) maxTimestamp = record.timestamp
  }
  const bytes = Buffer.allocUnsafe(size)
  writeInt64(bytes, 0, 0) // base offset: the broker's
  bytes.writeInt32BE(size - 12, 8)
  bytes.writeInt32BE(-1, 12) // partition leader epoch
  bytes.writeInt8(2, 16)
  bytes.writeInt16BE(producer.transactional ? TRANSACTIONAL_FLAG : 0, 21)
  bytes.writeInt32BE(records.length - 1, 23)
  writeInt64(bytes, 27, baseTimestamp)
  writeInt64(bytes, 35, maxTimestamp)
  writeInt64(bytes, 43, producer.producerId)
  bytes.writeInt16BE(producer.producerEpoch, 51)
  bytes.writeInt32BE(producer.baseSequence, 53)
  bytes.writeInt32BE(records.length, 57)
  let at = HEADER_BYTES
  for (const plan of plans) at = writeRecord(bytes, at, plan)
  bytes.writeInt32BE(crc32c(bytes, CRC_FROM), CRC_AT)
  return bytes
}

interface Plan {
  readonly record: OutRecord
  readonly offsetDelta: number
  readonly timestampDelta: number
  readonly keyBytes: number
  readonly valueBytes: number
  readonly headers: readonly (readonly [name: string, value: Buffer])[]
  readonly bodyBytes: number
}

const NO_HEADERS: readonly (readonly [string, Buffer])[] = []

function planOf(record: OutRecord, offsetDelta: number, timestampDelta: number): Plan {
  const keyBytes = lengthOf(record.key)
  const valueBytes = lengthOf(record.value)
  const headers = record.headers ? Object.entries(record.headers) : NO_HEADERS
  let bodyBytes = 1 + varintBytes(timestampDelta) + varintBytes(offsetDelta) + varintBytes(headers.length)
  bodyBytes += fieldBytes(record.key, keyBytes) + fieldBytes(record.value, valueBytes)
  for (const [name, value] of headers) {
    const nameBytes = Buffer.byteLength(name)
    bodyBytes += varintBytes(nameBytes) + nameBytes + varintBytes(value.length) + value.length
  }
  return { record, offsetDelta, timestampDelta, keyBytes, valueBytes, headers, bodyBytes }
}

function writeRecord(bytes: Buffer, start: number, plan: Plan): number {
  let at = writeVarint(bytes, start, plan.bodyBytes)
  bytes[at] = 0 // attributes
  at = writeVarint(bytes, at + 1, plan.timestampDelta)
  at = writeVarint(bytes, at, plan.offsetDelta)
  at = writeField(bytes, at, plan.record.key, plan.keyBytes)
  at = writeField(bytes, at, plan.record.value, plan.valueBytes)
  at = writeVarint(bytes, at, plan.headers.length)
  for (const [name, value] of plan.headers) {
    at = writeField(bytes, at, name, Buffer.byteLength(name))
    at = writeField(bytes, at, value, value.length)
  }
  return at
}

function lengthOf(field: Buffer | string | null): number {
  if (field === null) return 0
  return typeof field === 'string' ? Buffer.byteLength(field) : field.length
}

function fieldBytes(field: Buffer | string | null, length: number): number {
  return field === null ? varintBytes(-1) : varintBytes(length) + length
}

function writeField(bytes: Buffer, start: number, field: Buffer | string | null, length: number): number {
  if (field === null) return writeVarint(bytes, start, -1)
  const at = writeVarint(bytes, start, length)
  if (typeof field === 'string') bytes.write(field, at)
  else field.copy(bytes, at)
  return at + length
}

function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1
}

function varintBytes(value: number): number {
  let size = 1
  for (let rest = zigzag(value); rest >= 0x80; rest = Math.floor(rest / 128)) size += 1
  return size
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start
  let rest = zigzag(value)
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) | 0x80
  bytes[at++] = rest
  return at
}
