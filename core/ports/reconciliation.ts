import type { RewardStatus } from '../model/reward-status.ts'
import type { Cents } from '../money.ts'

/** A reward as the ledger has it, with what stands beside it in the other tables: what a comparison looks at, and no more. */
export interface LedgerEntry {
  readonly ledgerId: bigint
  readonly taskId: string
  readonly userId: string
  readonly poolId: string | null
  readonly poolPeriod: string
  readonly type: string
  readonly value: Cents
  readonly currency: string | null
  readonly cost: Cents
  readonly status: RewardStatus
  readonly payoutId: string | null
  /** Its cost stands in `reserved` of its pool. */
  readonly reserves: boolean
  readonly partner: string | null
  readonly origin: 'stream' | 'manual'
  /** Event time, ms. */
  readonly issuedAt: number
  /** The last move, ms by the ledger's clock. */
  readonly movedAt: number
  /** The first time that it was about to be sent, ms by the ledger's clock; null: never. */
  readonly sentAt: number | null
  /** Where it stands on the topic; null: issued by hand, or not known. */
  readonly source: { readonly topic: string; readonly partition: number; readonly offset: number } | null
  readonly beside: Beside
  readonly history: HistoryEnd
}

/** Which rows of the other tables stand beside a reward. */
export interface Beside {
  readonly outbox: boolean
  readonly openHold: boolean
  /** Who froze it; null: there is no such row. */
  readonly frozenBy: 'stream' | 'sink' | 'manual' | null
}

/** What a reward's history comes to. */
export interface HistoryEnd {
  /** Where it ends; null: there is none. */
  readonly status: RewardStatus | null
  /** It ends before the moves that the row has counted: the end was taken away, and does not say where the row is. */
  readonly cut: boolean
  /** Every move follows on the one before, and there are as many as the row says. */
  readonly whole: boolean
  /** Somebody other than a sink has moved it. */
  readonly byPerson: boolean
}

/** What the other tables hold of a row that is not in reward_ledger any more. */
export interface OrphanEntry {
  readonly ledgerId: bigint
  /** From the task as it came, as the two below; null where that is not there. */
  readonly taskId: string | null
  readonly poolId: string | null
  readonly cost: Cents | null
  /** Where its history ends; null: it has none. */
  readonly status: RewardStatus | null
  readonly tables: readonly string[]
}

export interface BudgetEntry {
  readonly poolId: string
  readonly period: string
  /** Null: nobody has set one. */
  readonly budget: Cents | null
  readonly spent: Cents
  readonly reserved: Cents
  readonly overrun: Cents
}

/** The ledger as it was at one instant: whatever is booked meanwhile, all that is read here fits together. */
export interface LedgerSnapshot {
  /** The instant, ms by the ledger's clock. */
  readonly at: number
  readonly rows: number
  /** Every reward in the order of booking, some thousand at a time. */
  entries(): AsyncIterable<readonly LedgerEntry[]>
  orphans(): AsyncIterable<readonly OrphanEntry[]>
  budgets(): Promise<readonly BudgetEntry[]>
}

/**
 * Reads the ledger for reconciliation and changes nothing. Throws ONCEWARD_E_LEDGER_UNAVAILABLE where trying again may help
 * and ONCEWARD_E_LEDGER_REFUSED where it will not.
 */
export interface LedgerReader {
  /** The snapshot lasts as long as `use` does. */
  snapshot<T>(use: (snapshot: LedgerSnapshot) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** A line of a wallet's statement. */
export interface StatementLine {
  /** `FILE:LINE`. */
  readonly place: string
  readonly requestId: string
  /** Null: the statement does not say. */
  readonly payoutId: string | null
  readonly userId: string | null
  readonly type: string | null
  readonly amount: Cents
  readonly currency: string | null
  readonly state: StatementState
  /** ms; null: the statement does not say. */
  readonly paidAt: number | null
}

export const STATEMENT_STATES = ['paid', 'pending', 'failed', 'reversed'] as const

export type StatementState = (typeof STATEMENT_STATES)[number]
