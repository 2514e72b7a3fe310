import { FUTURE_MS_MAX } from '../core/durations.ts'
import type { PlayerEvent } from '../core/model/event.ts'
import type { DlqStep } from '../core/model/dlq.ts'
import type { LogRecord } from '../core/ports/log.ts'
import { REPROCESSED_HEADER, TICK_HEADER } from '../core/topics.ts'
import type { Normalized } from '../operators/normalize.ts'
import type { Arrival, Scoring } from '../operators/operator.ts'
import { readReprocessed } from '../operators/reprocessed.ts'
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
      /** What was done to it before, where it was sent again. */
      readonly history?: readonly DlqStep[] | undefined
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
    // Before the header is looked at: whoever has read the records beforehand gives them out one by one.
    const normalized = normalize(record.value)
    const header = record.headers?.[REPROCESSED_HEADER]
    const again = header === undefined ? undefined : readReprocessed(header)
    const history = again?.ok === true ? again.history : undefined
    if (normalized.kind === 'rejected') {
      const { detail, eventId, userId } = normalized
      return { kind: 'rejected', reason: 'schema', detail, eventId, userId, record, history }
    }
    const { event } = normalized
    if (again?.ok === false) {
      const { eventId, userId } = event
      return { kind: 'rejected', reason: 'schema', detail: again.detail, eventId, userId, record }
    }
    const ingestTs = record.timestamp
    if (event.ts > ingestTs + FUTURE_MS_MAX) {
      const detail = `ts ${new Date(event.ts).toISOString()} is more than 5 minutes ahead of the ingest time ${new Date(ingestTs).toISOString()}; check the sender's clock`
      const { eventId, userId } = event
      return { kind: 'rejected', reason: 'future', detail, eventId, userId, record, history, event }
    }
    return {
      kind: 'event',
      event,
      record,
      idHash: idHash(event.eventId),
      history,
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
