/** What the model gives an HTTP request for an answer. */
export interface ModelAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

interface SentEvent {
  readonly event_id: string
  readonly event_name: string
  readonly payload: { readonly reject?: boolean }
}

/**
 * The gateway's HTTP contract, as far as a client sees it: validates nothing but `payload.reject`, and remembers every event
 * by its id, so that a repeat gets the same answer and stands on the bus once. A repeat with other content is a conflict.
 */
export class GatewayModel {
  /** Ids, in the order in which they came first. */
  readonly bus: string[] = []
  /** How often each id was sent. */
  readonly seen = new Map<string, number>()
  readonly conflicts: string[] = []
  readonly refused = new Set<string>()
  /** What a request may have. */
  eventsMax = 500
  bytesMax = 1_000_000
  readonly #texts = new Map<string, string>()
  readonly #key: string

  constructor(key: string) {
    this.#key = key
  }

  take(request: {
    readonly authorization: string | undefined
    readonly url: string
    readonly body: string
  }): ModelAnswer {
    const key = new URL(request.url, 'http://gateway.invalid').searchParams.get('key')
    if (request.authorization !== `Bearer ${this.#key}` && key !== this.#key) return failure(401, 'UNAUTHENTICATED')
    if (Buffer.byteLength(request.body) > this.bytesMax) return failure(413, 'TOO_LARGE')
    const events = idsOf(request.body) === undefined ? undefined : (JSON.parse(request.body) as SentEvent[])
    if (events === undefined) return failure(400, 'REQUEST_MALFORMED')
    if (events.length > this.eventsMax) return failure(413, 'TOO_LARGE')
    const answers = events.map((event) => this.#one(event))
    const rejected = answers.filter(({ status }) => status === 'rejected')
    const conflicts = rejected.filter((answer) => 'reason' in answer && answer.reason === 'conflict')
    const none = rejected.length === answers.length ? (conflicts.length === rejected.length ? 409 : 422) : 202
    const body = { accepted: answers.length - rejected.length, rejected: rejected.length, events: answers }
    return { status: none, headers: {}, body: JSON.stringify(body) }
  }

  #one(event: SentEvent): { status: string; event_id: string; reason?: string; detail?: string } {
    const { event_id } = event
    const text = JSON.stringify(event)
    this.seen.set(event_id, (this.seen.get(event_id) ?? 0) + 1)
    const before = this.#texts.get(event_id)
    if (before !== undefined && before !== text) {
      this.conflicts.push(event_id)
      return { status: 'rejected', event_id, reason: 'conflict', detail: 'other content' }
    }
    this.#texts.set(event_id, text)
    if (event.payload.reject === true) {
      this.refused.add(event_id)
      return { status: 'rejected', event_id, reason: 'schema', detail: 'as asked' }
    }
    if (before === undefined) this.bus.push(event_id)
    return { status: 'accepted', event_id }
  }
}

/** Of the events in a body; undefined where it is not JSON. */
export function idsOf(body: string): string[] | undefined {
  try {
    return (JSON.parse(body) as SentEvent[]).map(({ event_id }) => event_id)
  } catch {
    return undefined
  }
}

export function failure(status: number, code: string, headers: Readonly<Record<string, string>> = {}): ModelAnswer {
  return { status, headers, body: JSON.stringify({ error: { code: `ONCEWARD_E_${code}`, message: `${code} it is` } }) }
}
