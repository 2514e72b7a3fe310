/** JSON as it was parsed. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json | undefined
}

/** What a player did, checked against its schema (SPEC S2). */
export interface PlayerEvent {
  readonly eventId: string
  readonly eventName: string
  readonly userId: string
  /** Event time, milliseconds since the epoch. */
  readonly ts: number
  /** The whole event as it came: `user`, `context`, `payload` and whatever else it carried. */
  readonly data: JsonObject
  /** What the user's recent events come to, where a rule that looks at them judges this one. */
  readonly windows?: RecentEvents
}

/** What the windows of one user come to at one event. */
export interface RecentEvents {
  /** By the id of the window's spec; NaN where there is no value. A length of time is in ms, true is 1. */
  value(windowId: string): number
}
