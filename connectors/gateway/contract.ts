/** What the server and its OpenAPI document both say. */

export const PATHS = {
  events: '/v1/events',
  webhooks: '/v1/webhooks/:provider',
  openapi: '/openapi.json',
  healthz: '/healthz',
  readyz: '/readyz',
} as const

/** Events of one request, inclusive. */
export const EVENTS_MAX = 500
/**
 * What a body may call itself. `text/plain` is there for a browser's sendBeacon, which may send nothing else to another
 * origin without asking first.
 */
export const MEDIA_TYPES = ['application/json', 'text/plain'] as const
/** Levels of lists and objects in a body; an event itself may have 32. Deeper bodies are refused before they are parsed. */
export const DEPTH_MAX = 64

export const KEY_HEADER = 'x-api-key'
export const KEY_PARAMETER = 'key'
/** Answers carry it: the id under which a request stands in the audit log. */
export const REQUEST_ID_HEADER = 'x-request-id'
/** Stands on an answer that was given before. */
export const REPLAY_HEADER = 'idempotent-replay'

export const SCOPES = ['events:write', 'dlq:read', 'dlq:write'] as const
export type Scope = (typeof SCOPES)[number]

/** Every status that a path can answer with, beside those of every server (see `ANY_STATUSES`). */
export const STATUSES = {
  events: [202, 400, 401, 403, 409, 413, 415, 422, 429, 500, 503],
  webhooks: [202, 400, 401, 409, 413, 415, 422, 429, 500, 503],
  openapi: [200],
  healthz: [200, 503],
  readyz: [200, 503],
} as const satisfies Record<keyof typeof PATHS, readonly number[]>

/** What is answered before it is known which path is meant: no HTTP, an unknown path or method, too slow, headers too large. */
export const ANY_STATUSES = [400, 404, 405, 408, 417, 431] as const
