import type { FreezeReason } from '../../../core/gates.ts'
import type { Player } from '../../../core/model/player.ts'
import type { HoldReason } from '../../../core/model/reward.ts'
import type { RewardStatus } from '../../../core/model/reward-status.ts'
import type { Cents } from '../../../core/money.ts'

/** What is known of a reward while its row in the ledger is locked. */
export interface RewardFacts {
  readonly ledgerId: bigint
  readonly taskId: string
  readonly userId: string
  readonly status: RewardStatus
  readonly poolId: string | null
  readonly poolPeriod: string
  readonly cost: Cents
  readonly softCap: Cents | null
  readonly reserves: boolean
  readonly kycRequired: number
  readonly partner: string | null
  readonly failure: string | null
  readonly payoutId: string | null
  readonly origin: 'stream' | 'manual'
  /** Who issued it, where a person did. */
  readonly issuer: string | null
  /** It was admitted once, so that its reviews are behind it. */
  readonly wasReserved: boolean
  /** It was sent once, so that it may have been paid. */
  readonly wasSent: boolean
  /** A call about it may be under way at this moment. */
  readonly inFlight: boolean
  /** What was to be looked at when it came. */
  readonly taskHolds: readonly HoldReason[]
  /** People who must approve it where it is held. */
  readonly approvals: number
  /** The newest review, open or not. */
  readonly hold: HoldFacts | null
  readonly freeze: FreezeFacts | null
  readonly player: Player
  /** The ledger's clock, ms. */
  readonly now: number
}

export interface HoldFacts {
  readonly id: bigint
  readonly reasons: readonly HoldReason[]
  readonly approvals: number
  readonly assignee: string | null
  readonly decision: 'approved' | 'rejected' | 'ended' | null
  readonly decidedBy: string | null
  readonly decidedAt: string | null
  readonly decisionReason: string | null
  readonly approvedBy: readonly string[]
}

export interface FreezeFacts {
  readonly by: string
  readonly reasons: readonly FreezeReason[]
  /** ms; null: for as long as it takes. */
  readonly expiresAt: number | null
}

/** What is to be done to a reward: data, so that a forecast and the deed are the same decision. */
export interface Change {
  readonly kind: 'change'
  /** The same as before where the reward does not move. */
  readonly to: RewardStatus
  readonly reserves: boolean
  readonly overrun: Cents
  readonly cost: Cents
  readonly kycRequired: number
  readonly hold: HoldChange
  /** Who stops it where it becomes or stays frozen, and so who may let it go. */
  readonly freeze: { readonly by: 'sink' | 'manual'; readonly reasons: readonly FreezeReason[] }
  /** In audit_log. */
  readonly action: string
  /** What an override went past; empty: it was not needed. */
  readonly passed: readonly string[]
  readonly notes: readonly string[]
}

export type HoldChange =
  | { readonly kind: 'none' }
  | { readonly kind: 'vote' }
  | { readonly kind: 'close'; readonly decision: 'approved' | 'rejected' | 'ended'; readonly vote: boolean }
  | { readonly kind: 'open'; readonly reasons: readonly HoldReason[] }
  | { readonly kind: 'assign'; readonly to: string | null }

export type Verdict =
  | Change
  | { readonly kind: 'unchanged'; readonly detail: string }
  | {
      readonly kind: 'refused'
      readonly code: 'ONCEWARD_E_REWARD_REFUSED' | 'ONCEWARD_E_HOLD_DECIDED'
      readonly detail: string
    }
