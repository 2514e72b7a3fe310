import { backoffMs, decide, type EventAnswer, type Facts, type Outcome } from './delivery.ts'
import type { Environment } from './environment.ts'
import { EVENT_VERSIONS, type User } from './events.ts'
import {
  type ClientError,
  type ClientOptions,
  DEFAULTS,
  type Rejection,
  type RejectionReason,
  type TrackedEvent,
  type TrackOptions,
} from './options.ts'
import { bodyOf, bytesOf, type Entry, nextBatch, Queue } from './queue.ts'

const SESSION_KEY = 'onceward:session'

/**
 * What `createClient` gives (Client in options.ts), without the types of events.
 *
 * C1  an event leaves the queue only when it is settled: accepted or rejected by an answer, or told to `onRejected`
 * C2  one request at a time, oldest first: what failed goes again before what is younger
 * C3  an event goes again with the same bytes, so that whoever deduplicates by its id finds no difference
 * C4  what a beacon has taken is not settled: nobody tells what came of it. It stays queued, and the next answer settles it
 */
export class EventClient {
  readonly #environment: Environment
  readonly #options: ClientOptions & typeof DEFAULTS
  readonly #endpoint: string
  readonly #queue: Queue
  readonly #sessionId: string | undefined
  readonly #stopListening: () => void
  #user: User | undefined
  /**
   * `attaching`: it is not known yet what other pages left, which goes first. `waiting`: a request failed. `asked`: the
   * gateway has said until when to wait. `stopped`: it takes nothing from us.
   */
  #state: 'attaching' | 'idle' | 'sending' | 'waiting' | 'asked' | 'stopped' = 'attaching'
  #sending: readonly Entry[] = []
  #left = false
  #closed = false
  #failures = 0
  /** Less than the options say where the gateway found a request too large, or something in it malformed. */
  #batchBytes: number
  #batchEvents: number
  #cancelTimer: (() => void) | undefined
  #waiters: ((pending: number) => void)[] = []

  constructor(options: ClientOptions, environment: Environment) {
    const given = Object.entries(options).filter(([, value]) => value !== undefined)
    this.#options = { ...DEFAULTS, ...Object.fromEntries(given) } as ClientOptions & typeof DEFAULTS
    this.#environment = environment
    this.#endpoint = `${options.url.replace(/\/+$/, '')}/v1/events`
    this.#user = options.user
    this.#batchBytes = this.#options.batchBytes
    this.#batchEvents = this.#options.batchEvents
    this.#sessionId = this.#options.session ? this.#session() : undefined
    this.#queue = new Queue(environment, {
      name: `onceward:${options.name ?? options.url}`,
      failed: (message) => this.#tell({ code: 'storage', message: `events are kept in memory alone: ${message}` }),
      adopted: () => this.#queued(),
    })
    this.#stopListening = environment.onPage((what) => {
      if (what === 'online') this.#online()
      else if (what === 'back') this.#return()
      else this.#hide(what === 'left')
    })
    void this.#begin()
  }

  get pending(): number {
    return this.#queue.entries.length
  }

  track(name: string, payload: object = {}, { event_id, ts }: TrackOptions = {}): string {
    const id = event_id ?? this.#environment.uuid()
    const refuse = (reason: RejectionReason, detail: string): void =>
      this.#reject({ event_id: id, event_name: name, payload }, { reason, detail })
    try {
      if (this.#closed) refuse('closed', 'the client is closed')
      else if (!this.#user) refuse('no_user', 'nobody plays yet: give createClient a user, or call identify first')
      else {
        const context = { session_id: this.#sessionId, ...this.#options.context }
        const version = Object.hasOwn(EVENT_VERSIONS, name) ? EVENT_VERSIONS[name] : undefined
        const at = new Date(ts ?? this.#environment.now()).toISOString()
        const event = { event_id: id, event_name: name, version, ts: at, user: this.#user, context, payload }
        this.#add(JSON.stringify(event), refuse)
      }
    } catch (error) {
      refuse('unserializable', String(error))
    }
    return id
  }

  identify(user: User): void {
    this.#user = user
  }

  flush(): Promise<number> {
    const nothing = this.#state !== 'attaching' && this.pending === 0
    if (nothing || this.#closed || this.#state === 'stopped') return Promise.resolve(this.pending)
    const done = new Promise<number>((resolve) => this.#waiters.push(resolve))
    this.#hurry()
    return done
  }

  async close(): Promise<number> {
    if (this.#state !== 'asked') await this.flush()
    if (!this.#closed) {
      this.#closed = true
      this.#cancelTimer?.()
      this.#stopListening()
      this.#queue.detach()
      this.#passed()
      const lost = this.#queue.entries.filter(({ stored }) => !stored)
      for (const entry of lost)
        this.#drop(entry, { reason: 'closed', detail: 'the client was closed, and nothing keeps it' })
    }
    return this.pending
  }

  #add(text: string, refuse: (reason: RejectionReason, detail: string) => void): void {
    const bytes = bytesOf(text) + 2
    const most = this.#options.batchBytes
    if (bytes > most) return refuse('too_large', `${bytes} bytes are more than the ${most} of a request`)
    this.#queue.add(text)
    if (this.#left) this.#hide(true)
    this.#queued()
  }

  async #begin(): Promise<void> {
    await this.#queue.attach()
    this.#state = 'idle'
    if (this.#waiters.length > 0) void this.#send()
    else this.#queued()
  }

  /** Something may be there to send. */
  #queued(): void {
    const { entries } = this.#queue
    while (entries.length > this.#options.queueEvents) {
      const sent = new Set(this.#sending.map(({ key }) => key))
      const oldest = entries.find(({ key }) => !sent.has(key))
      if (!oldest) break
      this.#drop(oldest, { reason: 'overflow', detail: `more than ${this.#options.queueEvents} events were waiting` })
    }
    if (this.#state !== 'idle' || this.#closed || entries.length === 0) return
    const full = entries.length >= this.#options.batchEvents || this.#next(entries).length < entries.length
    if (full) void this.#send()
    else this.#cancelTimer ??= this.#environment.after(this.#options.flushMs, () => void this.#send())
  }

  #next(entries: readonly Entry[]): Entry[] {
    return nextBatch(entries, { count: this.#batchEvents, bytes: this.#batchBytes })
  }

  /** One pass: until nothing is queued, or a request failed. */
  async #send(): Promise<void> {
    if (this.#state !== 'idle' || this.#closed) return
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#state = 'sending'
    while (this.#sends() && this.pending > 0) {
      this.#sending = this.#next(this.#queue.entries)
      const facts = await this.#request(bodyOf(this.#sending))
      const batch = this.#sending
      this.#sending = []
      this.#carryOut(batch, decide(facts, batch.length, this.#environment.now()), 'failure' in facts)
    }
    if (this.#sends()) this.#state = 'idle'
    this.#passed()
  }

  #sends(): boolean {
    return this.#state === 'sending' && !this.#closed
  }

  #passed(): void {
    for (const done of this.#waiters.splice(0)) done(this.pending)
  }

  async #request(body: string): Promise<Facts> {
    const { key, timeoutMs } = this.#options
    const abort = new AbortController()
    const cancel = this.#environment.after(timeoutMs, () => abort.abort(new Error(`no answer within ${timeoutMs} ms`)))
    try {
      const answer = await this.#environment.fetch(this.#endpoint, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body,
        signal: abort.signal,
        credentials: 'omit',
        redirect: 'error',
      })
      return { status: answer.status, retryAfter: answer.headers.get('retry-after'), text: await answer.text() }
    } catch (error) {
      const { cause } = error as Error
      return { failure: cause instanceof Error ? `${String(error)}: ${cause.message}` : String(error) }
    } finally {
      cancel()
    }
  }

  #carryOut(batch: readonly Entry[], outcome: Outcome, unanswered: boolean): void {
    if (outcome.kind === 'retry') return this.#wait(outcome, unanswered)
    this.#failures = 0
    switch (outcome.kind) {
      case 'answered':
        this.#batchEvents = Math.min(this.#options.batchEvents, this.#batchEvents * 2)
        return this.#settle(batch, outcome.answers)
      case 'split':
        if (outcome.tooLarge) this.#batchBytes = bytesOf(bodyOf(batch)) / 2
        else this.#batchEvents = Math.ceil(batch.length / 2)
        return
      case 'refused':
        for (const entry of batch) this.#drop(entry, outcome)
        return
      case 'stop':
        this.#state = 'stopped'
        this.#tell({ code: 'refused', message: outcome.detail })
    }
  }

  #settle(batch: readonly Entry[], answers: readonly EventAnswer[]): void {
    this.#queue.remove(batch)
    const { onAccepted } = this.#options
    const accepted = batch.filter((_, index) => answers[index]?.status === 'accepted')
    if (onAccepted && accepted.length > 0) quietly(() => onAccepted(accepted.map(eventOf)))
    batch.forEach((entry, index) => {
      const { status, reason = 'schema', detail = '' } = answers[index] ?? {}
      if (status === 'rejected') this.#reject(eventOf(entry), { reason: reason as RejectionReason, detail })
    })
  }

  #wait({ detail, afterMs }: { detail: string; afterMs: number | undefined }, unanswered: boolean): void {
    const { retryMs, retryMsMax } = this.#options
    const random = this.#environment.random()
    this.#failures++
    // Those who were sent away together do not come back together.
    const retryInMs =
      afterMs === undefined ? backoffMs(this.#failures, random, retryMs, retryMsMax) : afterMs + random * retryMs
    this.#state = afterMs === undefined ? 'waiting' : 'asked'
    if (!this.#closed) this.#cancelTimer = this.#environment.after(retryInMs, () => this.#again())
    this.#tell({ code: unanswered ? 'unreachable' : 'unavailable', message: detail, retryInMs })
  }

  #again(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#state = 'idle'
    void this.#send()
  }

  /** Sends now, unless the gateway has asked to wait. */
  #hurry(): void {
    if (this.#state === 'waiting') this.#again()
    else void this.#send()
  }

  #online(): void {
    void this.#queue.adopt()
    if (this.pending > 0) this.#hurry()
  }

  #return(): void {
    this.#left = false
    void this.#queue.attach()
  }

  /** The page may be gone the next moment. A gateway that asked for patience, or refuses us, is not asked by beacon either. */
  #hide(left: boolean): void {
    this.#left ||= left
    this.#queue.save()
    if (this.#state !== 'asked' && this.#state !== 'stopped') while (this.#beacon()) continue
    if (left) this.#queue.detach()
  }

  /** Sends one request by beacon; false: nothing is left, or the browser takes no more. That waits in storage. */
  #beacon(): boolean {
    const { beacon } = this.#environment
    const url = `${this.#endpoint}?key=${encodeURIComponent(this.#options.key)}`
    const batch = this.#next(this.#queue.entries.filter(({ beaconed }) => !beaconed))
    // It throws where a policy of the page forbids it, and says no beyond 64 KiB that are under way.
    const taken = batch.length > 0 && quietly(() => beacon?.(url, bodyOf(batch))) === true
    if (taken) for (const entry of batch) entry.beaconed = true
    return taken
  }

  #drop(entry: Entry, why: Rejection): void {
    this.#queue.remove([entry])
    this.#reject(eventOf(entry), why)
  }

  #reject(event: Partial<TrackedEvent>, { reason, detail }: Rejection): void {
    quietly(() => this.#options.onRejected?.(event as TrackedEvent, { reason, detail }))
  }

  #tell(error: ClientError): void {
    quietly(() => this.#options.onError?.(error))
  }

  #session(): string {
    const { session } = this.#environment
    const id = quietly(() => session?.getItem(SESSION_KEY)) ?? this.#environment.uuid()
    quietly(() => session?.setItem(SESSION_KEY, id))
    return id
  }
}

function eventOf({ text }: Entry): TrackedEvent {
  return quietly(() => JSON.parse(text) as TrackedEvent) ?? ({} as TrackedEvent)
}

/** Nothing of ours or of a callback is thrown into the page. */
function quietly<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
