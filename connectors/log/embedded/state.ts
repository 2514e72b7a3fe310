import { OncewardError } from '../../../core/errors.ts'
import type { TopicPartition, TopicSpec } from '../../../core/ports/log.ts'
import type { PartitionId } from './keys.ts'
import { Notifier } from './notifier.ts'

/** Offsets that an aborted transaction covers in one partition; `last` is its marker. */
export interface AbortedRange {
  readonly first: number
  readonly last: number
}

/** One partition, in memory; every field is as the store has it. */
export class Partition implements PartitionId, TopicPartition {
  readonly spec: TopicSpec
  readonly topicId: number
  readonly partition: number
  /** Offset of the oldest chunk still held. */
  earliest = 0
  /** The next offset to be given: never moves back. */
  end = 0
  maxTimestamp = Number.NEGATIVE_INFINITY
  /** First offset of each open transaction, by producer id. */
  open: ReadonlyMap<number, number> = new Map()
  /** By producer id, in offset order. */
  readonly aborted = new Map<number, AbortedRange[]>()
  /** Compaction has seen everything below this offset, and left so many records there. */
  cleanedTo = 0
  cleanedRecords = 0
  /** Fires when records have become readable, or the earliest offset has moved. */
  readonly changed = new Notifier()

  constructor(spec: TopicSpec, topicId: number, partition: number) {
    this.spec = spec
    this.topicId = topicId
    this.partition = partition
  }

  get topic(): string {
    return this.spec.topic
  }

  /** The last stable offset: read_committed readers see what is below it. */
  get stableEnd(): number {
    return stableEnd(this.open, this.end)
  }

  /** True where the transaction of `producerId` that holds `offset` (below the stable end) was aborted. */
  isAborted(producerId: number, offset: number): boolean {
    const ranges = this.aborted.get(producerId)
    return ranges?.some((range) => range.first <= offset && offset <= range.last) ?? false
  }

  addAborted(producerId: number, range: AbortedRange): void {
    const ranges = this.aborted.get(producerId)
    if (ranges) ranges.push(range)
    else this.aborted.set(producerId, [range])
  }
}

export function stableEnd(open: ReadonlyMap<number, number>, end: number): number {
  let stable = end
  for (const first of open.values()) if (first < stable) stable = first
  return stable
}

export interface Topic {
  readonly spec: TopicSpec
  readonly id: number
  readonly partitions: readonly Partition[]
}

/** The transaction that a transactional id has open. */
export interface OpenTransactionState {
  readonly partitions: readonly { readonly topic: string; readonly partition: number; readonly first: number }[]
  readonly offsets: readonly GroupPosition[]
}

export interface GroupPosition extends TopicPartition {
  readonly group: string
  readonly offset: number
}

/** A transactional id. Immutable: each step makes a new one. */
export interface ProducerState {
  readonly transactionalId: string
  /** Stays the same for the id's life; above zero. */
  readonly producerId: number
  /** Counts how often the id was opened; a producer with a lower one is a zombie. */
  readonly epoch: number
  readonly open: OpenTransactionState | undefined
}

/** All of the log but its records. Changed in one place only, when a draft that was written is applied. */
export class LogState {
  readonly topics = new Map<string, Topic>()
  readonly producers = new Map<string, ProducerState>()
  readonly #offsets = new Map<string, Map<string, number>>()
  /** Fires when a transaction with offsets has ended. */
  readonly settled = new Notifier()
  /** Number of the last write. */
  sequence = 0
  nextTopicId = 1
  nextProducerId = 1

  addTopic(spec: TopicSpec, id: number): Topic {
    const partitions = Array.from({ length: spec.partitions }, (_, i) => new Partition(spec, id, i))
    const topic = { spec, id, partitions }
    this.topics.set(spec.topic, topic)
    this.nextTopicId = Math.max(this.nextTopicId, id + 1)
    return topic
  }

  addProducer(producer: ProducerState): void {
    this.producers.set(producer.transactionalId, producer)
    this.nextProducerId = Math.max(this.nextProducerId, producer.producerId + 1)
  }

  /** Throws ONCEWARD_E_LOG_TOPIC_MISSING. */
  partition({ topic, partition }: TopicPartition): Partition {
    const found = this.topics.get(topic)
    if (!found) {
      throw new OncewardError('ONCEWARD_E_LOG_TOPIC_MISSING', `there is no topic "${topic}"; create it first`)
    }
    const state = found.partitions[partition]
    if (!state) {
      throw new OncewardError(
        'ONCEWARD_E_LOG_TOPIC_MISSING',
        `topic "${topic}" has no partition ${partition}; it has ${found.partitions.length}, counted from 0`,
      )
    }
    return state
  }

  committed(group: string, { topic, partition }: TopicPartition): number | undefined {
    return this.#offsets.get(group)?.get(`${topic}/${partition}`)
  }

  putCommitted({ group, topic, partition, offset }: GroupPosition): void {
    let offsets = this.#offsets.get(group)
    if (!offsets) this.#offsets.set(group, (offsets = new Map()))
    offsets.set(`${topic}/${partition}`, offset)
  }

  /** True where an open transaction may still move one of the group's offsets. */
  hasPendingOffsets(group: string, partitions: readonly TopicPartition[]): boolean {
    for (const { open } of this.producers.values()) {
      for (const pending of open?.offsets ?? []) {
        if (pending.group !== group) continue
        if (partitions.some((p) => p.topic === pending.topic && p.partition === pending.partition)) return true
      }
    }
    return false
  }
}
