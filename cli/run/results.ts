import { join } from 'node:path'
import { ndjsonWriter, writeTextFile } from '../../connectors/files/ndjson-writer.ts'
import type { PlayerChanged } from '../../core/model/player.ts'
import type { RewardRecord } from '../../core/model/reward.ts'
import type { Log, TopicPartition } from '../../core/ports/log.ts'
import type { Topics } from '../../core/topics.ts'
import { isEarned } from '../../operators/earned.ts'
import type { BatchCounts } from '../../operators/operator.ts'
import { type RewardLine, rewardLine } from './reward-line.ts'

/** What stands in summary.json. */
export interface Summary {
  /** Lines read: unique + duplicates + what is in the DLQ, by exact count. */
  readonly events: number
  readonly unique: number
  readonly duplicates: number
  readonly dlq: { readonly schema: number; readonly future: number; readonly late: number }
  /** Scores above zero. */
  readonly scores: number
  readonly points: number
  /** Earned, whatever became of them. */
  readonly rewards: number
  /** Of these, what waits at the end, and what waited until its time was up. */
  readonly frozen: number
  readonly expired: number
  readonly seconds: number
}

export function summaryOf(counts: BatchCounts, seconds: number): Summary {
  const { events, unique, duplicates, schema, future, late, scores, points, rewards, released, expired } = counts
  const frozen = counts.frozen - released - expired
  const checked = { events, unique, duplicates, dlq: { schema, future, late } }
  return { ...checked, scores, points, rewards, frozen, expired, seconds }
}

/** Copies what the worker wrote to files: committed records only, partition by partition, in the order of the log. */
export async function writeResults(log: Log, topics: Topics, dir: string): Promise<FrozenBy> {
  const frozen = { kyc: 0, rg: 0 }
  await writeFile(join(dir, 'scores.ndjson'), committedValues(log, topics.scores))
  await writeFile(join(dir, 'rewards.ndjson'), counted(rewardLines(log, topics.rewards), frozen))
  await writeFile(join(dir, 'dlq.ndjson'), committedValues(log, topics.dlq))
  return frozen
}

/** Of the rewards that are frozen at the end, how many each gate stopped; both may have stopped one. */
export interface FrozenBy {
  readonly kyc: number
  readonly rg: number
}

async function* counted(
  chunks: AsyncIterable<RewardLine[]>,
  frozen: { -readonly [gate in keyof FrozenBy]: number },
): AsyncGenerator<RewardLine[]> {
  for await (const lines of chunks) {
    for (const { status, reasons = [] } of lines) {
      if (status !== 'frozen') continue
      for (const gate of new Set(reasons.map((reason) => reason.gate))) frozen[gate]++
    }
    yield lines
  }
}

async function writeFile(path: string, chunks: AsyncIterable<object[]>): Promise<void> {
  const writer = await ndjsonWriter(path)
  try {
    for await (const values of chunks) await writer.write(values)
    await writer.close()
  } catch (error) {
    await writer.abort()
    throw error
  }
}

/** One for each reward. Reads every partition twice, so that only what was frozen has to be in memory. */
async function* rewardLines(log: Log, topic: string): AsyncGenerator<RewardLine[]> {
  for (const id of await partitionsOf(log, topic)) {
    const last = new Map<string, RewardRecord>()
    for await (const values of partitionValues(log, id)) {
      for (const value of values) {
        const record = readRecord(value)
        if (record.type === 'player.changed' || isEarned(record)) continue
        last.set(record.reward_task_id, record)
      }
    }
    for await (const values of partitionValues(log, id)) {
      yield values.flatMap((value) => {
        const record = readRecord(value)
        if (record.type === 'player.changed' || !isEarned(record)) return []
        return [rewardLine(record, last.get(record.reward_task_id))]
      })
    }
  }
}

/** The worker of this very run wrote it. */
function readRecord(value: object): RewardRecord | PlayerChanged {
  return value as RewardRecord | PlayerChanged
}

export async function writeSummary(dir: string, summary: Summary): Promise<void> {
  await writeTextFile(join(dir, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
}

async function* committedValues(log: Log, topic: string): AsyncGenerator<object[]> {
  for (const id of await partitionsOf(log, topic)) yield* partitionValues(log, id)
}

async function partitionsOf(log: Log, topic: string): Promise<TopicPartition[]> {
  const info = await log.topic(topic)
  return Array.from({ length: info?.partitions ?? 0 }, (_, partition) => ({ topic, partition }))
}

async function* partitionValues(log: Log, id: TopicPartition): AsyncGenerator<object[]> {
  const [bounds] = await log.bounds([id])
  const reader = await log.reader(id)
  try {
    let position = bounds?.earliest ?? 0
    while (position < (bounds?.end ?? 0)) {
      const batch = await reader.read(position, { bytesMax: 4 << 20 })
      if (batch.records.length === 0 && batch.nextOffset <= position) break
      position = batch.nextOffset
      yield batch.records.map(({ value }) => JSON.parse(value?.toString() ?? 'null') as object)
    }
  } finally {
    await reader.close()
  }
}
