import type { OutRecord, TopicSpec } from '../../../core/ports/log.ts'
import type { KvOp } from '../../../core/ports/ordered-kv.ts'
import { encodeAppend, encodeMarker, recordBytes } from './chunk.ts'
import { abortedKey, chunkKey, groupOffsetKey, partitionKey, producerKey, topicKey, u64 } from './keys.ts'
import { type GroupPosition, type LogState, type Partition, type ProducerState, stableEnd } from './state.ts'
import type { Storage } from './storage.ts'

/** Most bytes, and most records, of one chunk: what a reader must fetch to get one record. */
const CHUNK_BYTES_MAX = 256 * 1024
const CHUNK_RECORDS_MAX = 4096

interface Head {
  end: number
  maxTimestamp: number
  readonly open: Map<number, number>
}

/** Where a partition begins and what compaction has done, as stored. */
export interface PartitionStart {
  readonly earliest: number
  readonly cleanedTo: number
  readonly cleanedRecords: number
}

/**
 * Changes of the log that are not yet written. A draft reads through to the state and never changes it: `ops` go to the
 * store in one write, and only then `apply` moves the state. So a failed write leaves nothing half-applied.
 */
export class Draft {
  readonly state: LogState
  readonly #heads = new Map<Partition, Head>()
  readonly #producers = new Map<string, ProducerState>()
  readonly #topics = new Map<string, number>()
  readonly #chunks: { readonly key: Buffer; readonly value: Buffer | undefined }[] = []
  readonly #ops: KvOp[] = []
  readonly #effects: (() => void)[] = []
  /** Changes so far: tells a stage that failed clean from one that left something. */
  changes = 0
  bytes = 0

  constructor(state: LogState) {
    this.state = state
  }

  hasTopic(topic: string): boolean {
    return this.state.topics.has(topic) || this.#topics.has(topic)
  }

  addTopic(spec: TopicSpec): void {
    const id = this.state.nextTopicId + this.#topics.size
    this.#topics.set(spec.topic, id)
    this.#put(topicKey(spec.topic), Buffer.from(JSON.stringify({ id, spec })))
    this.#effects.push(() => this.state.addTopic(spec, id))
  }

  producer(transactionalId: string): ProducerState | undefined {
    return this.#producers.get(transactionalId) ?? this.state.producers.get(transactionalId)
  }

  /** A producer id that no transactional id has. */
  freshProducerId(): number {
    let next = this.state.nextProducerId
    for (const producer of this.#producers.values()) next = Math.max(next, producer.producerId + 1)
    return next
  }

  putProducer(producer: ProducerState): void {
    this.changes++
    this.#producers.set(producer.transactionalId, producer)
  }

  /** Appends records at the end of the partition; answers the first offset and the one after the last. */
  append(partition: Partition, records: readonly OutRecord[], producerId: number): { first: number; next: number } {
    const head = this.#head(partition)
    const first = head.end
    for (const part of chunked(records)) {
      const value = encodeAppend(part, { producerId, runningMaxTimestamp: head.maxTimestamp })
      this.#putChunk(chunkKey(partition, head.end), value)
      head.end += part.length
      for (const record of part) head.maxTimestamp = Math.max(head.maxTimestamp, record.timestamp)
    }
    if (producerId !== 0 && !head.open.has(producerId)) head.open.set(producerId, first)
    return { first, next: head.end }
  }

  /** Ends the producer's transaction in the partition with a marker, which takes an offset. */
  mark(partition: Partition, producerId: number, outcome: 'commit' | 'abort'): void {
    const head = this.#head(partition)
    const first = head.open.get(producerId)
    const last = head.end
    this.#putChunk(chunkKey(partition, last), encodeMarker(outcome, producerId, head.maxTimestamp))
    head.end += 1
    head.open.delete(producerId)
    if (outcome === 'commit' || first === undefined) return
    this.#put(abortedKey(partition, first, last), u64(producerId))
    this.#effects.push(() => partition.addAborted(producerId, { first, last }))
  }

  putOffset(position: GroupPosition): void {
    const partition = this.state.partition(position)
    this.#put(groupOffsetKey(position.group, partition), u64(position.offset))
    this.#effects.push(() => this.state.putCommitted(position))
  }

  /** Takes chunks out, and puts others in their place (for compaction); offsets are not touched. */
  replaceChunks(removed: readonly Buffer[], put?: { readonly key: Buffer; readonly value: Buffer }): void {
    this.changes++
    for (const key of removed) this.#chunks.push({ key, value: undefined })
    if (put) this.#putChunk(put.key, put.value)
  }

  /** Forgets aborted transactions that lie wholly below `offset`, where nothing of them is left. */
  dropAbortedBelow(partition: Partition, offset: number): void {
    for (const [producerId, ranges] of partition.aborted) {
      for (const { first, last } of ranges) {
        if (last < offset) this.#ops.push({ type: 'del', key: abortedKey(partition, first, last) })
      }
      this.#effects.push(() => {
        const left = ranges.filter((range) => range.last >= offset)
        if (left.length > 0) partition.aborted.set(producerId, left)
        else partition.aborted.delete(producerId)
      })
    }
    this.changes++
  }

  putStart(partition: Partition, start: PartitionStart): void {
    this.#put(partitionKey(partition), Buffer.from(JSON.stringify(start)))
    this.#effects.push(() => {
      Object.assign(partition, start)
      partition.changed.notify()
    })
  }

  ops(): KvOp[] {
    const ops = [...this.#ops]
    for (const { key, value } of this.#chunks) {
      ops.push(value === undefined ? { type: 'del', key } : { type: 'put', key, value })
    }
    for (const producer of this.#producers.values()) {
      if (sameStored(producer, this.state.producers.get(producer.transactionalId))) continue
      ops.push({
        type: 'put',
        key: producerKey(producer.transactionalId),
        value: Buffer.from(JSON.stringify(producer)),
      })
    }
    return ops
  }

  /** Moves the state to what was written, and wakes who waits for it. */
  apply(storage: Storage): void {
    for (const { key, value } of this.#chunks) {
      storage.forget(key)
      if (value !== undefined) storage.keep(key, value)
    }
    for (const effect of this.#effects) effect()
    for (const producer of this.#producers.values()) this.state.addProducer(producer)
    for (const [partition, head] of this.#heads) {
      const moved = stableEnd(head.open, head.end) > partition.stableEnd
      partition.end = head.end
      partition.maxTimestamp = head.maxTimestamp
      partition.open = head.open
      if (moved) partition.changed.notify()
    }
    if (this.#producers.size > 0) this.state.settled.notify()
  }

  #head(partition: Partition): Head {
    this.changes++
    let head = this.#heads.get(partition)
    if (!head) {
      head = { end: partition.end, maxTimestamp: partition.maxTimestamp, open: new Map(partition.open) }
      this.#heads.set(partition, head)
    }
    return head
  }

  #putChunk(key: Buffer, value: Buffer): void {
    this.#chunks.push({ key, value })
    this.bytes += value.length
  }

  #put(key: Buffer, value: Buffer): void {
    this.changes++
    this.#ops.push({ type: 'put', key, value })
  }
}

/** Splits an append so that no chunk is larger than a reader wants to fetch. */
function* chunked(records: readonly OutRecord[]): Iterable<readonly OutRecord[]> {
  let from = 0
  let bytes = 0
  for (let i = 0; i < records.length; i++) {
    const record = records[i]
    const size = record ? recordBytes(record) : 0
    if (i > from && (bytes + size > CHUNK_BYTES_MAX || i - from >= CHUNK_RECORDS_MAX)) {
      yield records.slice(from, i)
      from = i
      bytes = 0
    }
    bytes += size
  }
  if (from < records.length) yield from === 0 ? records : records.slice(from)
}

function sameStored(producer: ProducerState, stored: ProducerState | undefined): boolean {
  return stored?.epoch === producer.epoch && !stored.open && !producer.open
}
