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
}
