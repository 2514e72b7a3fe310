/**
 * What the gates remember of a player: what is known (KYC, restrictions) and which rewards wait. Every statement carries
 * the time and the id of the event that made it, so that the newest one wins in whatever order they arrive.
 */

/** When something was said: the event's own time, ms; ties by event id. */
export interface Said {
  at: number
  id: string
}

/** The last word on one kind of restriction. */
export interface RestrictionState extends Said {
  kind: string
  /** Exclusive, ms; null: until it is lifted. */
  until: number | null
  /** It is in force no more: it was lifted, or its end has passed. Kept, so that an older word arriving later is known as such. */
  over?: true
}

/** A reward that waits, as far as the decision needs it; the task itself is in FROZEN under its id. */
export interface FrozenRef {
  /** reward_task_id */
  id: string
  /** KYC level that it needs. */
  required: number
  /** What counts where the player's level is not known. */
  unknown: number
  /** ms; null: it waits for as long as it takes. */
  expiresAt: number | null
}

export interface PlayerState {
  /** Absent: no event has told it yet. */
  kyc?: Said & { level: number }
  /** One for each kind that was ever heard of, in order of kind. */
  restrictions: RestrictionState[]
  /** The last lifting of all limits, and of everything. */
  limitsLifted?: Said
  allLifted?: Said
  /** Greatest time of an event that changed what is known, ms. */
  asOf: number
  /** Changes so far. */
  seq: number
  /** In the order in which they were stopped. */
  frozen: FrozenRef[]
  /** When time alone changes something next, ms: its entry in the index of timers; null: never. */
  timer: number | null
}

/**
 * Most rewards of one player that wait in the stream. It bounds what one event may set free, and with it a transaction; a
 * further one goes out with a hold, so that a person decides, and the sink asks the gates again before it pays.
 */
export const FROZEN_MAX = 256

/** Most kinds of restriction that are told apart for one player; more count as one, which only lifting everything lifts. */
export const RESTRICTION_KINDS_MAX = 32
/** Longest name of a kind; the rest of it is cut off. */
export const RESTRICTION_KIND_LENGTH_MAX = 64
