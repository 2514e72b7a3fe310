import type { Guardrails, Reward } from '../model/reward.ts'
import type { Cents } from '../money.ts'

/** `pending` is in the outbox; the other two are final, save that a late proof of payment turns `failed` to `succeeded`. */
export type LedgerStatus = 'pending' | 'succeeded' | 'failed'

/** A reward task as the ledger books it. */
export interface LedgerTask {
  readonly taskId: string
  readonly userId: string
  readonly poolId: string | null
  readonly type: string
  /** Money for cash types, a count in hundredths for others, 0 where the reward has no amount. */
  readonly value: Cents
  readonly currency: string | null
  /** What it takes from the pool. */
  readonly cost: Cents
  readonly ruleId: string
  readonly ruleVersion: string | null
  readonly threshold: number | null
  readonly period: string | null
  readonly eventId: string | null
  readonly reward: Reward
  readonly guardrails: Guardrails
  /** `guardrails.budget_soft_cap`, read as money. */
  readonly softCap: Cents | null
  /** The task's own `created_at`, RFC 3339. */
  readonly issuedAt: string
  readonly source: { readonly topic: string; readonly partition: number; readonly offset: number }
  /** The task as it came, for the dead-letter topic. */
  readonly raw: string
}

/** A task that this caller alone may pay until its lease ends. */
export interface ClaimedTask {
  readonly taskId: string
  /** Proves the claim when it is settled; a later claim of the same task has another. */
  readonly claim: bigint
  /** Calls booked as failed before. */
  readonly attempts: number
  readonly task: Pick<
    LedgerTask,
    'taskId' | 'userId' | 'eventId' | 'ruleId' | 'threshold' | 'reward' | 'guardrails' | 'source' | 'raw'
  >
}

/** What became of a claimed task. `succeeded` is a fact and counts without a valid claim; the others need one. */
export type Settlement =
  | { readonly kind: 'succeeded'; readonly taskId: string; readonly payoutId: string; readonly payoutStatus: string }
  | {
      readonly kind: 'retry'
      readonly taskId: string
      readonly claim: bigint
      readonly delayMs: number
      readonly reason: string
    }
  | { readonly kind: 'failed'; readonly taskId: string; readonly claim: bigint; readonly reason: string }
  /** Given back untouched: no call was booked. */
  | { readonly kind: 'released'; readonly taskId: string; readonly claim: bigint }

export interface LedgerTotal {
  readonly status: LedgerStatus
  readonly count: number
  readonly cost: Cents
}

export interface BudgetRow {
  readonly poolId: string
  readonly period: string
  /** Null where nobody has set one. */
  readonly budget: Cents | null
  readonly spent: Cents
}

export interface LedgerRow {
  readonly taskId: string
  readonly userId: string
  readonly poolId: string | null
  readonly type: string
  readonly value: Cents
  readonly currency: string | null
  readonly cost: Cents
  readonly status: LedgerStatus
  readonly payoutId: string | null
  readonly failure: string | null
  readonly updatedAt: Date
}

/**
 * The book of rewards. Every method throws ONCEWARD_E_LEDGER_UNAVAILABLE where trying again may help (all are safe to
 * repeat) and ONCEWARD_E_LEDGER_REFUSED where it will not.
 */
export interface Ledger {
  /** Brings the schema up to date; safe to call from several processes at once. */
  migrate(): Promise<void>
  /**
   * Books tasks as pending and queues them for payment, all or none. Tasks known before are left as they are. Throws
   * ONCEWARD_E_TASK_MALFORMED where it cannot hold one of them.
   */
  record(tasks: readonly LedgerTask[]): Promise<{ readonly recorded: number; readonly known: number }>
  /** Takes up to `limit` due tasks for `leaseMs`, measured by the ledger's clock. Never hands one task to two callers. */
  claim(request: {
    readonly owner: string
    readonly limit: number
    readonly leaseMs: number
  }): Promise<readonly ClaimedTask[]>
  /**
   * Books what became of claimed tasks: status, budget and queue in one transaction, all or none. Idempotent. Answers the
   * ids of the tasks that it changed; the others had been settled before, or are another claim's.
   */
  settle(settlements: readonly Settlement[]): Promise<ReadonlySet<string>>
  /** Tasks still to be paid. */
  outstanding(): Promise<number>
  totals(): Promise<readonly LedgerTotal[]>
  budgets(): Promise<readonly BudgetRow[]>
  /** The newest `limit` rows by last change, newest first. */
  latest(limit: number): Promise<readonly LedgerRow[]>
  close(): Promise<void>
}
