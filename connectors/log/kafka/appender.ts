import type { AppendEnd, OutRecord, TopicPartition } from '../../../core/ports/log.ts'
import type { KafkaClient } from './client.ts'
import { isTransient, kindOf } from './failures.ts'
import type { KafkaBroker, ProducerIdentity } from './internals.ts'
import { recordBytesMax, writeRecordBatch } from './record-batch-writer.ts'
import { keyOf, type PartitionAnswer, produce } from './requests.ts'

/** Well under Kafka's default `message.max.bytes` (1,048,588), which bounds a batch, not a record. */
const BATCH_BYTES_MAX = 768 * 1024
/** All batches of one request, well under `socket.request.max.bytes` (100 MiB). */
const REQUEST_BYTES_MAX = 8 * 1024 * 1024
const SEQUENCE_END = 2 ** 31

/** The records of one partition that travel as one batch. */
export interface Chunk extends TopicPartition {
  readonly records: readonly OutRecord[]
  readonly bytesMax: number
}

interface Prepared extends TopicPartition {
  readonly chunk: Chunk
  readonly bytes: Buffer
  readonly baseSequence: number
}

/** Groups records by partition, in order, and cuts them into batches. Each round holds at most one of each partition. */
export function planRounds(records: readonly OutRecord[]): readonly (readonly Chunk[])[] {
  const rounds: { chunks: Chunk[]; bytes: number }[] = []
  for (const chunks of chunksByPartition(records)) {
    let next = 0
    for (const chunk of chunks) {
      while ((rounds[next]?.bytes ?? 0) > 0 && (rounds[next]?.bytes ?? 0) + chunk.bytesMax > REQUEST_BYTES_MAX)
        next += 1
      const round = (rounds[next] ??= { chunks: [], bytes: 0 })
      round.chunks.push(chunk)
      round.bytes += chunk.bytesMax
      next += 1
    }
  }
  return rounds.map((round) => round.chunks)
}

function chunksByPartition(records: readonly OutRecord[]): Chunk[][] {
  const partitions = new Map<string, { records: OutRecord[]; bytesMax: number; topic: string; partition: number }[]>()
  for (const record of records) {
    const key = keyOf(record)
    let chunks = partitions.get(key)
    if (!chunks) partitions.set(key, (chunks = []))
    const bytes = recordBytesMax(record)
    const last = chunks.at(-1)
    if (last && last.bytesMax + bytes <= BATCH_BYTES_MAX) {
      last.records.push(record)
      last.bytesMax += bytes
    } else {
      chunks.push({ topic: record.topic, partition: record.partition, records: [record], bytesMax: bytes })
    }
  }
  return [...partitions.values()]
}

/**
 * Appends as an idempotent producer: each batch carries the producer's id and the partition's next sequence number, so
 * that sending it again after a lost answer appends it once. One call at a time.
 */
export class Appender {
  readonly #client: KafkaClient
  readonly #identity: ProducerIdentity
  readonly #transactionalId: string | null
  readonly #sequences = new Map<string, number>()

  constructor(client: KafkaClient, identity: ProducerIdentity, transactionalId: string | null) {
    this.#client = client
    this.#identity = identity
    this.#transactionalId = transactionalId
  }

  async append(records: readonly OutRecord[]): Promise<readonly AppendEnd[]> {
    const ends = new Map<string, AppendEnd>()
    for (const round of planRounds(records)) await this.#appendRound(round, ends)
    return [...ends.values()]
  }

  async #appendRound(round: readonly Chunk[], ends: Map<string, AppendEnd>): Promise<void> {
    let left = round.map((chunk) => this.#prepare(chunk))
    const tooLarge: Chunk[] = []
    await this.#client.retrying(`append to ${topicsOf(round)}`, async () => {
      let failure: Error | undefined
      for (const answer of await this.#send(left)) {
        const batch = left.find((b) => b.topic === answer.topic && b.partition === answer.partition)
        if (!batch) continue
        const { chunk, topic, partition } = batch
        if (answer.error) {
          if (kindOf(answer.error) !== 'too-large' || chunk.records.length === 1) {
            // what can't be retried decides over what can
            if (!failure || isTransient(kindOf(failure))) failure = answer.error
            continue
          }
          tooLarge.push(chunk)
        } else {
          const count = chunk.records.length
          ends.set(keyOf(chunk), { topic, partition, nextOffset: answer.baseOffset + count })
          this.#sequences.set(keyOf(chunk), (batch.baseSequence + count) % SEQUENCE_END)
        }
        left = left.filter((b) => b !== batch)
      }
      if (failure) throw failure
    })
    // the topic allows less than Kafka's default
    for (const half of tooLarge.flatMap(halve)) await this.#appendRound([half], ends)
  }

  #prepare(chunk: Chunk): Prepared {
    const { topic, partition, records } = chunk
    const baseSequence = this.#sequences.get(keyOf(chunk)) ?? 0
    const bytes = writeRecordBatch(records, {
      producerId: Number(this.#identity.producerId),
      producerEpoch: this.#identity.producerEpoch,
      baseSequence,
      transactional: this.#transactionalId !== null,
    })
    return { topic, partition, chunk, bytes, baseSequence }
  }

  /** To all leaders at once. */
  async #send(
    batches: readonly (TopicPartition & { bytes: Buffer })[],
  ): Promise<readonly PartitionAnswer<{ readonly baseOffset: number }>[]> {
    const byLeader = new Map<KafkaBroker, (TopicPartition & { bytes: Buffer })[]>()
    for (const batch of batches) {
      const leader = await this.#client.leader(batch)
      const own = byLeader.get(leader)
      if (own) own.push(batch)
      else byLeader.set(leader, [batch])
    }
    const waitMsMax = this.#client.requestMsMax
    const transactionalId = this.#transactionalId
    const answers = await Promise.allSettled(
      [...byLeader].map(([leader, own]) => produce(leader, { transactionalId, waitMsMax, batches: own })),
    )
    const failed = answers.find((answer) => answer.status === 'rejected')
    // what other leaders took is sent again, and known by its sequence number
    if (failed) throw failed.reason
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  }
}

function halve(chunk: Chunk): Chunk[] {
  const middle = Math.ceil(chunk.records.length / 2)
  return [
    { ...chunk, records: chunk.records.slice(0, middle) },
    { ...chunk, records: chunk.records.slice(middle) },
  ]
}

function topicsOf(chunks: readonly Chunk[]): string {
  return [...new Set(chunks.map((chunk) => chunk.topic))].join(', ')
}
