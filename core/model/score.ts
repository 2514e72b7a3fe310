import type { Assignment } from './experiment.ts'

/** A cap's name, as rules write it. */
export type CapName = 'per_bet' | 'per_minute' | 'per_hour' | 'per_day'

/**
 * Why a rule gives nothing for an event that was late and was sent again: it needs its events in order, or what its cap of a
 * minute had left at that time is forgotten.
 */
export type LateReason = 'late_strict' | 'late_window_forgotten'

export interface WithheldReward {
  readonly threshold: number
  /**
   * The player's country is not among those of the rule or the pool, its formula gave no sensible amount, the user had one
   * too short ago, or as many as the rule gives.
   */
  readonly reason: 'geo' | 'amount' | 'cool_down' | 'most_rewards'
  /** A sentence without its full stop. */
  readonly detail: string
}

/**
 * The value of a record on `scores`, one for every rule that matched an event; its key is the user id. Where the rule has
 * arms it says which of them the user is in.
 */
export interface ScoreRecord extends Partial<Assignment> {
  readonly type: 'score'
  readonly scoring_key: string
  readonly event_id: string
  readonly user_id: string
  readonly rule_id: string
  readonly rule_version: string
  /** What the formula gave, rounded down, before caps; 0 where it gave no number. */
  readonly raw_points: number
  /** After caps. */
  readonly points: number
  /** The user's progress under the rule after this event, in the period of its time. */
  readonly progress: number
  /** The cap that left the fewest points; null where none cut. */
  readonly cut_by: CapName | null
  /** Why a rule that matched scored nothing: its formula gave no finite number, or the event was late; absent: neither. */
  readonly reason?: 'not_finite' | LateReason
  /** A sentence without its full stop. */
  readonly detail?: string
  /** Thresholds that were crossed without their reward being given, and why; absent: none. */
  readonly withheld?: readonly WithheldReward[]
  /** RFC 3339. */
  readonly event_ts: string
}
