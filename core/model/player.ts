/** What the gates know of a player: how far the identity is verified, and what responsible gaming forbids. */

/** The greatest KYC level there is: far above any that a verifier has. A level that is said to be greater counts as this. */
export const KYC_LEVEL_MAX = 100

/** One restriction in force. `since` and `until` are event times, ms; `until` is exclusive, null: until it is lifted. */
export interface Restriction {
  /** self_exclusion, cool_off, deposit_limit, … */
  readonly kind: string
  readonly since: number
  readonly until: number | null
}

export interface Player {
  /** Null: no event has told it yet. */
  readonly kycLevel: number | null
  readonly restrictions: readonly Restriction[]
}

/** A player of whom nothing is known. */
export const UNKNOWN_PLAYER: Player = { kycLevel: null, restrictions: [] }

/**
 * The value of a record on `reward.tasks` whose key is the user id: what the stream knows of the player from here on. It
 * stands in one partition with the player's tasks, so that whoever reads a task has read what was known when it was made.
 */
export interface PlayerChanged {
  readonly type: 'player.changed'
  readonly user_id: string
  readonly kyc_level: number | null
  readonly restrictions: readonly { readonly kind: string; readonly since: string; readonly until: string | null }[]
  /** Greatest time of an event that changed this player, RFC 3339; of two records the later one counts, ties by `seq`. */
  readonly as_of: string
  /** Changes of this player so far. */
  readonly seq: number
  /** The event that brought it; null: the end of a restriction. */
  readonly event_id: string | null
}
