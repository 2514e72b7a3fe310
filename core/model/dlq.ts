/**
 * Why something was set aside (SPEC S5). `payout` is a reward the wallet refused or that ran out of retries,
 * `budget_closed` one that its pool does not cover, `signature` a provider's call whose signature does not hold.
 */
export const DLQ_REASONS = ['schema', 'future', 'late', 'signature', 'payout', 'budget_closed'] as const
export type DlqReason = (typeof DLQ_REASONS)[number]

/** The value of a record on `dlq`. Nothing is lost: `raw` is the whole of what came. */
export interface DlqRecord {
  readonly type: 'dlq'
  readonly reason: DlqReason
  /** A sentence: what was found, where, and what would be right. */
  readonly detail: string
  readonly event_id?: string
  readonly user_id?: string
  /** Where it came from; null: it did not come from the log, `from` says whence. */
  readonly source: { readonly topic: string; readonly partition: number; readonly offset: number } | null
  /** What did not come from the log: `gateway/<source>`, `webhook/<provider>`, a file. */
  readonly from?: string
  /** The text as it came; bytes that are no UTF-8 show as U+FFFD, and `raw_base64` then has them exactly. */
  readonly raw: string
  readonly raw_base64?: string
  /** Bytes of the whole, where `raw` had to be cut to fit a record. */
  readonly raw_bytes?: number
  /** What was done to it before it was dead-lettered again, oldest first; absent: it is here for the first time. */
  readonly history?: readonly DlqStep[]
}

/** What was done to a letter. */
export interface DlqStep {
  /** `letterId` of the letter that it was done to. */
  readonly letter: string
  /** Why it had been set aside. */
  readonly was: DlqReason
  readonly action: 'reprocess' | 'fix'
  readonly actor: string
  /** RFC 3339. */
  readonly at: string
}

/** The value of REPROCESSED_HEADER. */
export interface Reprocessed {
  readonly history: readonly DlqStep[]
}

/** A letter's id is where it stands on the topic `dlq`: `<partition>-<offset>`. */
export function letterId(place: { readonly partition: number; readonly offset: number }): string {
  return `${place.partition}-${place.offset}`
}
