import { FUTURE_MS_MAX } from '../core/durations.ts'
import type { PlayerEvent } from '../core/model/event.ts'
import type { LogRecord } from '../core/ports/log.ts'
import { TICK_HEADER } from '../core/topics.ts'
import type { Normalized } from '../operators/normalize.ts'
import type { Arrival, Scoring } from '../operators/operator.ts'
import type { RuleSet } from '../rules/compiled.ts'
import { idHash } from '../state/seen-ids.ts'

/** What a record of the events topic turns out to be. */
export type Input =
  | Arrival
  | { readonly kind: 'tick'; readonly ts: number }
  | {
      readonly kind: 'rejected'
      readonly reason: 'schema' | 'future'
      readonly detail: string
      readonly eventId: string | undefined
      readonly userId: string | undefined
      readonly record: LogRecord
      /** The event, where only its time is wrong. */
      readonly event?: PlayerEvent
    }

export type RecordReader = (record: LogRecord, rules: RuleSet) => Input

export interface ReaderOptions {
  readonly normalize: (raw: Buffer | null) => Normalized
}

/** Reads one record: the checks that need no state, in the order of SPEC S19: schema, then future. */
export function createRecordReader({ normalize }: ReaderOptions): RecordReader {
  return (record, rules) => {
    const tick = record.headers?.[TICK_HEADER]
    if (tick !== undefined) return readTick(tick.toString(), record)
    const normalized = normalize(record.value)
    if (normalized.kind === 'rejected') {
      const { detail, eventId, userId } = normalized
      return { kind: 'rejected', reason: 'schema', detail, eventId, userId, record }
    }
    const { event } = normalized
    const ingestTs = record.timestamp
    if (event.ts > ingestTs + FUTURE_MS_MAX) {
      const detail = `ts ${new Date(event.ts).toISOString()} is more than 5 minutes ahead of the ingest time ${new Date(ingestTs).toISOString()}; check the sender's clock`
      return { kind: 'rejected', reason: 'future', detail, eventId: event.eventId, userId: event.userId, record, event }
    }
    return {
      kind: 'event',
      event,
      record,
      idHash: idHash(event.eventId),
      eager: { event, ingestTs, lane: 'any', scorings: NO_SCORINGS },
      strict: rules.hasStrict(event.eventName) ? { event, ingestTs, lane: 'strict', scorings: NO_SCORINGS } : undefined,
    }
  }
}

const NO_SCORINGS: readonly Scoring[] = []

/** A tick comes from outside as events do: one that is no time, or runs ahead of its writing, must not move event time. */
function readTick(text: string, record: LogRecord): Input {
  const rejected = { kind: 'rejected', eventId: undefined, userId: undefined, record } as const
  const ts = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(ts)) {
    const detail = `the header ${TICK_HEADER} holds ${JSON.stringify(text)}, which is no time in milliseconds since the epoch`
    return { ...rejected, reason: 'schema', detail }
  }
  if (ts > record.timestamp + FUTURE_MS_MAX) {
    const detail = `the tick to ${ts} is more than 5 minutes ahead of its ingest time ${record.timestamp}; check the writer's clock`
    return { ...rejected, reason: 'future', detail }
  }
  return { kind: 'tick', ts }
}
