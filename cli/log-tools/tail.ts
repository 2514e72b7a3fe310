import { isUtf8 } from 'node:buffer'
import type { Clock } from '../../core/clock.ts'
import { hasCode, OncewardError } from '../../core/errors.ts'
import type { Log, LogRecord, PartitionReader, TopicPartition } from '../../core/ports/log.ts'
import type { WireDecoder } from '../../operators/wire-decoder.ts'
import { schemaIdOf } from '../../operators/wire-format.ts'
import { nearest } from '../settings/nearest.ts'

export interface TailOptions {
  readonly topic: string
  /** undefined: all of them. */
  readonly partition?: number | undefined
  readonly from: 'beginning' | 'end' | number
  /** End once everything that could be read at the start has been printed. */
  readonly toEnd: boolean
  /** Only records with this key. */
  readonly key?: string | undefined
}

export interface TailParts {
  readonly log: Log
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Takes whole lines. */
  readonly print: (text: string) => Promise<void>
  /** Shows values in Avro as JSON; undefined: their bytes are shown. */
  readonly avro?: Pick<WireDecoder, 'decode'> | undefined
}

/** How long one read of a silent partition waits; also how soon an abort is noticed. */
const FOLLOW_WAIT_MS = 500
const READ_BYTES_MAX = 4 * 1_048_576

/** Prints committed records, one JSON a line: first what is there, partition by partition, then what comes, as it comes. */
export async function tail(options: TailOptions, parts: TailParts): Promise<void> {
  const ids = await chosenPartitions(options, parts.log)
  const bounds = await parts.log.bounds(ids)
  const starts = ids.map((id, index) => {
    const { earliest, end } = bounds[index] ?? { earliest: 0, end: 0 }
    return { id, position: startOf(options, id, { earliest, end }), end }
  })
  const readers: PartitionReader[] = []
  try {
    for (const start of starts) readers.push(await parts.log.reader(start.id))
    const positions: number[] = []
    for (const [index, start] of starts.entries()) {
      const reader = readers[index]
      if (reader !== undefined) positions.push(await printUntil(reader, start, { options, parts }))
    }
    if (options.toEnd) return
    await Promise.all(readers.map((reader, index) => follow(reader, positions[index] ?? 0, { options, parts })))
  } finally {
    await Promise.all(readers.map((reader) => reader.close()))
  }
}

async function chosenPartitions(options: TailOptions, log: Log): Promise<readonly TopicPartition[]> {
  const { topic, partition } = options
  const info = await log.topic(topic)
  if (info === undefined) {
    const hint = nearest(topic, await log.listTopics())
    throw new OncewardError(
      'ONCEWARD_E_LOG_TOPIC_MISSING',
      `there is no topic ${topic}${hint === undefined ? '; onceward topics create makes the topics' : `; did you mean ${hint}?`}`,
    )
  }
  if (partition === undefined) {
    return Array.from({ length: info.partitions }, (_, each) => ({ topic, partition: each }))
  }
  if (partition < info.partitions) return [{ topic, partition }]
  throw new OncewardError(
    'ONCEWARD_E_SETTING_INVALID',
    `--partition: ${topic} has no partition ${partition}; its partitions are 0 to ${info.partitions - 1}`,
  )
}

function startOf(options: TailOptions, id: TopicPartition, bounds: { earliest: number; end: number }): number {
  if (options.from === 'beginning') return bounds.earliest
  if (options.from === 'end') return bounds.end
  if (options.from >= bounds.earliest && options.from <= bounds.end) return options.from
  throw new OncewardError(
    'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE',
    `partition ${id.partition} of ${id.topic} has no offset ${options.from}; it holds ${bounds.earliest} to ${bounds.end}`,
  )
}

interface Work {
  readonly options: TailOptions
  readonly parts: TailParts
}

async function printUntil(
  reader: PartitionReader,
  { position: start, end }: { readonly position: number; readonly end: number },
  { options, parts }: Work,
): Promise<number> {
  let position = start
  while (position < end && !parts.signal.aborted) {
    const batch = await reader.read(position, { bytesMax: READ_BYTES_MAX })
    // Under --to-end a busy topic must not carry the reading beyond the end that was there at the start.
    const wanted = options.toEnd ? batch.records.filter((record) => record.offset < end) : batch.records
    await printRecords(wanted, options, parts)
    if (batch.nextOffset <= position) break
    position = batch.nextOffset
  }
  return position
}

async function follow(reader: PartitionReader, start: number, { options, parts }: Work): Promise<void> {
  let position = start
  while (!parts.signal.aborted) {
    try {
      const batch = await reader.read(position, { waitMs: FOLLOW_WAIT_MS, bytesMax: READ_BYTES_MAX })
      await printRecords(batch.records, options, parts)
      position = batch.nextOffset
    } catch (error) {
      if (!hasCode(error, 'ONCEWARD_E_LOG_UNAVAILABLE')) throw error
      await parts.clock.sleep(FOLLOW_WAIT_MS, parts.signal)
    }
  }
}

async function printRecords(
  records: readonly LogRecord[],
  { key }: TailOptions,
  { print, avro }: TailParts,
): Promise<void> {
  const wanted = key === undefined ? records : records.filter((record) => record.key?.toString() === key)
  if (wanted.length > 0) await print(wanted.map((record) => `${recordLine(record, avro)}\n`).join(''))
}

/**
 * topic, partition, offset, key, timestamp (RFC 3339), value: parsed where it is JSON, text otherwise. Bytes that are no
 * UTF-8 stand under key_base64 and value_base64 with key and value null. A value in Avro that `avro` can decode is shown as
 * JSON, with the id of its schema under schema_id.
 */
export function recordLine(record: LogRecord, avro?: TailParts['avro']): string {
  const key = bytesField('key', record.key)
  const value = decodedField(record.value, avro) ?? valueField(record.value)
  const headers = record.headers === undefined ? '' : `,"headers":${headersJson(record.headers)}`
  const time = JSON.stringify(new Date(record.timestamp).toISOString())
  return `{"topic":${JSON.stringify(record.topic)},"partition":${record.partition},"offset":${record.offset},${key},"timestamp":${time},${value}${headers}}`
}

/** undefined where it is no Avro, or cannot be decoded. */
function decodedField(bytes: Buffer | null, avro: TailParts['avro']): string | undefined {
  const id = avro === undefined ? undefined : schemaIdOf(bytes)
  if (bytes === null || id === undefined) return undefined
  const decoded = avro?.decode(bytes)
  return decoded?.ok === true ? `"value":${JSON.stringify(decoded.data)},"schema_id":${id}` : undefined
}

function valueField(bytes: Buffer | null): string {
  if (bytes === null || !isUtf8(bytes)) return bytesField('value', bytes)
  const text = bytes.toString()
  const parsed = parsedJson(text)
  if (parsed === undefined) return bytesField('value', bytes)
  // The text itself where it fits a line: parsing and printing could change how a number is written.
  return `"value":${/[\r\n]/.test(text) ? JSON.stringify(parsed) : text}`
}

/** undefined where it is no JSON. */
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function bytesField(name: string, bytes: Buffer | null): string {
  if (bytes === null) return `"${name}":null`
  if (isUtf8(bytes)) return `"${name}":${JSON.stringify(bytes.toString())}`
  return `"${name}":null,"${name}_base64":"${bytes.toString('base64')}"`
}

function headersJson(headers: Readonly<Record<string, Buffer>>): string {
  const texts = Object.entries(headers).map(([name, value]) => [
    name,
    isUtf8(value) ? value.toString() : { base64: value.toString('base64') },
  ])
  return JSON.stringify(Object.fromEntries(texts))
}
