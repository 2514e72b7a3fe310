import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import type { PlayerEvent } from '../../core/model/event.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Log, OutRecord } from '../../core/ports/log.ts'
import type { Topics } from '../../core/topics.ts'
import { deadLetter } from '../../operators/dead-letter.ts'
import type { Normalized } from '../../operators/normalize.ts'

export interface IngestParts {
  readonly log: Log
  readonly topics: Topics
  readonly clock: Clock
  readonly normalize: (raw: Buffer) => Normalized
  /** What stands on the topic in the place of a line; undefined: the line itself. Default: each line itself. */
  readonly encode?: ((event: PlayerEvent) => Buffer | undefined) | undefined
  /** Aborted: what is under way is finished, the rest of the lines is left. */
  readonly signal: AbortSignal
  /** Events a second, at most; undefined: as fast as it goes. */
  readonly perSecond?: number | undefined
  readonly onProgress?: (counts: IngestCounts) => void
}

export interface IngestCounts {
  /** Lines read: events + rejected. */
  readonly lines: number
  /** Events acknowledged by the log. */
  readonly events: number
  /** Lines set aside on the DLQ topic, acknowledged as well. */
  readonly rejected: number
}

/** Enough to keep a broker busy, few enough that one send is a few milliseconds. */
const BATCH_LINES_MAX = 2_000

/**
 * Writes each line that is an event to the events topic, as it is, keyed by user id; each other one to the DLQ topic. The
 * ingest time is now. Answers once all that was read is acknowledged. Throws what the log throws; what was sent before
 * stays, and sending it again is harmless, because events are deduplicated by their id.
 */
export async function ingest(lines: AsyncIterable<readonly Buffer[]>, parts: IngestParts): Promise<IngestCounts> {
  const partitions = { events: await partitionsOf(parts, 'events'), dlq: await partitionsOf(parts, 'dlq') }
  const toRecords = recordMaker(parts, partitions)
  const producer = await parts.log.producer()
  const pace = pacer(parts)
  const counts = { lines: 0, events: 0, rejected: 0 }
  let underWay: Promise<void> = Promise.resolve()
  const send = async (records: readonly OutRecord[], events: number): Promise<void> => {
    await producer.send(records)
    counts.events += events
    counts.rejected += records.length - events
    parts.onProgress?.({ ...counts })
  }
  try {
    for await (const batch of batches(lines, pace.batchLinesMax)) {
      if (parts.signal.aborted) break
      await pace.wait(batch.length)
      const { records, events } = toRecords(batch)
      // One send at a time keeps each user's events in order; the next batch is checked while it is on its way.
      await underWay
      counts.lines += batch.length
      underWay = send(records, events)
      // It is awaited above or below; until then a failure must not count as unhandled.
      underWay.catch(() => undefined)
    }
    await underWay
    return counts
  } finally {
    await producer.close()
  }
}

async function partitionsOf({ log, topics }: IngestParts, which: 'events' | 'dlq'): Promise<number> {
  const info = await log.topic(topics[which])
  if (info !== undefined) return info.partitions
  throw new OncewardError(
    'ONCEWARD_E_LOG_TOPIC_MISSING',
    `there is no topic ${topics[which]}; create the topics first: onceward topics create --brokers HOST:PORT --partitions N`,
  )
}

type RecordMaker = (lines: readonly Buffer[]) => { readonly records: readonly OutRecord[]; readonly events: number }

function recordMaker(
  { topics, clock, normalize, encode }: IngestParts,
  partitions: { readonly events: number; readonly dlq: number },
): RecordMaker {
  let rejectedSoFar = 0
  return (lines) => {
    const timestamp = clock.now()
    let events = 0
    const records = lines.map((line): OutRecord => {
      const result = normalize(line)
      if (result.kind === 'event') {
        events++
        const key = result.event.userId
        const value = encode?.(result.event) ?? line
        return { topic: topics.events, partition: partitionOf(key, partitions.events), key, value, timestamp }
      }
      const { detail, eventId, userId } = result
      const letter = deadLetter(
        { reason: 'schema', detail, eventId, userId },
        { raw: line, source: null, ingestTs: timestamp },
      )
      const turn = rejectedSoFar++ % partitions.dlq
      const partition = letter.key === null ? turn : partitionOf(letter.key, partitions.dlq)
      return { topic: topics.dlq, partition, key: letter.key, value: JSON.stringify(letter.value), timestamp }
    })
    return { records, events }
  }
}

/** Chunks as they come, so that a line that was piped in is sent at once; larger ones cut to `size`. */
async function* batches(lines: AsyncIterable<readonly Buffer[]>, size: number): AsyncGenerator<readonly Buffer[]> {
  for await (const chunk of lines) {
    for (let start = 0; start < chunk.length; start += size) yield chunk.slice(start, start + size)
  }
}

function pacer({ clock, signal, perSecond }: IngestParts): {
  readonly batchLinesMax: number
  wait(lines: number): Promise<void>
} {
  if (perSecond === undefined) return { batchLinesMax: BATCH_LINES_MAX, wait: () => Promise.resolve() }
  const startedMs = clock.monotonic()
  let admitted = 0
  return {
    // Ten batches a second are smooth enough for whatever is watched meanwhile.
    batchLinesMax: Math.max(1, Math.min(BATCH_LINES_MAX, Math.floor(perSecond / 10))),
    async wait(lines) {
      const dueMs = startedMs + (admitted / perSecond) * 1000
      admitted += lines
      const waitMs = dueMs - clock.monotonic()
      if (waitMs > 0) await clock.sleep(waitMs, signal)
    },
  }
}
