import { FUTURE_MS_MAX } from '../../core/durations.ts'
import type { Log, LogRecord } from '../../core/ports/log.ts'
import { TICK_HEADER } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { committedRecords, partitionsOf } from '../replay/records.ts'
import type { Learn } from './letters.ts'

/** Offsets at the end of a partition that are looked at. */
const TAIL_RECORDS = 200

/**
 * Of each partition of the events topic, an event time that its watermark has reached, or will have once its records are
 * processed: the greatest among the last records. Undefined where these are no events.
 */
export async function watermarksOf(
  log: Log,
  topic: { readonly name: string; readonly partitions: number },
  { normalize, learn }: { readonly normalize: (raw: Buffer | null) => Normalized; readonly learn: Learn | undefined },
): Promise<readonly (number | undefined)[]> {
  const ids = partitionsOf(topic.name, topic.partitions)
  const bounds = await log.bounds(ids)
  const found: (number | undefined)[] = []
  for (const [index, id] of ids.entries()) {
    let greatest: number | undefined
    const from = Math.max(0, (bounds[index]?.end ?? 0) - TAIL_RECORDS)
    for await (const records of committedRecords(log, id, { from })) {
      await learn?.(records)
      for (const record of records) {
        const ts = timeOf(record, normalize)
        if (ts !== undefined && ts > (greatest ?? Number.NEGATIVE_INFINITY)) greatest = ts
      }
    }
    found.push(greatest)
  }
  return found
}

/** The event time that a record moves the watermark to; undefined where it moves nothing. */
function timeOf(record: LogRecord, normalize: (raw: Buffer | null) => Normalized): number | undefined {
  const tick = record.headers?.[TICK_HEADER]
  let ts: number
  if (tick === undefined) {
    const normalized = normalize(record.value)
    if (normalized.kind === 'rejected') return undefined
    ts = normalized.event.ts
  } else ts = Number(tick.toString())
  return Number.isSafeInteger(ts) && ts <= record.timestamp + FUTURE_MS_MAX ? ts : undefined
}
