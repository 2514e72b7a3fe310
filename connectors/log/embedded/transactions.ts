import { assert } from '../../../core/assert.ts'
import { OncewardError } from '../../../core/errors.ts'
import type { AppendEnd, Commit, OutRecord, TopicPartition } from '../../../core/ports/log.ts'
import { recordBytes } from './chunk.ts'
import type { Draft } from './draft.ts'
import { nameFits } from './keys.ts'
import type { LogState, Partition, ProducerState } from './state.ts'

/** Kafka's default for the largest record (message.max.bytes), in bytes. */
const RECORD_BYTES_MAX = 1_048_588

/** A producer's claim on its transactional id: holds while nobody has opened the id again. */
export interface ProducerHandle {
  readonly transactionalId: string
  readonly epoch: number
}

/** Input positions of one group. */
export type Positions = NonNullable<Commit['offsets']>

/**
 * The steps of a transaction, as Kafka takes them, each on a draft. A commit is all of them on one draft, and so in one
 * write; a simulation or a test takes them one by one. Each step checks all before it changes anything.
 *
 * I1. A producer whose epoch is not the id's newest changes nothing (it is a zombie).
 * I2. A transaction ends once, with a marker in each partition it appended to, and its offsets count only if committed.
 */
export function openProducer(draft: Draft, transactionalId: string): ProducerHandle {
  if (!nameFits(transactionalId)) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_REFUSED',
      `"${transactionalId}" cannot be a transactional id; it needs 1 to 249 characters without NUL`,
    )
  }
  const former = draft.producer(transactionalId)
  if (former) endTransaction(draft, former, 'abort')
  const epoch = (former?.epoch ?? -1) + 1
  const producerId = former?.producerId ?? draft.freshProducerId()
  draft.putProducer({ transactionalId, producerId, epoch, open: undefined })
  return { transactionalId, epoch }
}

/** Throws ONCEWARD_E_LOG_FENCED where the id was opened again since. */
export function begin(draft: Draft, handle: ProducerHandle): void {
  const producer = checkFence(draft, handle)
  assert(!producer.open, `a producer has one transaction at a time: ${handle.transactionalId}`)
  draft.putProducer({ ...producer, open: { partitions: [], offsets: [] } })
}

/** Appends records to the open transaction. Answers the end of each partition appended to. */
export function append(draft: Draft, handle: ProducerHandle, records: readonly OutRecord[]): AppendEnd[] {
  const producer = checkFence(draft, handle)
  const { open } = producer
  assert(open, `records are appended to an open transaction: ${handle.transactionalId}`)
  const runs = checkRecords(draft.state, records)
  const partitions = [...open.partitions]
  const ends: AppendEnd[] = []
  for (const [partition, run] of runs) {
    const { first, next } = draft.append(partition, run, producer.producerId)
    ends.push(endOf(partition, next))
    if (!partitions.some((known) => known.topic === partition.topic && known.partition === partition.partition)) {
      partitions.push({ topic: partition.topic, partition: partition.partition, first })
    }
  }
  if (runs.size > 0) draft.putProducer({ ...producer, open: { ...open, partitions } })
  return ends
}

/** Adds input positions to the open transaction; they count once it commits. */
export function addOffsets(draft: Draft, handle: ProducerHandle, { group, positions }: Positions): void {
  const producer = checkFence(draft, handle)
  const { open } = producer
  assert(open, `offsets are added to an open transaction: ${handle.transactionalId}`)
  checkPositions(draft.state, { group, positions })
  const added = positions.map(({ topic, partition, offset }) => ({ group, topic, partition, offset }))
  draft.putProducer({ ...producer, open: { ...open, offsets: [...open.offsets, ...added] } })
}

/** Ends the open transaction; its records and offsets count, or never do. */
export function end(draft: Draft, handle: ProducerHandle, outcome: 'commit' | 'abort'): void {
  const producer = checkFence(draft, handle)
  assert(producer.open, `only an open transaction ends: ${handle.transactionalId}`)
  endTransaction(draft, producer, outcome)
}

/** A whole transaction on one draft. Where a step refuses, the journal forgets what the earlier ones staged. */
export function commitAll(draft: Draft, handle: ProducerHandle, commit: Commit): AppendEnd[] {
  begin(draft, handle)
  const ends = append(draft, handle, commit.records)
  if (commit.offsets) addOffsets(draft, handle, commit.offsets)
  end(draft, handle, 'commit')
  return ends
}

/** Aborts whatever is open: at the start of the log, where no producer can be alive. */
export function abortLeftOver(draft: Draft, producer: ProducerState): void {
  endTransaction(draft, producer, 'abort')
}

/** Appends without a transaction. */
export function appendPlain(draft: Draft, records: readonly OutRecord[]): AppendEnd[] {
  const ends: AppendEnd[] = []
  for (const [partition, run] of checkRecords(draft.state, records)) {
    ends.push(endOf(partition, draft.append(partition, run, 0).next))
  }
  return ends
}

/** Throws ONCEWARD_E_LOG_TOPIC_MISSING or ONCEWARD_E_LOG_REFUSED. */
export function checkPositions(state: LogState, { group, positions }: Positions): void {
  if (!nameFits(group)) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_REFUSED',
      `"${group}" cannot be a group; it needs 1 to 249 characters without NUL`,
    )
  }
  for (const position of positions) {
    state.partition(position)
    if (!Number.isSafeInteger(position.offset) || position.offset < 0) {
      throw new OncewardError(
        'ONCEWARD_E_LOG_REFUSED',
        `${position.offset} cannot be committed for ${position.topic}/${position.partition}; an offset is a whole number from 0`,
      )
    }
  }
}

function endTransaction(draft: Draft, producer: ProducerState, outcome: 'commit' | 'abort'): void {
  if (!producer.open) return
  for (const touched of producer.open.partitions) {
    draft.mark(draft.state.partition(touched), producer.producerId, outcome)
  }
  if (outcome === 'commit') for (const position of producer.open.offsets) draft.putOffset(position)
  draft.putProducer({ ...producer, open: undefined })
}

function checkFence(draft: Draft, { transactionalId, epoch }: ProducerHandle): ProducerState {
  const producer = draft.producer(transactionalId)
  assert(producer, `an open transactional id stays known: ${transactionalId}`)
  if (producer.epoch === epoch) return producer
  throw new OncewardError(
    'ONCEWARD_E_LOG_FENCED',
    `transactional id "${transactionalId}" was opened again (epoch ${producer.epoch}; this producer has ${epoch}); nothing was committed: close this producer`,
  )
}

/** The records of each partition, in their order. */
function checkRecords(state: LogState, records: readonly OutRecord[]): Map<Partition, OutRecord[]> {
  const runs = new Map<Partition, OutRecord[]>()
  for (const record of records) {
    const partition = state.partition(record)
    checkRecord(partition, record)
    const run = runs.get(partition)
    if (run) run.push(record)
    else runs.set(partition, [record])
  }
  return runs
}

function checkRecord({ spec, partition }: Partition, record: OutRecord): void {
  const bytesMax = spec.maxRecordBytes ?? RECORD_BYTES_MAX
  const bytes = recordBytes(record)
  if (bytes > bytesMax) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_RECORD_TOO_LARGE',
      `a record of ${bytes} bytes for ${spec.topic}/${partition}; the topic takes up to ${bytesMax}`,
    )
  }
  if (!Number.isFinite(record.timestamp)) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_REFUSED',
      `a record for ${spec.topic}/${partition} has the timestamp ${record.timestamp}; it must be milliseconds since the epoch`,
    )
  }
  if (spec.cleanup === 'compact' && record.key === null) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_REFUSED',
      `a record without a key for ${spec.topic}/${partition}; a compacted topic keeps the last value of each key`,
    )
  }
}

function endOf({ topic, partition }: TopicPartition, nextOffset: number): AppendEnd {
  return { topic, partition, nextOffset }
}
