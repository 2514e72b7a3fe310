import type { LedgerEntry, OrphanEntry, StatementLine } from '../../core/ports/reconciliation.ts'
import type { Cents } from '../../core/money.ts'

/** A record about a reward on `reward.tasks`: what a comparison looks at, and no more. */
export interface TopicEntry {
  readonly said: 'created' | 'frozen' | 'expired'
  readonly taskId: string
  readonly userId: string
  readonly poolId: string | null
  readonly type: string
  readonly value: Cents
  readonly currency: string | null
  /** What the record says that it takes from the pool; null: it leaves that to the sink. */
  readonly cost: Cents | null
  readonly partition: number
  readonly offset: number
  /** When it was written, ms. */
  readonly writtenAt: number
  /** Event time, ms. */
  readonly issuedAt: number
}

/** All that the sides say of one request id. */
export interface Group {
  readonly requestId: string
  /** In the order of the log. */
  readonly topic: readonly TopicEntry[]
  readonly ledger: LedgerEntry | undefined
  /** Only where `ledger` is undefined. */
  readonly orphan: OrphanEntry | undefined
  readonly statement: readonly StatementLine[]
}

/** What is compared, and what counts as under way. */
export interface Terms {
  /** The instant of the ledger's snapshot, ms. */
  readonly at: number
  /** undefined: the topic is not compared. */
  readonly topic: TopicRange | undefined
  /** A statement is compared. */
  readonly statement: boolean
  /** The partners whose statement it is; empty: all. */
  readonly partners: readonly string[]
  /** Times of events and of payments that are looked at, ms, `until` exclusive. */
  readonly period: { readonly from: number; readonly until: number } | undefined
  /** From this age on, ms, what is under way is stuck. */
  readonly stuckAfterMs: number
}

/** By partition. */
export interface TopicRange {
  readonly topic: string
  /** The oldest offset that is kept. */
  readonly earliest: readonly number[]
  /** One past the last record that was read. */
  readonly end: readonly number[]
  /** What lies below must have been booked before the snapshot. */
  readonly booked: readonly number[]
}

export interface Correction {
  readonly poolId: string
  /** Null: any. */
  readonly period: string | null
  readonly column: 'spent' | 'reserved'
  /** What the sum over the ledger's rows lacks, if the budget was moved before the row was spoilt. */
  readonly lacks: Cents
}

/** From this age on, ms, what is under way is worth a note. */
export const WAITING_AFTER_MS = 3_600_000
