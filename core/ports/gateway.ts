import type { KeyObject } from 'node:crypto'
import type { JsonObject } from '../model/event.ts'

/** What the gateway's configuration says of who sends events, as far as taking them needs it. */
export interface EventSource {
  /** Of the file; stands in metrics, dead letters and the audit log. */
  readonly name: string
  readonly kind: 'key' | 'webhook'
  /** Event names that it may send; undefined: all. */
  readonly events: ReadonlySet<string> | undefined
  /**
   * False: a browser or an app, whose user can make it send anything. What it says of `user.geo`, `user.payer_flag`,
   * `user.risk_flags` and `context.ip` is then replaced by what the gateway knows, or dropped.
   */
  readonly trusted: boolean
  /**
   * Names of others. An `event_id` that begins with one of them and a colon is theirs, and is refused: whoever sends an id first has
   * it, so that anybody with a public key could keep out a provider's event by sending another one under its id before.
   */
  readonly reserved?: readonly string[]
  /** What of an event may pass beside the envelope's own fields and the payload. */
  readonly privacy: Privacy
  /** What it sends that is no event goes to the DLQ as well. */
  readonly deadLetters: boolean
}

export interface Privacy {
  /** Paths such as `context.session_id` that may pass; undefined: all that the schemas declare, and what else comes. */
  readonly pass: readonly string[] | undefined
  /** Paths whose text is replaced by a keyed hash (a link token), such as `context.ip`. */
  readonly hash: readonly string[]
  /** What the tokens are made with; needed where something is hashed. A KeyObject shows nothing of itself when it is printed. */
  readonly hashKey?: KeyObject | undefined
}

/** What is known of a request beside its body. */
export interface RequestFacts {
  /** The client's address, behind trusted proxies. */
  readonly ip: string
  readonly userAgent: string | undefined
  /** What a trusted CDN says of the country, ISO 3166-1 alpha-2; undefined: nothing. */
  readonly country: string | undefined
  /** Unix milliseconds. */
  readonly receivedAt: number
}

export type EventAnswer =
  | { readonly status: 'accepted'; readonly event_id: string }
  | {
      readonly status: 'rejected'
      readonly event_id?: string
      /** `schema`: no valid event. `forbidden`: this caller may not send it. `conflict`: the id came with other content. */
      readonly reason: 'schema' | 'forbidden' | 'conflict'
      /** A sentence. */
      readonly detail: string
    }

/**
 * Takes events for the bus. One call's events are answered together, in their order.
 *
 * G1  an event is answered `accepted` only once the bus has acknowledged it
 * G2  a call that rejects has put nothing on the bus, and nothing of it will ever be there
 * G3  whoever sends the same event again gets the same answer, and it stands on the bus once wherever that can be told
 */
export interface EventIntake {
  /**
   * Rejects with ONCEWARD_E_LOG_UNAVAILABLE where the bus is away or too much waits for it (nothing was sent), with
   * ONCEWARD_E_LOG_COMMIT_UNKNOWN where it was sent and nobody knows what came of it: then the caller must not be answered
   * at all, neither yes nor no.
   */
  take(request: {
    readonly source: EventSource
    readonly events: readonly unknown[]
    readonly facts: RequestFacts
    /** Of the same request, what is no event: dead letters with the reason `schema`, where the source has any. */
    readonly unmapped?: readonly { readonly detail: string; readonly event: JsonObject }[]
  }): Promise<readonly EventAnswer[]>
  /** Sets aside what came with a signature that does not hold: a dead letter with the reason `signature`. Bounded in rate. */
  setAside(letter: { readonly from: string; readonly detail: string; readonly raw: Buffer }): Promise<void>
  /** Bytes that wait for the bus, and whether it answers now. */
  state(): { readonly pendingBytes: number; readonly available: boolean }
  /** Sends what waits, then ends. Idempotent. */
  close(): Promise<void>
}

export interface StoredAnswer {
  readonly status: number
  /** JSON text, as it was sent. */
  readonly body: string
}

/**
 * What was answered to requests with an id of their own (webhooks), shared by all gateways of an installation as far as they
 * have heard of each other.
 */
export interface AnswerLog {
  /**
   * The answer that `id` got before, or `work`'s, which is kept. `content` is a hash of what came: another one under the same
   * id rejects with ONCEWARD_E_REQUEST_CONFLICT. Two calls at once do the work once. What rejects is not kept.
   */
  once(
    request: { readonly id: string; readonly content: string },
    work: () => Promise<StoredAnswer>,
  ): Promise<StoredAnswer & { readonly replayed: boolean }>
}

/** What one item of a provider's body came to. */
export type MappedEvent =
  | { readonly ok: true; readonly event: JsonObject }
  | {
      readonly ok: false
      /** A sentence: where in the body, what is missing or wrong there, and the place in the mapping that asks for it. */
      readonly detail: string
      /** What there was of an event: what a dead letter of it holds. */
      readonly event: JsonObject
    }

/**
 * How a provider's body becomes events (rules/mapping.ts). Pure; never throws. `ok: false` where nothing of the body can be
 * read. An item that cannot be mapped is one rejected event among the others, which are taken all the same.
 */
export type ProviderMapping = (
  body: JsonObject,
  facts: { readonly receivedAt: number; readonly requestId: string },
) => { readonly ok: true; readonly events: readonly MappedEvent[] } | { readonly ok: false; readonly detail: string }

/** How much one source may send. */
export interface SourceLimits {
  /** What its bucket gains. */
  readonly eventsPerSecond: number
  /** Events that its bucket holds. */
  readonly burst: number
  /** Events a second of one client address (IPv6: of its /64), with a burst of two seconds; undefined: as many as the source. */
  readonly perAddress?: number | undefined
  /** Of one request, after unpacking. */
  readonly bodyBytes: number
  /** Events of one request. */
  readonly batch: number
}

/** What a provider's request shows of who sends it. */
export interface WebhookFacts {
  /** The client's address, behind trusted proxies; IPv4 never in its mapped form. */
  readonly ip: string
  /**
   * `sha256:` and 64 lower-case hexadecimal digits, of a client certificate that one of the gateway's client authorities has
   * signed; undefined: none came, or nobody trusted has signed it.
   */
  readonly clientCertificate: string | undefined
  /** Name, value, name, value, … as they came: what stands twice is seen twice. */
  readonly rawHeaders: readonly string[]
  /** As it came over the wire, before anything was unpacked or read. */
  readonly body: Buffer
  /** Unix milliseconds. */
  readonly now: number
}

/** What did not hold. The caller is never told which. */
export type AdmissionProblem = 'address' | 'certificate' | 'signature' | 'timestamp' | 'request_id'

export type Admission =
  | {
      readonly ok: true
      /** Tells its requests apart for good, as the provider says it. */
      readonly requestId: string
      /**
       * Where nothing that is signed tells them apart (X-Signature signs neither the id nor the time): what the signature does
       * cover, which a captured call cannot change. Requests with the same one are the same call, under whatever id.
       */
      readonly contentId?: string
    }
  | {
      readonly ok: false
      readonly problem: AdmissionProblem
      /** A sentence for whoever runs the gateway; holds no secret and nothing that an attacker could write into a log. */
      readonly detail: string
    }

/** One that calls `POST /v1/webhooks/:provider`. */
export interface Provider {
  /** Of kind `webhook`; its name is the path's last part. */
  readonly source: EventSource
  readonly limits: SourceLimits
  /** Its clients show certificates: the gateway's TLS then asks for them. */
  readonly asksForCertificate: boolean
  /** Whether it may be the provider's as far as its connection tells: the address, the certificate. Asked before a body is read. */
  mayCall(facts: Pick<WebhookFacts, 'ip' | 'clientCertificate'>): boolean
  /** Whether a request is the provider's own. Never throws, and takes as long for every signature that does not hold. */
  admit(facts: WebhookFacts): Admission
  /** The events of a body that was admitted. Never throws. */
  readonly map: ProviderMapping
}
