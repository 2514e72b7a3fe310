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

/** Conditions on paying; carried on the task and judged by the payout. */
export interface Guardrails {
  readonly kyc_min_level?: number
  readonly rg_limits_ok?: boolean
  readonly budget_pool?: string
  readonly budget_soft_cap?: number
}

/** The value of a record on `reward.tasks` (SPEC S12); its key is the user id. */
export interface RewardTask {
  readonly type: 'reward_task.created'
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
  readonly status: 'pending'
  /** The crossing event's own time, RFC 3339: time is data. */
  readonly created_at: string
}
