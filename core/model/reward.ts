import type { FreezeReason } from '../gates.ts'
import type { Json } from './event.ts'
import type { Assignment } from './experiment.ts'

/** A reward as a rule states it and a task carries it (SPEC S12). `value` of a rule is `amount` of a task. */
export interface Reward {
  /** cash, bonus_cash, fs (free spins), coupon, loot, … */
  readonly type: string
  /** Cash types: money with at most two decimals. Others: a count. */
  readonly amount?: number
  /** ISO 4217, for cash types. */
  readonly currency?: string
  /** What the reward costs the pool, in the pool's money; absent: the amount for cash types, nothing for others. */
  readonly cost?: number
  /** How many times it must be wagered. */
  readonly wagering?: number
  /** Whatever else the rule says of it: rarity, code, game_id, … */
  readonly [attribute: string]: Json | undefined
}

/** Conditions on paying, as a task carries them; what depends on the player's country has been resolved. */
export interface Guardrails {
  readonly kyc_min_level?: number
  /** Kept for reading: responsible gaming is asked of every reward, whatever a rule says. */
  readonly rg_limits_ok?: boolean
  readonly budget_pool?: string
  readonly budget_soft_cap?: number
  /** Allowed countries, ISO 3166 alpha-2; absent: all. */
  readonly geo?: readonly string[]
  /** How long a reward may stay frozen before it expires, ms of event time; absent: for ever. */
  readonly frozen_expiry_ms?: number
}

/** Why somebody shall look at a reward before it is paid. `by`: large_prize, breaker, soft_cap, sharp_rise, … */
export interface HoldReason {
  readonly by: string
  /** A sentence without its full stop. */
  readonly detail: string
}

/** `by` of a hold: the cost is not known. */
export const NO_RATE = 'no_rate'
/** `by` of a hold, the reason of a dead letter, how the failure of a refused reward begins: the pool does not cover it. */
export const BUDGET_CLOSED = 'budget_closed'

/** What a task is: the same on every record about it. */
export interface RewardTaskBase {
  /** `rt_` and 32 hex digits; the same crossing always has the same id. */
  readonly reward_task_id: string
  readonly user_id: string
  readonly origin: Partial<Assignment> & {
    readonly rule_id: string
    readonly rule_version: string
    readonly threshold: number
    /** The calendar period of the progress that crossed: `all`, `2025-11-03`, `2025-W45` or `2025-11`. */
    readonly period: string
    /** The event that crossed the threshold. */
    readonly event_id: string
  }
  readonly reward: Reward
  readonly pool_id: string | null
  readonly guardrails: Guardrails
  /** What it takes from the pool, decimal text in the policy's currency; absent: no rate was known, or another wrote the task. */
  readonly cost?: string
  /** The level that the gates demanded, and the player's when it passed or was frozen (null: not known). */
  readonly kyc?: { readonly required: number; readonly level: number | null }
  /** The player's country, where the event says it. */
  readonly geo?: string
  /** Whether the player is one who pays, where the event says it. */
  readonly payer?: boolean
  /** Absent: nobody needs to look. */
  readonly holds?: readonly HoldReason[]
  /** The crossing event's own time, RFC 3339: time is data. */
  readonly created_at: string
}

/** The value of a record on `reward.tasks` (SPEC S12): this is to be paid. Its key is the user id. */
export interface RewardTask extends RewardTaskBase {
  readonly type: 'reward_task.created'
  readonly status: 'pending'
  /** When the gates let it pass, RFC 3339; absent: it never was frozen. */
  readonly released_at?: string
}

/** A reward that the gates stopped: it is not to be paid until a `reward_task.created` with its id says so. */
export interface FrozenRewardTask extends RewardTaskBase {
  readonly type: 'reward_task.frozen'
  readonly status: 'frozen'
  readonly reasons: readonly FreezeReason[]
  readonly frozen_at: string
  /** RFC 3339; absent: it stays frozen for as long as it takes. */
  readonly expires_at?: string
}

/** A frozen reward whose time was up before the gates let it pass. It is never paid. */
export interface ExpiredRewardTask extends RewardTaskBase {
  readonly type: 'reward_task.expired'
  readonly status: 'expired'
  readonly expired_at: string
}

/** The values of the records about rewards on `reward.tasks`; `player.changed` stands there, too. */
export type RewardRecord = RewardTask | FrozenRewardTask | ExpiredRewardTask
