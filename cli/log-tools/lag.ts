import type { Log, OffsetBounds, TopicPartition } from '../../core/ports/log.ts'

export interface PartitionLag {
  readonly partition: number
  /** Where the group will read next. */
  readonly position: number
  /** One past the last readable record. */
  readonly end: number
  /** Records from position to end. */
  readonly records: number
  /** False where `records` is only an upper bound: markers of transactions may be among them. */
  readonly exact: boolean
}

export interface GroupLag {
  readonly group: string
  readonly topic: string
  readonly records: number
  readonly exact: boolean
  readonly partitions: readonly PartitionLag[]
}

/** A distance up to this is counted record by record; beyond, markers hardly matter and reading would take long. */
const COUNTED_MAX = 5_000

/**
 * How far `group` is behind on `topic`, in records. Where it has no position, it begins at the oldest record. undefined
 * where there is no such topic.
 */
export async function groupLag(log: Log, group: string, topic: string): Promise<GroupLag | undefined> {
  const info = await log.topic(topic)
  if (info === undefined) return undefined
  const ids = Array.from({ length: info.partitions }, (_, partition) => ({ topic, partition }))
  // Positions first: what is written between the two questions then counts as lag, never as progress.
  const committed = await log.committed(group, ids)
  const bounds = await log.bounds(ids)
  const partitions = await Promise.all(
    ids.map((id, index) => partitionLag(log, id, committed[index], bounds[index] ?? { earliest: 0, end: 0 })),
  )
  return {
    group,
    topic,
    records: partitions.reduce((sum, { records }) => sum + records, 0),
    exact: partitions.every(({ exact }) => exact),
    partitions,
  }
}

/** True where the group has committed a position on any partition of the topic. */
export async function hasCommitted(log: Log, group: string, topic: string): Promise<boolean> {
  const info = await log.topic(topic)
  if (info === undefined) return false
  const ids = Array.from({ length: info.partitions }, (_, partition) => ({ topic, partition }))
  return (await log.committed(group, ids)).some((offset) => offset !== undefined)
}

async function partitionLag(
  log: Log,
  id: TopicPartition,
  committed: number | undefined,
  bounds: OffsetBounds,
): Promise<PartitionLag> {
  const { partition } = id
  const { end } = bounds
  const position = Math.max(committed ?? bounds.earliest, bounds.earliest)
  const distance = Math.max(0, end - position)
  if (distance === 0 || distance > COUNTED_MAX)
    return { partition, position, end, records: distance, exact: distance === 0 }
  return { partition, position, end, records: await countRecords(log, id, position, end), exact: true }
}

async function countRecords(log: Log, id: TopicPartition, from: number, end: number): Promise<number> {
  const reader = await log.reader(id)
  try {
    let count = 0
    let position = from
    while (position < end) {
      const batch = await reader.read(position)
      count += batch.records.filter((record) => record.offset < end).length
      if (batch.nextOffset <= position) break
      position = batch.nextOffset
    }
    return count
  } finally {
    await reader.close()
  }
}

/** A table for people. */
export function lagTable(lags: readonly GroupLag[]): string {
  const lines = lags.flatMap(({ group, topic, records, exact, partitions }) => [
    `${topic}  group ${group}  ${amount(records, exact)}`,
    ...partitions.map(
      (each) =>
        `  partition ${String(each.partition).padStart(3)}  position ${String(each.position).padStart(10)}  end ${String(each.end).padStart(10)}  ${amount(each.records, each.exact)}`,
    ),
  ])
  return `${lines.join('\n')}\n`
}

function amount(records: number, exact: boolean): string {
  if (records === 0) return 'lag 0'
  return `lag ${exact ? '' : 'at most '}${records.toLocaleString('en-US')}`
}
