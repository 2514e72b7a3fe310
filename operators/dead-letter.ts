import type { DlqReason, DlqRecord } from '../core/model/dlq.ts'
import type { Emitted, Source } from './operator.ts'

export interface Rejection {
  readonly reason: DlqReason
  readonly detail: string
  readonly eventId?: string | undefined
  readonly userId?: string | undefined
}

export interface RejectedInput {
  readonly raw: Buffer
  /** null: it did not come from the log. */
  readonly source: Source | null
  readonly ingestTs: number
}

/** The record that sets an input aside, whole: its exact bytes too where they are no UTF-8. */
export function deadLetter(rejection: Rejection, input: RejectedInput): Emitted<DlqRecord> {
  const text = input.raw.toString()
  const exact = Buffer.from(text).equals(input.raw)
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
      ...(exact ? {} : { raw_base64: input.raw.toString('base64') }),
    },
  }
}
