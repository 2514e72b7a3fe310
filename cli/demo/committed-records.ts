import type { Log, LogRecord } from '../../core/ports/log.ts'

/** Where each partition of a topic ends now. */
export type TopicEnds = readonly number[]

export async function endsOf(log: Log, topic: string): Promise<TopicEnds> {
  const info = await log.topic(topic)
  const ids = Array.from({ length: info?.partitions ?? 0 }, (_, partition) => ({ topic, partition }))
  return (await log.bounds(ids)).map(({ end }) => end)
}

/** Every committed record of a topic that is there now, from `from` on; from the oldest where it is left out. */
export async function* committedRecords(
  log: Log,
  topic: string,
  from?: TopicEnds,
): AsyncGenerator<readonly LogRecord[]> {
  const ends = await endsOf(log, topic)
  for (const [partition, end] of ends.entries()) {
    const [bounds] = await log.bounds([{ topic, partition }])
    let position = Math.max(bounds?.earliest ?? 0, from?.[partition] ?? 0)
    const reader = await log.reader({ topic, partition })
    try {
      while (position < end) {
        const batch = await reader.read(position)
        if (batch.nextOffset <= position) break
        position = batch.nextOffset
        yield batch.records.filter((record) => record.offset < end)
      }
    } finally {
      await reader.close()
    }
  }
}

/** Hands on every record that is committed after `from`, as it comes, until `signal` aborts. */
export async function followRecords(
  log: Log,
  { topic, from, signal }: { readonly topic: string; readonly from: TopicEnds; readonly signal: AbortSignal },
  take: (record: LogRecord) => void,
): Promise<void> {
  await Promise.all(
    from.map(async (start, partition) => {
      const reader = await log.reader({ topic, partition })
      const close = (): void => void reader.close()
      signal.addEventListener('abort', close, { once: true })
      try {
        for (let position = start; !signal.aborted; ) {
          const batch = await reader.read(position, { waitMs: 1_000 })
          for (const record of batch.records) take(record)
          position = batch.nextOffset
        }
      } catch (error) {
        // Closing the reader is how the wait of a follower ends.
        if (!signal.aborted) throw error
      } finally {
        signal.removeEventListener('abort', close)
        await reader.close()
      }
    }),
  )
}
