/** The embedded log in memory, with what a test asks of it in few words. */
import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { systemClock } from '../../core/clock.ts'
import type { Log, LogRecord, OutRecord, TopicPartition } from '../../core/ports/log.ts'
import { memoryKv } from '../../state/memory-kv.ts'

export interface TestLog {
  readonly log: Log
  append(records: readonly OutRecord[]): Promise<void>
  records(topic: string): Promise<readonly LogRecord[]>
  /** The sum of the group's committed offsets: these logs have no transactions, so that it counts records. */
  committed(group: string, topic: string): Promise<number>
  close(): Promise<void>
}

/** `topics`: how many partitions each has. */
export async function openTestLog(topics: Readonly<Record<string, number>>): Promise<TestLog> {
  const log = await openEmbeddedLog({ kv: memoryKv(), clock: systemClock })
  await log.createTopics(
    Object.entries(topics).map(([topic, partitions]) => ({ topic, partitions, cleanup: 'delete' as const })),
  )
  const producer = await log.producer()
  const partitions = (topic: string): TopicPartition[] =>
    Array.from({ length: topics[topic] ?? 0 }, (_, partition) => ({ topic, partition }))
  return {
    log,
    async append(records) {
      await producer.send(records)
    },
    records: async (topic) => (await Promise.all(partitions(topic).map((p) => readAll(log, p)))).flat(),
    committed: async (group, topic) =>
      (await log.committed(group, partitions(topic))).reduce<number>((sum, offset) => sum + (offset ?? 0), 0),
    async close() {
      await producer.close()
      await log.close()
    },
  }
}

async function readAll(log: Log, partition: TopicPartition): Promise<LogRecord[]> {
  const reader = await log.reader(partition)
  const found: LogRecord[] = []
  try {
    for (let offset = 0; ; ) {
      const batch = await reader.read(offset)
      found.push(...batch.records)
      if (batch.nextOffset >= batch.end) return found
      offset = batch.nextOffset
    }
  } finally {
    await reader.close()
  }
}
