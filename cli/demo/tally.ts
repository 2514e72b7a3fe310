import { type BatchCounts, noCounts } from '../../operators/operator.ts'

/** Where a partition is worked on, and how far. */
export interface PartitionProgress {
  /** Counted from 1. */
  readonly worker: number
  readonly position: number
}

/** What the workers have committed since the demo started. */
export class Tally {
  readonly counts: BatchCounts = noCounts()
  readonly partitions = new Map<number, PartitionProgress>()

  add(counts: BatchCounts, partition: number, progress: PartitionProgress): void {
    for (const name of Object.keys(counts) as (keyof BatchCounts)[]) this.counts[name] += counts[name]
    this.partitions.set(partition, progress)
  }
}
