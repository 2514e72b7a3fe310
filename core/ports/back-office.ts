import type { FreezeReason } from '../gates.ts'
import type { ErrorCode } from '../errors.ts'
import type { Player } from '../model/player.ts'
import type { HoldReason, Reward } from '../model/reward.ts'
import type { RewardStatus } from '../model/reward-status.ts'
import type { Cents } from '../money.ts'
import type { BudgetRow, PoolTerms } from './ledger.ts'

/** What people do by hand with rewards that are in the ledger already. */
export type CommandName = 'approve' | 'reject' | 'assign' | 'unassign' | 'freeze' | 'release' | 'void' | 'resend'

/** Who does something, why, and how far they go. The same for each reward that it is done to. */
export interface Mandate {
  /** Stands in the history and in the audit log. Not empty. */
  readonly actor: string
  /** Not empty. */
  readonly reason: string
  /** Goes past budget and KYC, never past responsible gaming and never in place of a second person. Audited. */
  readonly override: boolean
  /** What counts for a player whose KYC level nobody has told. */
  readonly kycUnknown: number
  /** From which cost on a reward that nobody has looked at yet is reviewed; null: as the ledger says. */
  readonly reviewFrom: Cents | null
}

export type Command = Mandate &
  (
    | { readonly name: 'approve' /** For one whose cost nobody could work out. */; readonly cost?: Cents | undefined }
    | { readonly name: 'reject' | 'unassign' | 'freeze' | 'release' | 'resend' }
    | { readonly name: 'assign'; readonly to: string }
    /** `notPaid`: somebody has looked at the partner, and it did not pay. */
    | { readonly name: 'void'; readonly notPaid: boolean }
  )

/** A reward that a person gives, with all that follows from the policy worked out. */
export interface ManualReward {
  /** core/ids.ts, manualTaskId. */
  readonly taskId: string
  readonly userId: string
  readonly reference: string
  readonly reason: string
  readonly reward: Reward
  readonly value: Cents
  readonly cost: Cents
  readonly poolId: string | null
  /** The period of the pool that `issuedAt` falls in. */
  readonly poolPeriod: string
  /** What the policy says of the pool; null: none was given, and the terms in the ledger hold. */
  readonly terms: PoolTerms | null
  /** Why the pool takes nothing whatever its budget; null: it does. */
  readonly closed: string | null
  readonly kycRequired: number
  /** Why somebody is to look at it first, whatever the budget; empty: nobody needs to. */
  readonly holds: readonly HoldReason[]
  readonly approvals: number
  /** RFC 3339. */
  readonly issuedAt: string
}

/** What became of one reward, or would become of it. */
export type Outcome =
  | {
      readonly kind: 'done'
      readonly taskId: string
      /** Null: it was not in the ledger. */
      readonly from: RewardStatus | null
      readonly to: RewardStatus
      readonly userId: string
      readonly poolId: string | null
      readonly poolPeriod: string
      readonly cost: Cents
      /** What the pool's `reserved` grows by; below zero: a reservation is given back. */
      readonly reserved: Cents
      /** What is let through above the hard cap. */
      readonly overrun: Cents
      /** What is to be known of it; empty: nothing. */
      readonly notes: readonly string[]
    }
  /** It is so already. */
  | { readonly kind: 'unchanged'; readonly taskId: string; readonly detail: string }
  | { readonly kind: 'refused'; readonly taskId: string; readonly code: ErrorCode; readonly detail: string }

/** A pool's period as the next decision finds it. */
export interface PoolPosition {
  readonly terms: PoolTerms | null
  readonly spent: Cents
  readonly reserved: Cents
  readonly overrun: Cents
}

/** By `poolKey`. What a forecast has reserved so far, carried from one call to the next. */
export type PoolPositions = Map<string, PoolPosition>

export function poolKey(poolId: string, period: string): string {
  return JSON.stringify([poolId, period])
}

export interface HoldFilter {
  readonly pool?: string | undefined
  /** Of the reward: cash, fs, … */
  readonly type?: string | undefined
  /** What held it: large_prize, breaker, sharp_rise, … */
  readonly by?: string | undefined
  readonly user?: string | undefined
  /** An empty text: nobody's. */
  readonly assignee?: string | undefined
  /** Open for at least so long, ms, by the ledger's clock. */
  readonly ageMsMin?: number | undefined
  readonly costMin?: Cents | undefined
}

export interface HoldView {
  readonly taskId: string
  readonly userId: string
  readonly poolId: string | null
  readonly poolPeriod: string
  readonly type: string
  readonly value: Cents
  readonly currency: string | null
  readonly cost: Cents
  readonly reasons: readonly HoldReason[]
  readonly assignee: string | null
  /** People who must approve it, and who have. */
  readonly approvals: number
  readonly approvedBy: readonly string[]
  readonly openedAt: Date
}

export interface RewardFilter {
  readonly statuses: readonly RewardStatus[]
  readonly pool?: string | undefined
  readonly type?: string | undefined
  readonly user?: string | undefined
  readonly rule?: string | undefined
  /** Who froze it: stream, sink or manual. */
  readonly frozenBy?: string | undefined
}

/** All that the ledger knows of one reward. */
export interface RewardView {
  readonly taskId: string
  readonly requestId: string
  readonly userId: string
  readonly status: RewardStatus
  readonly poolId: string | null
  readonly poolPeriod: string
  readonly type: string
  readonly value: Cents
  readonly currency: string | null
  readonly cost: Cents
  /** Its cost stands in the pool's `reserved`. */
  readonly reserves: boolean
  readonly kycRequired: number
  readonly partner: string | null
  readonly origin: 'stream' | 'manual'
  readonly ruleId: string
  readonly ruleVersion: string | null
  readonly threshold: string | null
  readonly eventId: string | null
  readonly payoutId: string | null
  readonly failure: string | null
  readonly reward: Reward | null
  readonly issuedAt: Date
  readonly updatedAt: Date
  readonly history: readonly {
    readonly from: RewardStatus | null
    readonly to: RewardStatus
    readonly reason: string | null
    readonly actor: string
    readonly at: Date
  }[]
  readonly holds: readonly {
    readonly reasons: readonly HoldReason[]
    readonly approvals: number
    readonly assignee: string | null
    readonly openedAt: Date
    readonly decision: string | null
    readonly decidedBy: string | null
    readonly decidedAt: Date | null
    readonly decisionReason: string | null
    readonly approvedBy: readonly { readonly actor: string; readonly reason: string; readonly at: Date }[]
  }[]
  readonly freeze: {
    readonly by: string
    readonly reasons: readonly FreezeReason[]
    readonly expiresAt: Date | null
    readonly frozenAt: Date
  } | null
  /** Null: it is not waiting for a call. */
  readonly queue: { readonly attempts: number; readonly nextAt: Date; readonly lastFailure: string | null } | null
  /** Null: no event has told anything of the player. */
  readonly player: Player | null
  readonly pool: BudgetRow | null
  readonly audit: readonly AuditEntry[]
}

export interface AuditEntry {
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly subject: string
  readonly reason: string | null
  readonly detail: string | null
}

export interface BudgetView extends BudgetRow {
  /** Percent of the budget from which on large prizes are held. */
  readonly breakerPercent: number
  /** When the first reward was taken from it, by the ledger's clock. */
  readonly since: Date
  /** When it is empty if all goes on as since `since`; null: it does not, or nothing bounds it. */
  readonly dryAt: Date | null
}

export interface CostQuestion {
  /** Event times, ms: from (inclusive) and until (exclusive). */
  readonly from?: number | undefined
  readonly until?: number | undefined
  readonly by: 'pool' | 'rule' | 'type'
}

export interface CostView {
  /** Null: all of them together. */
  readonly group: string | null
  readonly rewards: number
  /** Cost of what was paid, and of what is reserved, on its way or in doubt. */
  readonly paid: Cents
  readonly open: Cents
  /** Players who were paid something, and those of them whom the tasks call payers. */
  readonly players: number
  readonly payers: number
}

/**
 * The ledger as people work with it. Every method throws ONCEWARD_E_LEDGER_UNAVAILABLE where trying again may help (all
 * are safe to repeat: what was done before is `unchanged` or refused as decided) and ONCEWARD_E_LEDGER_REFUSED where it
 * will not. What cannot be done to a reward is an outcome and no error.
 */
export interface BackOffice {
  /** Open reviews, oldest first, at most `limit`. */
  holds(filter: HoldFilter, limit: number): Promise<readonly HoldView[]>
  /** Task ids with an open review, oldest first; all of them. */
  heldIds(filter: HoldFilter): Promise<readonly string[]>
  /** By task id or request id (a request id is looked for through the whole ledger). Throws ONCEWARD_E_REWARD_UNKNOWN. */
  reward(id: string): Promise<RewardView>
  /** Task ids in the order of booking; all of them. */
  rewardIds(filter: RewardFilter): Promise<readonly string[]>
  /**
   * What `command` would do to at most COMMAND_TARGETS_MAX rewards, one after the other, changing nothing. `positions`
   * begins empty and is carried along, so that a forecast in several calls sees what it has reserved itself.
   */
  forecast(command: Command, taskIds: readonly string[], positions: PoolPositions): Promise<readonly Outcome[]>
  /** Does it, in one transaction. What is refused hinders no other. */
  carryOut(command: Command, taskIds: readonly string[]): Promise<readonly Outcome[]>
  forecastIssue(
    mandate: Mandate,
    rewards: readonly ManualReward[],
    positions: PoolPositions,
  ): Promise<readonly Outcome[]>
  /** Books them like any other reward: reserved, frozen or held. The same task again is `unchanged`. One transaction. */
  issue(mandate: Mandate, rewards: readonly ManualReward[]): Promise<readonly Outcome[]>
  /** Periods of the pool that the ledger has rows for; empty: it knows no such pool. */
  periodsOf(poolId: string): Promise<readonly string[]>
  budgets(): Promise<readonly BudgetView[]>
  costs(question: CostQuestion): Promise<readonly CostView[]>
  close(): Promise<void>
}

/** Bounds how long one transaction holds a pool's row. */
export const COMMAND_TARGETS_MAX = 200
