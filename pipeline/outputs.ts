import type { OutRecord } from '../core/ports/log.ts'
import { partitionOf } from '../core/partitioner.ts'
import type { Topics } from '../core/topics.ts'
import type { BatchOutput, Emitted } from '../operators/operator.ts'
import type { Change } from '../state/staged-state.ts'

/** How many partitions each topic that a worker writes has. */
export interface OutputPartitions {
  readonly scores: number
  readonly rewards: number
  readonly dlq: number
}

export interface Destination {
  readonly topics: Topics
  readonly partitions: OutputPartitions
  readonly changelog: string
  /** The partition of the input. */
  readonly partition: number
}

/** Step 5's records: what the batch brought forth, then the last value of each changed key for the changelog. */
export function toRecords(output: BatchOutput, changes: readonly Change[], to: Destination, now: number): OutRecord[] {
  const records: OutRecord[] = []
  const add = (topic: string, partitions: number, emitted: readonly Emitted<object>[]): void => {
    for (const { key, value, timestamp } of emitted) {
      const partition = to.partition < partitions ? to.partition : partitionOf(key ?? '', partitions)
      records.push({ topic, partition, key, value: JSON.stringify(value), timestamp })
    }
  }
  add(to.topics.scores, to.partitions.scores, output.scores)
  add(to.topics.rewards, to.partitions.rewards, output.rewards)
  add(to.topics.dlq, to.partitions.dlq, output.dlq)
  for (const { key, value } of changes) {
    records.push({ topic: to.changelog, partition: to.partition, key, value, timestamp: now })
  }
  return records
}
