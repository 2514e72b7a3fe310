import { EventClient } from './client.ts'
import { type Environment, type Fetch, type QueueStorage, surroundings } from './environment.ts'
import type { EventPayloads } from './events.ts'
import type { Client, ClientOptions } from './options.ts'

export type { Environment, Fetch, QueueStorage } from './environment.ts'
export type * from './events.ts'
export type {
  Client,
  ClientError,
  ClientOptions,
  Rejection,
  RejectionReason,
  TrackArguments,
  TrackedEvent,
  TrackOptions,
} from './options.ts'

/** What a client may be given in place of what the browser or Node has. */
export interface Replacements {
  /** Where events wait. A Node process keeps them in memory unless it is given one: `fileStorage` of `onceward/sdk/node`. */
  readonly storage?: QueueStorage | undefined
  readonly fetch?: Fetch | undefined
  /** The whole world of the client, for tests. */
  readonly environment?: Environment | undefined
}

/**
 * A client for the events of one page or process. It takes events at once, and sends them in batches until each is answered.
 * `Own` names event types beside those of the schemas: `createClient<{ level_up: { level: number } }>({ … })`.
 */
export function createClient<Own extends object = object>(
  options: ClientOptions & Replacements,
): Client<EventPayloads & Own> {
  const { storage, fetch, environment = surroundings(), ...rest } = options
  const world = { ...environment, ...(storage && { storage }), ...(fetch && { fetch }) }
  return new EventClient(rest, world) as unknown as Client<EventPayloads & Own>
}
