import { OncewardError } from '../../core/errors.ts'
import type { Log, LogRecord, TopicPartition } from '../../core/ports/log.ts'

const READ_BYTES = 4 << 20

/** Committed records of one partition from `from` (the earliest, where retention has passed it) up to `end`, exclusive. */
export async function* committedRecords(
  log: Log,
  id: TopicPartition,
  range: { readonly from?: number; readonly end?: number; readonly bytesMax?: number } = {},
): AsyncGenerator<readonly LogRecord[]> {
  const [bounds] = await log.bounds([id])
  if (bounds === undefined) throw missingTopic(id.topic)
  const end = Math.min(range.end ?? bounds.end, bounds.end)
  let position = Math.max(range.from ?? bounds.earliest, bounds.earliest)
  const reader = await log.reader(id)
  try {
    while (position < end) {
      const batch = await reader.read(position, { bytesMax: range.bytesMax ?? READ_BYTES })
      const records = batch.nextOffset <= end ? batch.records : batch.records.filter(({ offset }) => offset < end)
      if (records.length > 0) yield records
      if (batch.nextOffset <= position) break
      position = batch.nextOffset
    }
  } finally {
    await reader.close()
  }
}

/** The first committed record from `from` on and before `end`; undefined where there is none. */
export async function firstRecord(
  log: Log,
  id: TopicPartition,
  range: { readonly from?: number; readonly end?: number } = {},
): Promise<LogRecord | undefined> {
  for await (const records of committedRecords(log, id, { ...range, bytesMax: 16_384 })) return records[0]
  return undefined
}

export function missingTopic(topic: string): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_LOG_TOPIC_MISSING',
    `there is no topic ${topic}; check --prefix, or create the topics: onceward topics create`,
  )
}

export function partitionsOf(topic: string, count: number): readonly TopicPartition[] {
  return Array.from({ length: count }, (_, partition) => ({ topic, partition }))
}
