/**
 * Why something was set aside (SPEC S5). `payout` is a reward the wallet refused or that ran out of retries,
 * `budget_closed` one that its pool does not cover.
 */
export type DlqReason = 'schema' | 'future' | 'late' | 'payout' | 'budget_closed'

/** The value of a record on `dlq`. Nothing is lost: `raw` is the whole of what came. */
export interface DlqRecord {
  readonly type: 'dlq'
  readonly reason: DlqReason
  /** A sentence: what was found, where, and what would be right. */
  readonly detail: string
  readonly event_id?: string
  readonly user_id?: string
  /** Where it came from. */
  readonly source: { readonly topic: string; readonly partition: number; readonly offset: number } | null
  /** The text as it came; bytes that are no UTF-8 show as U+FFFD, and `raw_base64` then has them exactly. */
  readonly raw: string
  readonly raw_base64?: string
  /** Bytes of the whole, where `raw` had to be cut to fit a record. */
  readonly raw_bytes?: number
}
