/**
 * The life of a reward in the ledger. What is not listed as a move is refused by the database itself
 * (connectors/ledger/migrations/0002-payout.sql has the same table; a test compares them).
 *
 *   pending ─▶ reserved ─▶ sent ─▶ succeeded
 *      ├─▶ held ──▲  ▲       ├──▶ failed ─▶ reserved (sent again), voided
 *      └─▶ frozen ───┘       └──▶ frozen (stopped between two calls)
 */
export const REWARD_STATUSES = [
  'pending',
  'held',
  'frozen',
  'reserved',
  'sent',
  'succeeded',
  'failed',
  'voided',
  'expired',
] as const

export type RewardStatus = (typeof REWARD_STATUSES)[number]

/**
 * A payment is a fact whoever saw it, so `succeeded` may follow on whatever else was said of a task, and nothing on it.
 */
export const MOVES: Readonly<Record<RewardStatus, readonly RewardStatus[]>> = {
  pending: ['held', 'frozen', 'reserved', 'failed', 'voided', 'expired', 'succeeded'],
  held: ['reserved', 'frozen', 'voided', 'expired', 'succeeded'],
  frozen: ['pending', 'held', 'reserved', 'failed', 'voided', 'expired', 'succeeded'],
  reserved: ['sent', 'held', 'frozen', 'failed', 'voided', 'expired', 'succeeded'],
  sent: ['succeeded', 'failed', 'frozen'],
  succeeded: [],
  failed: ['reserved', 'held', 'frozen', 'voided', 'succeeded'],
  voided: ['succeeded'],
  expired: ['succeeded'],
}
