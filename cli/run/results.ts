import { join } from 'node:path'
import { ndjsonWriter, writeTextFile } from '../../connectors/files/ndjson-writer.ts'
import type { Log } from '../../core/ports/log.ts'
import type { Topics } from '../../core/topics.ts'
import type { BatchCounts } from '../../operators/operator.ts'

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
  readonly rewards: number
  readonly seconds: number
}

export function summaryOf(counts: BatchCounts, seconds: number): Summary {
  const { events, unique, duplicates, schema, future, late, scores, points, rewards } = counts
  return { events, unique, duplicates, dlq: { schema, future, late }, scores, points, rewards, seconds }
}

/** Copies what the worker wrote to files: committed records only, partition by partition, in the order of the log. */
export async function writeResults(log: Log, topics: Topics, dir: string): Promise<void> {
  for (const [topic, file] of [
    [topics.scores, 'scores.ndjson'],
    [topics.rewards, 'rewards.ndjson'],
    [topics.dlq, 'dlq.ndjson'],
  ] as const) {
    const writer = await ndjsonWriter(join(dir, file))
    try {
      for await (const values of committedValues(log, topic)) await writer.write(values)
      await writer.close()
    } catch (error) {
      await writer.abort()
      throw error
    }
  }
}

export async function writeSummary(dir: string, summary: Summary): Promise<void> {
  await writeTextFile(join(dir, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
}

async function* committedValues(log: Log, topic: string): AsyncGenerator<object[]> {
  const info = await log.topic(topic)
  for (let partition = 0; partition < (info?.partitions ?? 0); partition++) {
    const [bounds] = await log.bounds([{ topic, partition }])
    const reader = await log.reader({ topic, partition })
    let position = bounds?.earliest ?? 0
    while (position < (bounds?.end ?? 0)) {
      const batch = await reader.read(position, { bytesMax: 4 << 20 })
      if (batch.records.length === 0 && batch.nextOffset <= position) break
      position = batch.nextOffset
      yield batch.records.map(({ value }) => JSON.parse(value?.toString() ?? 'null') as object)
    }
    await reader.close()
  }
}
