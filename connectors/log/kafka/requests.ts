/**
 * The requests that we encode and decode ourselves: those whose answer kafkajs turns into less than it says.
 * Layouts: https://kafka.apache.org/41/protocol.html
 */
import type { TopicPartition } from '../../../core/ports/log.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { encoded, errorOfCode, type KafkaBroker, type ProtocolRequest } from './internals.ts'
import { type AbortedTransaction, type FetchedRecords, readRecords } from './record-batch-reader.ts'

const PRODUCE = 0
const FETCH = 1
const OFFSET_FETCH = 9
const READ_COMMITTED = 1
const CONSUMER_REPLICA = -1
const ALL_REPLICAS = -1

/** An answer for one partition: an error of the broker's, or what was asked for. */
export type PartitionAnswer<T> = TopicPartition & ({ readonly error: Error } | ({ readonly error?: undefined } & T))

export interface FetchPartition extends TopicPartition {
  readonly offset: number
  readonly bytesMax: number
}

export interface FetchRequest {
  readonly partitions: readonly FetchPartition[]
  readonly waitMsMax: number
  /** How long an answer may take beyond the time that the broker was allowed to wait. */
  readonly answerMsMax: number
  readonly bytesMax: number
}

/** `end`: the last stable offset. */
export type Fetched = FetchedRecords & { readonly end: number }

/** Fetch, version 11 (Kafka 2.3): the newest without topic ids. Rejects where the whole request failed. */
export async function fetchRecords(
  broker: KafkaBroker,
  request: FetchRequest,
): Promise<readonly PartitionAnswer<Fetched>[]> {
  const asked = new Map(request.partitions.map((p) => [keyOf(p), p]))
  const answer = await send(broker, {
    request: { apiKey: FETCH, apiVersion: 11, apiName: 'Fetch', encode: async () => encoded(fetchBody(request)) },
    response: {
      decode: async (payload) => ({ answers: await readFetchAnswer(payload, asked) }),
      parse: (decoded) => Promise.resolve(decoded),
    },
    requestTimeout: request.waitMsMax + request.answerMsMax,
  })
  return (answer as { answers: PartitionAnswer<Fetched>[] }).answers
}

export const keyOf = ({ topic, partition }: TopicPartition): string => `${partition}/${topic}`

function fetchBody({ partitions, waitMsMax, bytesMax }: FetchRequest): Buffer {
  const body = new ByteWriter()
  body.int32(CONSUMER_REPLICA).int32(waitMsMax).int32(1).int32(bytesMax).int8(READ_COMMITTED)
  body.int32(0).int32(-1) // no fetch session
  body.array(byTopic(partitions), ([topic, own]) =>
    body.string(topic).array(own, (p) => body.int32(p.partition).int32(-1).int64(p.offset).int64(-1).int32(p.bytesMax)),
  )
  return body.int32(0).string('').result() // no forgotten topics, no rack
}

async function readFetchAnswer(
  payload: Buffer,
  asked: ReadonlyMap<string, FetchPartition>,
): Promise<PartitionAnswer<Fetched>[]> {
  const reader = new ByteReader(payload)
  reader.int32() // throttle time
  const errorCode = reader.int16()
  if (errorCode !== 0) throw errorOfCode(errorCode)
  reader.int32() // session
  const raw = reader.array(() => {
    const topic = reader.string() ?? ''
    return reader.array(() => readFetchedPartition(reader, topic))
  })
  const answers: PartitionAnswer<Fetched>[] = []
  for (const { topic, partition, errorCode, end, aborted, bytes } of raw.flat()) {
    const fetchOffset = asked.get(keyOf({ topic, partition }))?.offset
    if (fetchOffset === undefined) continue
    if (errorCode !== 0) answers.push({ topic, partition, error: errorOfCode(errorCode) })
    else {
      const fetched = await readRecords(bytes, { topic, partition, fetchOffset, aborted })
      answers.push({ topic, partition, ...fetched, end })
    }
  }
  return answers
}

function readFetchedPartition(
  reader: ByteReader,
  topic: string,
): TopicPartition & { errorCode: number; end: number; aborted: AbortedTransaction[]; bytes: Buffer } {
  const partition = reader.int32()
  const errorCode = reader.int16()
  reader.int64() // high watermark
  const end = reader.int64()
  reader.int64() // log start offset
  const aborted = reader.array(() => ({ producerId: reader.int64(), firstOffset: reader.int64() }))
  reader.int32() // preferred read replica
  return { topic, partition, errorCode, end, aborted, bytes: reader.bytes() }
}

export interface ProduceRequest {
  readonly transactionalId: string | null
  readonly waitMsMax: number
  readonly batches: readonly (TopicPartition & { readonly bytes: Buffer })[]
}

/** Produce, version 7 (Kafka 2.1), acknowledged by all in-sync replicas. */
export async function produce(
  broker: KafkaBroker,
  request: ProduceRequest,
): Promise<readonly PartitionAnswer<{ readonly baseOffset: number }>[]> {
  const answer = await send(broker, {
    request: { apiKey: PRODUCE, apiVersion: 7, apiName: 'Produce', encode: async () => encoded(produceBody(request)) },
    response: {
      decode: (payload) => Promise.resolve({ answers: readProduceAnswer(payload) }),
      parse: (decoded) => Promise.resolve(decoded),
    },
  })
  return (answer as { answers: PartitionAnswer<{ baseOffset: number }>[] }).answers
}

function produceBody({ transactionalId, waitMsMax, batches }: ProduceRequest): Buffer {
  const body = new ByteWriter()
  body.string(transactionalId).int16(ALL_REPLICAS).int32(waitMsMax)
  body.array(byTopic(batches), ([topic, own]) =>
    body.string(topic).array(own, (batch) => body.int32(batch.partition).bytes(batch.bytes)),
  )
  return body.result()
}

function readProduceAnswer(payload: Buffer): PartitionAnswer<{ baseOffset: number }>[] {
  const reader = new ByteReader(payload)
  const topics = reader.array(() => {
    const topic = reader.string() ?? ''
    return reader.array((): PartitionAnswer<{ baseOffset: number }> => {
      const partition = reader.int32()
      const errorCode = reader.int16()
      const baseOffset = reader.int64()
      reader.int64() // log append time
      reader.int64() // log start offset
      if (errorCode !== 0) return { topic, partition, error: errorOfCode(errorCode) }
      return { topic, partition, baseOffset }
    })
  })
  return topics.flat()
}

/**
 * OffsetFetch, version 7 (Kafka 2.5): the first that can demand stable offsets, refusing with UNSTABLE_OFFSET_COMMIT
 * while a transaction over them is pending. Answers only partitions that have a committed offset.
 */
export async function fetchStableOffsets(
  broker: KafkaBroker,
  group: string,
  partitions: readonly TopicPartition[],
): Promise<ReadonlyMap<string, number>> {
  const answer = await send(broker, {
    request: {
      apiKey: OFFSET_FETCH,
      apiVersion: 7,
      apiName: 'OffsetFetch',
      encode: async () => encoded(offsetFetchBody(group, partitions)),
    },
    response: {
      decode: (payload) => Promise.resolve({ offsets: readOffsetFetchAnswer(payload) }),
      parse: (decoded) => Promise.resolve(decoded),
    },
  })
  return (answer as { offsets: Map<string, number> }).offsets
}

function offsetFetchBody(group: string, partitions: readonly TopicPartition[]): Buffer {
  const body = new ByteWriter().noTags() // the last field of the request header, which kafkajs leaves out
  body.compactString(group)
  body.compactArray(byTopic(partitions), ([topic, own]) =>
    body
      .compactString(topic)
      .compactArray(own, (p) => body.int32(p.partition))
      .noTags(),
  )
  return body.int8(1).noTags().result() // require stable
}

function readOffsetFetchAnswer(payload: Buffer): Map<string, number> {
  const offsets = new Map<string, number>()
  const reader = new ByteReader(payload)
  reader.skipTags() // of the response header
  reader.int32() // throttle time
  reader.compactArray(() => {
    const topic = reader.compactString() ?? ''
    reader.compactArray(() => {
      const partition = reader.int32()
      const offset = reader.int64()
      reader.int32() // leader epoch
      reader.compactString() // metadata
      const errorCode = reader.int16()
      reader.skipTags()
      if (errorCode !== 0) throw errorOfCode(errorCode)
      if (offset >= 0) offsets.set(keyOf({ topic, partition }), offset)
    })
    reader.skipTags()
  })
  const errorCode = reader.int16()
  if (errorCode !== 0) throw errorOfCode(errorCode)
  return offsets
}

/** As kafkajs' Broker does with its own requests: a closed connection is torn down, so that the next call reconnects. */
async function send(broker: KafkaBroker, request: ProtocolRequest): Promise<unknown> {
  try {
    return await broker.connectionPool.send(request)
  } catch (error) {
    if (error instanceof Error && error.name === 'KafkaJSConnectionClosedError') await broker.disconnect()
    throw error
  }
}

export function byTopic<T extends TopicPartition>(items: readonly T[]): (readonly [topic: string, items: T[]])[] {
  const topics = new Map<string, T[]>()
  for (const item of items) {
    const own = topics.get(item.topic)
    if (own) own.push(item)
    else topics.set(item.topic, [item])
  }
  return [...topics]
}
