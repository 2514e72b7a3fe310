import type { FreezeReason } from '../gates.ts'
import type { Player } from '../model/player.ts'
import type { Guardrails, HoldReason, Reward } from '../model/reward.ts'
import type { RewardStatus } from '../model/reward-status.ts'
import type { Cents } from '../money.ts'

/** A reward as the ledger books it. */
export interface LedgerTask {
  readonly taskId: string
  readonly userId: string
  readonly poolId: string | null
  /** The period of the pool that the task's event time falls in; `all` where the pool has none. */
  readonly poolPeriod: string
  /** What the policy says of the pool at the task's event time; null: no pool, or one that is not declared. */
  readonly terms: PoolTerms | null
  /** Why the pool takes nothing whatever its budget: not declared, not at this date, no rate; null: it does. */
  readonly closed: string | null
  readonly type: string
  /** Money for cash types, a count in hundredths for others, 0 where the reward has no amount. */
  readonly value: Cents
  readonly currency: string | null
  /** What it takes from the pool; 0 where it could not be worked out, and then `holds` says so. */
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
  /** The least KYC level; 0: none. */
  readonly kycRequired: number
  /** What counts for a player whose level nobody has told the ledger; null: the stream has judged that, so that it passes. */
  readonly kycUnknown: number | null
  /** Why somebody is to look at it before anything else; empty: nobody needs to. */
  readonly holds: readonly HoldReason[]
  /** People who must approve it where it is held: 1 or 2. */
  readonly approvals: number
  /** The partner that its type is routed to; null: none is configured for it. */
  readonly partner: string | null
  /** The partner wants one player's orders one after the other. */
  readonly ordered: boolean
  readonly payer: boolean | null
  readonly origin: 'stream' | 'manual'
  /** The task's own `created_at`, RFC 3339. */
  readonly issuedAt: string
  /** Where it stands on `reward.tasks`; null for one that was issued by hand. */
  readonly source: { readonly topic: string; readonly partition: number; readonly offset: number } | null
  /** The task as it came, for the dead-letter topic. */
  readonly raw: string
}

/** What a policy says of a pool in one period. */
export interface PoolTerms {
  /** The hard cap. */
  readonly budget: Cents
  readonly softCap: Cents | null
  readonly breakerPercent: number
  readonly whenClosed: 'hold' | 'dlq'
  /** From this cost on a prize is large; null: none is. */
  readonly largePrize: Cents | null
  /** From this event time on they hold, ms (0: since ever); of two the later one counts. */
  readonly since: number
}

/** One record about a reward, in the order of the log. */
export type Arrival =
  | { readonly kind: 'created'; readonly task: LedgerTask; readonly released: boolean }
  | {
      readonly kind: 'frozen'
      readonly task: LedgerTask
      readonly reasons: readonly FreezeReason[]
      readonly expiresAt: string | null
    }
  | { readonly kind: 'expired'; readonly task: LedgerTask }

/**
 * What is known of a pool's period while its row is locked: nothing else moves it meanwhile. The terms are those of the row,
 * so that they are the same for a sink and for whoever approves a held reward months later.
 */
export interface PoolFacts {
  /** Null: nobody has declared the pool, and nothing bounds it. */
  readonly terms: PoolTerms | null
  readonly spent: Cents
  readonly reserved: Cents
}

/** What becomes of a task that the gates let pass. */
export type Admission =
  | { readonly kind: 'reserve' }
  | { readonly kind: 'hold'; readonly reasons: readonly HoldReason[] }
  | { readonly kind: 'refuse'; readonly detail: string }

/**
 * Decides over one task after the other: pure, because it is called inside of a transaction. `facts` count what the tasks
 * before have reserved; undefined where the task has no pool.
 */
export type Admit = (task: LedgerTask, facts: PoolFacts | undefined) => Admission

export interface Booked {
  /** Tasks that were not in the ledger before. */
  readonly recorded: number
  readonly known: number
  /** Tasks of this call, new or known, that stand as refused by their pool: each is owed a dead letter. */
  readonly refused: readonly { readonly taskId: string; readonly detail: string }[]
  readonly held: number
  readonly frozen: number
}

export interface PlayerChange {
  readonly userId: string
  readonly player: Player
  /** RFC 3339; of two changes the later one counts, ties by `seq`. */
  readonly asOf: string
  readonly seq: number
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

export interface ClaimRef {
  readonly taskId: string
  readonly claim: bigint
}

/** Whether a claimed task may be sent at this moment. */
export type Clearance =
  /**
   * It is `sent` in the ledger: call now. `again`: it was sent before, by whomever, so that an earlier call may have paid it
   * although nobody booked an answer; a refusal then does not prove that it is unpaid.
   */
  | { readonly kind: 'send'; readonly again: boolean }
  /** The player is protected: it is `frozen` and out of the outbox. */
  | { readonly kind: 'frozen'; readonly reasons: readonly FreezeReason[] }
  /** The claim is another one's, or somebody has taken the task out of the outbox. */
  | { readonly kind: 'lost' }

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
  /** `inDoubt`: it may have been paid all the same, so its reservation stays until somebody has looked. */
  | {
      readonly kind: 'failed'
      readonly taskId: string
      readonly claim: bigint
      readonly reason: string
      readonly inDoubt: boolean
    }
  /** Given back untouched: no call was booked. */
  | { readonly kind: 'released'; readonly taskId: string; readonly claim: bigint }

export interface Settled {
  /** Tasks that it changed; the others had been settled before, or are another claim's. */
  readonly changed: ReadonlySet<string>
  /** Paid before under another payout id or status: the partner answers one request id in two ways. */
  readonly differing: readonly { readonly taskId: string; readonly first: string; readonly now: string }[]
}

export interface Waiting {
  readonly partner: string
  readonly tasks: number
  readonly longestMs: number
}

export interface LedgerTotal {
  readonly status: RewardStatus
  readonly count: number
  readonly cost: Cents
}

export interface BudgetRow {
  readonly poolId: string
  readonly period: string
  /** The hard cap; null where nobody has set one. */
  readonly budget: Cents | null
  readonly softCap: Cents | null
  /** The sum of cost over the pool's `succeeded` rows of the period. */
  readonly spent: Cents
  /** The sum of cost over those that are reserved, sent, or in doubt. */
  readonly reserved: Cents
  /** What was let through above the hard cap: by hand, with a reason, or because it turned out to be paid. */
  readonly overrun: Cents
}

export interface LedgerRow {
  readonly taskId: string
  readonly userId: string
  readonly poolId: string | null
  readonly type: string
  readonly value: Cents
  readonly currency: string | null
  readonly cost: Cents
  readonly status: RewardStatus
  readonly payoutId: string | null
  readonly failure: string | null
  readonly updatedAt: Date
}

/**
 * The book of rewards, as the sink uses it. Every method throws ONCEWARD_E_LEDGER_UNAVAILABLE where trying again may help
 * (all are safe to repeat) and ONCEWARD_E_LEDGER_REFUSED where it will not.
 */
export interface Ledger {
  /** Brings the schema up to date; safe to call from several processes at once. */
  migrate(): Promise<void>
  /**
   * Books what the log tells of rewards, in its order, all or none. A new task is admitted (reserved and queued, held or
   * refused) or frozen; a frozen one that is created or expired now moves on; anything else about a known task changes
   * nothing. `spent + reserved` of a pool's period never gets above its budget. Throws ONCEWARD_E_TASK_MALFORMED where it
   * cannot hold one of them.
   */
  book(arrivals: readonly Arrival[], admit: Admit): Promise<Booked>
  /** What the stream knows of players from here on; the gates at the moment of the call look at it. */
  players(changes: readonly PlayerChange[]): Promise<void>
  /**
   * Takes up to `limit` due tasks of `partner` for `leaseMs`, measured by the ledger's clock. Never hands one task to two
   * callers, and of a partner that is ordered by player never a task before an earlier one of the same player has ended.
   */
  claim(request: {
    readonly owner: string
    readonly partner: string
    readonly limit: number
    readonly leaseMs: number
  }): Promise<readonly ClaimedTask[]>
  /** Asks once more, at the moment of the call, and books what the answer says. By task id. */
  clear(claims: readonly ClaimRef[]): Promise<ReadonlyMap<string, Clearance>>
  /** Books what became of claimed tasks: status, budget and queue in one transaction, all or none. Idempotent. */
  settle(settlements: readonly Settlement[]): Promise<Settled>
  /**
   * Lets go what `clear` has frozen and the gates let pass now, by the ledger's clock: admitted as in `book`. Also ends
   * frozen rows whose time is up. Answers how many moved.
   */
  thaw(admit: Admit, limit: number): Promise<Booked>
  /**
   * Gives tasks in the outbox to the partner of their type (`route`, by type): those that nobody has routed yet, or those
   * whose partner is not among `known` as well. Never one that may have been sent. Answers how many.
   */
  reroute(
    which: 'unrouted' | { readonly known: readonly string[] },
    route: ReadonlyMap<string, { partner: string; ordered: boolean }>,
  ): Promise<number>
  /** Tasks still to be paid: reserved or sent. */
  outstanding(): Promise<number>
  /** By partner, configured or not: tasks that are due and that nobody has, and how long the first of them has been, ms. */
  waiting(): Promise<readonly Waiting[]>
  totals(): Promise<readonly LedgerTotal[]>
  budgets(): Promise<readonly BudgetRow[]>
  /** The newest `limit` rows by last change, newest first. */
  latest(limit: number): Promise<readonly LedgerRow[]>
  close(): Promise<void>
}
