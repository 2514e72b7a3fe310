import type { DlqReason, DlqRecord, DlqStep } from '../core/model/dlq.ts'
import type { LogRecord } from '../core/ports/log.ts'
import type { Emitted, Source } from './operator.ts'

export interface Rejection {
  readonly reason: DlqReason
  readonly detail: string
  readonly eventId?: string | undefined
  readonly userId?: string | undefined
  /** What was done to it before, where it is not here for the first time. */
  readonly history?: readonly DlqStep[] | undefined
}

export interface RejectedInput {
  readonly raw: Buffer
  /** null: it did not come from the log. */
  readonly source: Source | null
  readonly ingestTs: number
}

const NOTHING = Buffer.alloc(0)

/** What is set aside, where it came from the log. */
export function inputOf(record: LogRecord): RejectedInput {
  const { topic, partition, offset, value, timestamp } = record
  return { raw: value ?? NOTHING, source: { topic, partition, offset }, ingestTs: timestamp }
}

/** Largest `raw` that is kept whole, in bytes; with JSON's escapes it still fits Kafka's default record of 1 MiB. */
export const RAW_BYTES_MAX = 150_000

/**
 * The record that sets an input aside: its text, its exact bytes too where they are no UTF-8. A larger one is cut, since a
 * record that the log refuses would stop the partition; `source` still leads to the whole of it.
 */
export function deadLetter(rejection: Rejection, input: RejectedInput): Emitted<DlqRecord> {
  const kept = input.raw.subarray(0, RAW_BYTES_MAX)
  const text = kept.toString()
  const exact = Buffer.from(text).equals(kept)
  return {
    key: rejection.userId ?? null,
    timestamp: input.ingestTs,
    value: {
      type: 'dlq',
      reason: rejection.reason,
      detail: rejection.detail,
      ...(rejection.eventId === undefined ? {} : { event_id: rejection.eventId }),
      ...(rejection.userId === undefined ? {} : { user_id: rejection.userId }),
      source: input.source,
      raw: text,
      ...(exact ? {} : { raw_base64: kept.toString('base64') }),
      ...(kept.length === input.raw.length ? {} : { raw_bytes: input.raw.length }),
      ...(rejection.history === undefined ? {} : { history: rejection.history }),
    },
  }
}
