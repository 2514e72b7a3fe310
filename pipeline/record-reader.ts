import type { LogRecord } from '../core/ports/log.ts'
import { TICK_HEADER } from '../core/topics.ts'
import { FUTURE_MS_MAX } from '../operators/event-time.ts'
import type { Normalized } from '../operators/normalize.ts'
import type { Arrival, Source, Turn } from '../operators/operator.ts'
import type { RuleSet } from '../rules/compiled.ts'
import { idHash } from '../state/seen-ids.ts'

/** What a record of the events topic turns out to be. */
export type Input =
  | { readonly kind: 'event'; readonly arrival: Arrival }
  | { readonly kind: 'tick'; readonly ts: number }
  | {
      readonly kind: 'rejected'
      readonly reason: 'schema' | 'future'
      readonly detail: string
      readonly eventId: string | undefined
      readonly userId: string | undefined
      readonly raw: Buffer
      readonly source: Source
      readonly ingestTs: number
    }

export type RecordReader = (record: LogRecord, rules: RuleSet) => Input

export interface ReaderOptions {
  readonly normalize: (raw: Buffer | null) => Normalized
}

const EMPTY = Buffer.alloc(0)

/** Reads one record: the checks that need no state, in the order of SPEC S19: schema, then future. */
export function createRecordReader({ normalize }: ReaderOptions): RecordReader {
  return (record, rules) => {
    const tick = record.headers?.[TICK_HEADER]
    if (tick !== undefined) return { kind: 'tick', ts: Number(tick.toString()) }
    const source = { topic: record.topic, partition: record.partition, offset: record.offset }
    const raw = record.value ?? EMPTY
    const ingestTs = record.timestamp
    const normalized = normalize(record.value)
    if (normalized.kind === 'rejected') {
      const { detail, eventId, userId } = normalized
      return { kind: 'rejected', reason: 'schema', detail, eventId, userId, raw, source, ingestTs }
    }
    const { event } = normalized
    if (event.ts > ingestTs + FUTURE_MS_MAX) {
      const detail = `ts ${new Date(event.ts).toISOString()} is more than 5 minutes ahead of the ingest time ${new Date(ingestTs).toISOString()}; check the sender's clock`
      return {
        kind: 'rejected',
        reason: 'future',
        detail,
        eventId: event.eventId,
        userId: event.userId,
        raw,
        source,
        ingestTs,
      }
    }
    const turn = (lane: Turn['lane']): Turn => ({ event, ingestTs, lane, scorings: [] })
    return {
      kind: 'event',
      arrival: {
        event,
        ingestTs,
        source,
        raw,
        idHash: idHash(event.eventId),
        eager: turn('any'),
        strict: rules.hasStrict(event.eventName) ? turn('strict') : undefined,
      },
    }
  }
}
