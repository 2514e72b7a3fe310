import { createClient } from '../../sdk/index.ts'
import type { Environment, FetchAnswer, FetchInit, Locks, PageEvent, QueueStorage } from '../../sdk/environment.ts'
import type { Client, ClientError, ClientOptions, Rejection } from '../../sdk/options.ts'
import { seededRandom } from '../../core/random.ts'
import { GatewayModel, idsOf, type ModelAnswer } from './gateway-model.ts'

export const KEY = 'pk_test'

/** What the network does with one request. `lost`: before the gateway; `unheard`: behind it, the answer goes astray. */
export type Fate = 'through' | 'lost' | 'unheard' | 'hangs' | ModelAnswer

interface Timer {
  readonly due: number
  readonly page: Page | undefined
  readonly run: () => void
}

/** A browser with its pages, a network, and a gateway, in a time of its own. */
export class World {
  readonly gateway = new GatewayModel(KEY)
  readonly storage = new MapStorage()
  /** sessionStorage, of whichever tab. */
  session = new MapStorage()
  readonly locked = new Map<string, Page>()
  readonly pages: Page[] = []
  /** Each request that left a page: when, by whom, its ids. */
  readonly requests: { at: number; page: Page; ids: string[]; beacon: boolean }[] = []
  /** Asked for each request. */
  fate: (beacon: boolean) => Fate = () => 'through'
  latencyMs = 20
  hasLocks = true
  hasBeacon = true
  /** What becomes of an answer to a page that sleeps. */
  keepsAnswers = false
  /** Of beacons that are under way. */
  beaconBytesMax = 65_536
  readonly random
  /** Since the start; never jumps. */
  elapsed = 0
  /** What the wall clock shows at the start. */
  epoch = Date.parse('2025-11-01T12:00:00Z')
  #timers: Timer[] = []
  #uuids = 0

  constructor(seed = 1) {
    this.random = seededRandom(seed)
  }

  /** Opens a page with a client. */
  open(options: Partial<ClientOptions> = {}): Page {
    const page = new Page(this, options)
    this.pages.push(page)
    return page
  }

  uuid(): string {
    return `00000000-0000-4000-8000-${String(this.#uuids++).padStart(12, '0')}`
  }

  after(ms: number, run: () => void, page?: Page): () => void {
    const timer = { due: this.elapsed + ms, page, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  /** Lets `ms` pass: timers ring in order, promises settle in between. */
  async pass(ms: number): Promise<void> {
    const end = this.elapsed + ms
    await settled()
    for (;;) {
      const ready = this.#timers.filter(({ page }) => page?.state !== 'asleep')
      const next = ready.reduce<Timer | undefined>(
        (first, one) => (first && first.due <= one.due ? first : one),
        undefined,
      )
      if (!next || next.due > end) break
      this.elapsed = Math.max(this.elapsed, next.due)
      this.#timers = this.#timers.filter((one) => one !== next)
      next.run()
      await settled()
    }
    this.elapsed = end
  }

  /** Timers and locks of a page that is gone go with it. */
  forget(page: Page): void {
    this.#timers = this.#timers.filter((timer) => timer.page !== page)
    for (const [name, holder] of this.locked) if (holder === page) this.locked.delete(name)
  }

  /** Hands a body to the gateway in half the latency, and its answer to `answered` after the other half. */
  transmit(
    page: Page,
    body: string,
    request: { beacon: boolean; url: string; authorization?: string },
    answered: Answered,
  ): void {
    this.requests.push({ at: this.elapsed, page, ids: idsOf(body) ?? [], beacon: request.beacon })
    const fate = this.fate(request.beacon)
    const half = this.latencyMs / 2
    this.after(half, () => {
      const { url, authorization } = request
      const taken = fate === 'through' || fate === 'unheard'
      const answer = taken ? this.gateway.take({ url, authorization, body }) : fate
      if (fate === 'hangs') return
      this.after(half, () => answered(typeof answer === 'object' && fate !== 'unheard' ? answer : undefined))
    })
  }
}

type Answered = (answer: ModelAnswer | undefined) => void

/** A page, and what its client told. */
export class Page {
  state: 'alive' | 'asleep' | 'gone' = 'alive'
  goneAt = Infinity
  readonly accepted: string[] = []
  readonly rejected = new Map<string, Rejection>()
  readonly errors: ClientError[] = []
  readonly client: Client<{ test: { reject?: boolean; note?: unknown } }>
  readonly #world: World
  #listeners: ((what: PageEvent) => void)[] = []
  #beaconBytes = 0

  constructor(world: World, options: Partial<ClientOptions>) {
    this.#world = world
    this.client = createClient<{ test: { reject?: boolean; note?: unknown } }>({
      url: 'https://events.example',
      key: KEY,
      user: { id: 'u_1' },
      onAccepted: (events) => this.accepted.push(...events.map(({ event_id }) => event_id)),
      onRejected: (event, why) => this.rejected.set(event.event_id, why),
      onError: (error) => this.errors.push(error),
      ...options,
      environment: this.#environment(),
    })
  }

  track(payload: { reject?: boolean; note?: unknown } = {}): string {
    return this.client.track('test', payload)
  }

  happens(what: PageEvent): void {
    for (const listen of this.#listeners) listen(what)
  }

  /** Closed or reloaded: the events in the order in which Chromium has them. */
  close(): void {
    this.happens('left')
    this.happens('hidden')
    this.crash()
  }

  /** Gone without a word. */
  crash(): void {
    this.state = 'gone'
    this.goneAt = this.#world.elapsed
    this.#listeners = []
    this.#world.forget(this)
  }

  /** Into the back-forward cache. */
  sleep(): void {
    this.happens('left')
    this.happens('hidden')
    this.state = 'asleep'
  }

  wake(): void {
    this.state = 'alive'
    this.happens('back')
  }

  #environment(): Environment {
    const world = this.#world
    return {
      now: () => world.epoch + world.elapsed,
      random: () => world.random(),
      uuid: () => world.uuid(),
      after: (ms, run) => (this.state === 'gone' ? () => {} : world.after(ms, run, this)),
      fetch: (url, init) => this.#fetch(url, init),
      storage: this.#storage(),
      session: world.session,
      locks: world.hasLocks ? this.#locks() : undefined,
      beacon: world.hasBeacon ? (url, body) => this.#beacon(url, body) : undefined,
      onPage: (listen) => {
        this.#listeners.push(listen)
        return () => {
          this.#listeners = this.#listeners.filter((one) => one !== listen)
        }
      },
    }
  }

  /** The script of a page that is gone runs no more, so nothing that it does counts. */
  #storage(): QueueStorage {
    const { storage } = this.#world
    const alive = (): QueueStorage => (this.state === 'gone' ? new MapStorage() : storage)
    return {
      get length() {
        return alive().length
      },
      key: (index) => alive().key(index),
      getItem: (key) => alive().getItem(key),
      setItem: (key, value) => alive().setItem(key, value),
      removeItem: (key) => alive().removeItem(key),
    }
  }

  #fetch(url: string, init: FetchInit): Promise<FetchAnswer> {
    if (this.state === 'gone') return new Promise(() => {})
    return new Promise((resolve, reject) => {
      const fail = (reason: unknown): void =>
        reject(reason instanceof Error ? reason : new TypeError('Failed to fetch'))
      init.signal.addEventListener('abort', () => fail(init.signal.reason))
      const { authorization = '' } = init.headers
      this.#world.transmit(this, init.body, { beacon: false, url, authorization }, (answer) => {
        const hear = (): void => {
          if (answer === undefined) return fail(undefined)
          const headers = { get: (name: string) => answer.headers[name] ?? null }
          return resolve({ status: answer.status, headers, text: () => Promise.resolve(answer.body) })
        }
        if (this.state === 'alive') return hear()
        // A browser closes the connection of a page that sleeps, or keeps the answer until it wakes.
        return this.#world.after(0, this.#world.keepsAnswers ? hear : () => fail(undefined), this)
      })
    })
  }

  #beacon(url: string, body: string): boolean {
    const bytes = Buffer.byteLength(body)
    if (this.#beaconBytes + bytes > this.#world.beaconBytesMax) return false
    this.#beaconBytes += bytes
    this.#world.transmit(this, body, { beacon: true, url }, () => {
      this.#beaconBytes -= bytes
    })
    return true
  }

  #locks(): Locks {
    const { locked } = this.#world
    return {
      request: async (name, _options, held) => {
        await Promise.resolve()
        if (this.state === 'gone') return
        if (locked.has(name)) return held(null)
        locked.set(name, this)
        await held({ name })
        if (locked.get(name) === this) locked.delete(name)
      },
    }
  }
}

/** localStorage; `failing` is what each call throws. */
export class MapStorage implements QueueStorage {
  failing: Error | undefined
  readonly #values = new Map<string, string>()

  get length(): number {
    return this.#checked(this.#values.size)
  }

  key(index: number): string | null {
    return this.#checked([...this.#values.keys()][index] ?? null)
  }

  getItem(key: string): string | null {
    return this.#checked(this.#values.get(key) ?? null)
  }

  setItem(key: string, value: string): void {
    this.#checked(undefined)
    this.#values.set(key, value)
  }

  removeItem(key: string): void {
    this.#checked(undefined)
    this.#values.delete(key)
  }

  #checked<T>(value: T): T {
    if (this.failing !== undefined) throw this.failing
    return value
  }
}

/** Everything that is promised and needs no time has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
