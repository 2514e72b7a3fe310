import type { Environment } from './environment.ts'

/** An event that waits. Its text never changes: the gateway compares what comes again under an id with what came first. */
export interface Entry {
  /** In storage; keys sort by the age of their page, then by the order in which it tracked. */
  readonly key: string
  readonly text: string
  /** In UTF-8. */
  readonly bytes: number
  stored: boolean
  /** A beacon has taken it: it is probably there, and only an answer makes that sure. */
  beaconed: boolean
}

export interface QueueOptions {
  /** Tells the queues of one origin apart. */
  readonly name: string
  /** What storage says where it does not work; once, until it works again. */
  failed(message: string): void
  /** Events of other pages were taken over. */
  adopted(): void
}

/** How long after a page has seen events of another one it looks again whether that is still there. */
const ADOPT_AGAIN_MS = 10_000

const SEQUENCE_DIGITS = 10

/** A time and a UUID: what is under our prefix and has none belongs to another client, whose name begins as ours. */
const OWNER = /^\w+-[\w-]{36}$/

/**
 * The events of one client that no answer has settled yet, oldest first, mirrored in storage: a key for each event, so that
 * tracking writes one small value and two pages never write the same one.
 *
 * Each page writes under an owner of its own and holds the lock of that name while it lives. Events whose owner's lock is
 * free are of a page that is gone: whoever gets the lock sends them, and removes each once it is settled. Nothing is moved,
 * so there is no moment at which a crash loses one. Where there are no locks two pages may send the same event, which
 * the gateway sees by its id.
 */
export class Queue {
  readonly entries: Entry[] = []
  readonly #environment: Environment
  readonly #prefix: string
  readonly #options: QueueOptions
  #owner = ''
  #sequence = 0
  /** Others can see by the lock that this page lives, or may see that it is gone: what is tracked is stored at once. */
  #saves = false
  #failing = false
  /** Owner → what lets go of its lock. */
  #held = new Map<string, () => void>()
  #stopAdopting = (): void => {}

  constructor(environment: Environment, options: QueueOptions) {
    this.#environment = environment
    this.#prefix = `${options.name}|`
    this.#options = options
  }

  /** Takes an own lock, then what pages that are gone have left; such a page may have been this one, before it slept. */
  async attach(): Promise<void> {
    this.#keep(({ stored }) => !stored)
    this.#saves = false
    // A time has eight digits to the base of 36 until 2059, so that text sorts as numbers do.
    const owner = `${this.#environment.now().toString(36)}-${this.#environment.uuid()}`
    this.#owner = owner
    const held = (this.#held = new Map())
    const release = await this.#lock(owner)
    if (held !== this.#held) return release?.()
    held.set(owner, release ?? (() => {}))
    this.#saves = true
    this.save()
    await this.adopt()
  }

  /**
   * Lets others have what is stored: the page goes, or sleeps in the back-forward cache, which a lock that is held would keep
   * it out of. What is tracked from here on is stored at once.
   */
  detach(): void {
    this.#saves = true
    this.#stopAdopting()
    for (const release of this.#held.values()) release()
    this.#held = new Map()
  }

  add(text: string): void {
    const key = this.#prefix + this.#owner + String(this.#sequence++).padStart(SEQUENCE_DIGITS, '0')
    this.entries.push({ key, text, bytes: bytesOf(text), stored: false, beaconed: false })
    if (this.#saves) this.save()
  }

  /** Takes out what is settled; by key, because a page that slept may have adopted the same event from itself. */
  remove(settled: readonly Entry[]): void {
    const keys = new Set(settled.map(({ key }) => key))
    this.#keep(({ key }) => !keys.has(key))
    for (const { key, stored } of settled) {
      if (stored) this.#try((storage) => storage.removeItem(key))
    }
  }

  /** Stores what is not stored yet. */
  save(): void {
    for (const entry of this.entries) {
      entry.stored ||= this.#try((storage) => storage.setItem(entry.key, entry.text))
      if (!entry.stored) return
    }
  }

  /** Takes over the events of pages that are gone. */
  async adopt(): Promise<void> {
    this.#stopAdopting()
    const held = this.#held
    const others = [...new Set(this.#keys(this.#prefix).map((key) => this.#ownerOf(key)))].filter(
      (owner) => owner !== this.#owner && OWNER.test(owner),
    )
    for (const owner of others) {
      const release = held.has(owner) ? undefined : await this.#lock(owner)
      if (held !== this.#held) return release?.()
      if (release) held.set(owner, release)
      if (held.has(owner)) this.#take(owner)
    }
    if (others.length > 0) {
      this.#stopAdopting()
      this.#stopAdopting = this.#environment.after(ADOPT_AGAIN_MS, () => void this.adopt())
    }
    this.#options.adopted()
  }

  #take(owner: string): void {
    const known = new Set(this.entries.map(({ key }) => key))
    for (const key of this.#keys(this.#prefix + owner)) {
      this.#try((storage) => {
        const text = known.has(key) ? undefined : storage.getItem(key)
        if (text) this.entries.push({ key, text, bytes: bytesOf(text), stored: true, beaconed: false })
      })
    }
    this.entries.sort((one, other) => (one.key < other.key ? -1 : 1))
  }

  #keys(prefix: string): string[] {
    const keys: string[] = []
    this.#try((storage) => {
      for (let index = 0; index < storage.length; index++) {
        const key = storage.key(index)
        if (key?.startsWith(prefix)) keys.push(key)
      }
    })
    return keys
  }

  #ownerOf(key: string): string {
    return key.slice(this.#prefix.length, -SEQUENCE_DIGITS)
  }

  #keep(wanted: (entry: Entry) => boolean): void {
    this.entries.splice(0, this.entries.length, ...this.entries.filter(wanted))
  }

  /** The lock of `owner`, unless another page has it: what comes back lets go of it. Without locks everything is free. */
  #lock(owner: string): Promise<(() => void) | undefined> {
    return new Promise((resolve) => {
      const free = (): void => resolve(() => {})
      const { locks } = this.#environment
      if (!locks) return free()
      const held = (lock: unknown): Promise<void> | undefined => {
        if (lock) return new Promise((release) => resolve(release))
        resolve(undefined)
        return undefined
      }
      Promise.resolve()
        .then(() => locks.request(this.#prefix + owner, { ifAvailable: true }, held))
        .catch(free)
    })
  }

  #try(work: (storage: NonNullable<Environment['storage']>) => void): boolean {
    const { storage } = this.#environment
    if (!storage) return false
    try {
      work(storage)
      this.#failing = false
      return true
    } catch (error) {
      if (!this.#failing) {
        this.#failing = true
        this.#options.failed(String(error))
      }
      return false
    }
  }
}

export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length
}

/** The events from `from` on that fit into one body, at least one where there is one. */
export function nextBatch(
  entries: readonly Entry[],
  limits: { readonly count: number; readonly bytes: number },
): Entry[] {
  const batch: Entry[] = []
  // Two brackets; a comma behind each.
  let bytes = 2
  for (const entry of entries) {
    bytes += entry.bytes + 1
    if (batch.length > 0 && (batch.length >= limits.count || bytes > limits.bytes)) break
    batch.push(entry)
  }
  return batch
}

export function bodyOf(batch: readonly Entry[]): string {
  return `[${batch.map(({ text }) => text).join(',')}]`
}
