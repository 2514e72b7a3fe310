import type { PlayerEvent } from '../core/model/event.ts'

/** Whether the event's player is in a segment at the event's own time; undefined where that is unknown. */
export type Membership = (event: PlayerEvent) => boolean | undefined

/** By name. */
export type Segments = ReadonlyMap<string, Membership>
