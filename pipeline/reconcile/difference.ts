/** The kinds of difference, each with what it means. The order is that of the report. */
export const DIFFERENCE_KINDS = {
  topic_not_in_ledger: 'on the topic, not in the ledger',
  ledger_not_in_topic: 'in the ledger, not on the topic',
  topic_other_content: 'the topic says other than the ledger',
  topic_twice: 'twice on the topic, with different content',
  topic_other_state: 'the topic and the ledger do not agree whether it may be paid',
  ledger_row_gone: 'a row is gone from the ledger, other tables still have it',
  paid_twice: 'paid twice in the statement',
  statement_not_in_ledger: 'in the statement, not in the ledger',
  not_in_statement: 'paid in the ledger, not in the statement',
  other_amount: 'the statement has another amount',
  other_currency: 'the statement has another currency',
  other_user: 'the statement has another player',
  other_type: 'the statement has another type of reward',
  other_payout_id: 'the statement has another payout id',
  other_state: 'the statement and the ledger do not agree whether it was paid',
  budget_spent: 'spent is not the sum of what was paid',
  budget_reserved: 'reserved is not the sum of what is reserved',
  budget_above: 'more is spent and reserved than the budget and its overrun',
  outbox_missing: 'to be paid, but not in the outbox',
  outbox_extra: 'in the outbox, but not to be paid',
  hold_missing: 'held, but no review is open',
  hold_extra: 'a review is open, but it is not held',
  freeze_missing: 'frozen, but nothing says by whom',
  freeze_extra: 'a freeze stands beside it, but it is not frozen',
  history_status: 'the history does not end in the status of the row',
  history_gap: 'the history has a gap',
  stuck: 'under way for too long',
} as const

export type DifferenceKind = keyof typeof DIFFERENCE_KINDS

/** One difference, as a line of JSON has it. */
export interface Difference {
  readonly kind: DifferenceKind
  readonly task_id: string | null
  readonly request_id: string | null
  readonly payout_id: string | null
  readonly user_id: string | null
  readonly pool_id: string | null
  /** Of the pool; only where a budget is meant. */
  readonly period: string | null
  /** What each side says: topic, ledger, history, statement, budget, difference. */
  readonly says: Readonly<Record<string, string>>
  /** The likely cause, a sentence without its full stop. */
  readonly cause: string
  /** A command that a person may run once the cause is clear; null: none of ours mends it. */
  readonly fix: string | null
}

/** What is worth a word and is no difference, counted. */
export const NOTE_KINDS = {
  unbooked: 'on the topic, and the sinks have not come to it yet',
  under_way: 'paid in the statement, and the ledger has not booked the answer yet',
  waiting: 'reserved or sent for more than an hour',
  before_retention: 'in the ledger, and older than what the topic keeps',
  other_topic: 'in the ledger, from another topic',
  at_the_edge: 'paid at the edge of the period, and not in the statement',
} as const

export type NoteKind = keyof typeof NOTE_KINDS

/** What a comparison of one reward comes to. */
export interface Findings {
  readonly differences: Difference[]
  readonly notes: NoteKind[]
}
