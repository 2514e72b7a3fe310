import type { OutRecord, Producer } from '../../core/ports/log.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { tickRecord } from '../../pipeline/ticker.ts'

export interface FeedParts {
  readonly producer: Producer
  readonly topic: string
  readonly partitions: number
  readonly normalize: (raw: Buffer) => Normalized
  /** Waits while too many events are ahead of the worker. `appended` events are on the log. */
  readonly pace: (appended: number) => Promise<void>
  readonly signal: AbortSignal
}

export interface Fed {
  readonly events: number
  /** Where each partition ends, ticks included. */
  readonly ends: ReadonlyMap<number, number>
}

/**
 * Writes the lines of a file to the events topic, keyed by user id. An event's ingest time is its own time, so that no
 * event is from the future. At the end a tick in every partition moves its time past all that waits in the strict lane.
 */
export async function feedLines(
  lines: AsyncIterable<readonly Buffer[]>,
  parts: FeedParts,
  windowMs: number,
): Promise<Fed> {
  const ends = new Map<number, number>()
  let events = 0
  let lastTs = 0
  const send = async (records: readonly OutRecord[]): Promise<void> => {
    for (const { partition, nextOffset } of await parts.producer.send(records)) ends.set(partition, nextOffset)
  }
  for await (const chunk of lines) {
    if (parts.signal.aborted) break
    const records = chunk.map((line): OutRecord => {
      const { key, ts } = addressOf(parts.normalize(line))
      lastTs = Math.max(lastTs, ts)
      return {
        topic: parts.topic,
        partition: partitionOf(key ?? line, parts.partitions),
        key,
        value: line,
        timestamp: ts,
      }
    })
    await send(records)
    events += records.length
    await parts.pace(events)
  }
  const ts = lastTs + windowMs + 1
  const all = Array.from({ length: parts.partitions }, (_, partition) => partition)
  await send(all.map((partition) => tickRecord(parts.topic, partition, { ts, ingestTs: ts })))
  return { events, ends }
}

function addressOf(normalized: Normalized): { key: string | null; ts: number } {
  return normalized.kind === 'event'
    ? { key: normalized.event.userId, ts: normalized.event.ts }
    : { key: normalized.userId ?? null, ts: 0 }
}
