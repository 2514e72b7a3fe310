import type { Context, EventPayloads, User } from './events.ts'

/** An event as it goes to the gateway. */
export interface TrackedEvent {
  readonly event_id: string
  readonly event_name: string
  /** RFC 3339, when it was tracked. */
  readonly ts: string
  readonly version?: string
  readonly user: User
  readonly context?: Context
  readonly payload: object
}

/**
 * Why an event will never arrive. By the gateway: `schema`, `forbidden`, `conflict`, `malformed`, `too_large`. By the client:
 * `too_large` (more than a body may have), `unserializable` (a cycle, a BigInt, …), `no_user` (nobody was named yet),
 * `overflow` (the queue was full, and it was the oldest), `closed`.
 */
export type RejectionReason =
  | 'schema'
  | 'forbidden'
  | 'conflict'
  | 'malformed'
  | 'too_large'
  | 'unserializable'
  | 'no_user'
  | 'overflow'
  | 'closed'

export interface Rejection {
  readonly reason: RejectionReason
  /** A sentence. */
  readonly detail: string
}

/** What is wrong while nothing is lost. */
export interface ClientError {
  /**
   * `unreachable`: no answer, it is tried again. `unavailable`: the gateway cannot take events now, it is tried again.
   * `refused`: the gateway takes nothing from this client (key, address); what is queued stays, the next page tries again.
   * `storage`: events are kept in memory alone.
   */
  readonly code: 'unreachable' | 'unavailable' | 'refused' | 'storage'
  readonly message: string
  /** When it is tried again. */
  readonly retryInMs?: number
}

export interface ClientOptions {
  /** Where the gateway is, such as `https://events.example`; `/v1/events` is put behind it. */
  readonly url: string
  /** An API key. Whatever stands in a page is read by anybody: give pages a key that the gateway knows as public. */
  readonly key: string
  /** Who plays. Without, events are refused until `identify`. */
  readonly user?: User | undefined
  /** Goes with each event, such as `device_fp`. */
  readonly context?: Context | undefined
  /** False: no `context.session_id`. Otherwise one for each tab, until it is closed. */
  readonly session?: boolean | undefined
  /** Tells the queues of one origin apart. By default the URL. */
  readonly name?: string | undefined
  /** Events in one request, 1 to 500. 50 by default. */
  readonly batchEvents?: number | undefined
  /** Bytes in one request. 60,000 by default: browsers let a page that closes send 64 KiB. */
  readonly batchBytes?: number | undefined
  /** How long an event waits for others. 2,000 by default. */
  readonly flushMs?: number | undefined
  /** How many events wait at most; the oldest one gives way. 1,000 by default. */
  readonly queueEvents?: number | undefined
  /** When a request without an answer counts as failed. 15,000 by default. */
  readonly timeoutMs?: number | undefined
  /** The first wait after a failure, doubled with each further one up to `retryMsMax`. 1,000 and 60,000 by default. */
  readonly retryMs?: number | undefined
  readonly retryMsMax?: number | undefined
  /** These events are on the bus. */
  readonly onAccepted?: ((events: readonly TrackedEvent[]) => void) | undefined
  /** This event will never arrive. What is thrown in any of the three is dropped. */
  readonly onRejected?: ((event: TrackedEvent, why: Rejection) => void) | undefined
  readonly onError?: ((error: ClientError) => void) | undefined
}

export interface TrackOptions {
  /** An id that the event has already, such as that of the round; the same id is counted once. */
  readonly event_id?: string | undefined
  /** When it happened; now by default. */
  readonly ts?: Date | string | undefined
}

/** The payload may be left out where the event needs none. */
export type TrackArguments<Payload> =
  Partial<Payload> extends Payload
    ? [payload?: Payload, options?: TrackOptions]
    : [payload: Payload, options?: TrackOptions]

export interface Client<Events extends object = EventPayloads> {
  /** Queues an event and gives its id. Never throws: what is wrong is told to `onRejected`. */
  track<Name extends keyof Events & string>(name: Name, ...rest: TrackArguments<Events[Name]>): string
  /** Names who plays from here on; what was tracked before stays with whom it was tracked for. */
  identify(user: User): void
  /**
   * Sends what is queued, at once unless the gateway has asked to wait. Resolves with how many events are still queued: 0
   * once each was answered, more where a request failed; those are tried again. Never rejects.
   */
  flush(): Promise<number>
  /** Flushes once and ends: timers, listeners and locks go, what is left waits in storage for the next client. */
  close(): Promise<number>
  /** Events that no answer has settled yet. */
  readonly pending: number
}

export const DEFAULTS = {
  session: true,
  batchEvents: 50,
  batchBytes: 60_000,
  flushMs: 2000,
  queueEvents: 1000,
  timeoutMs: 15_000,
  retryMs: 1000,
  retryMsMax: 60_000,
}
