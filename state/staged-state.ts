import { assert, InvariantError } from '../core/assert.ts'
import { DAY_MS } from '../core/durations.ts'
import type { KvOp, OrderedKv } from '../core/ports/ordered-kv.ts'
import {
  decodeSeenChunk,
  decodeSeenTime,
  encodeSeenChunk,
  encodeSeenTime,
  hourOf,
  hourOfChunkKey,
  type SeenEntry,
  seenChunkKey,
  seenIndexKey,
} from './seen-ids.ts'
import { SeenFilter } from './seen-filter.ts'
import { prefixRange, type Store } from './store.ts'
import { HELD, type HeldEvent, heldKey, parseHeldKey, SEEN_CHUNK_PREFIX, TIMERS } from './stores.ts'

/** A change to the keyed state: what the changelog carries. A null value deletes. */
export interface Change {
  readonly key: Buffer
  readonly value: Buffer | null
}

export interface StagedStateOptions {
  /** How long an event id is remembered, ms of event time. */
  readonly dedupeWindowMs?: number
  /** Most decoded values kept in memory between batches. */
  readonly cachedValuesMax?: number
  /**
   * Every decoded value stays in memory for good and none is encoded: for a run that ends with its process. Held events
   * and remembered ids are written as ever. Only for a store that is empty at first.
   */
  readonly resident?: boolean
}

export interface Held {
  readonly key: string
  readonly value: HeldEvent
}

/** An instant, ms, at which time alone changes something for a player. */
export interface Timer {
  readonly at: number
  readonly userId: string
}

/** How many held events are read at once. */
export interface HeldBound {
  readonly events: number
  /** On disk. */
  readonly bytes: number
}

interface Entry {
  readonly store: Store<unknown>
  value: unknown
  /** The batch that asked for it last: a read of a key that was not asked for is a bug. */
  batch: number
  dirty: boolean
}

/** Decoded values kept in each of two generations: for one partition, and for all of a worker's together. */
const CACHED_VALUES_MAX = 4_000
const CACHED_VALUES_MAX_IN_ALL = 16_000

/** The share of one partition, where a worker may be given as many. */
export function cachedValuesFor(partitions: number): number {
  return Math.min(CACHED_VALUES_MAX, Math.ceil(CACHED_VALUES_MAX_IN_ALL / partitions))
}

/** How many expired chunks of ids one batch drops at most; one batch adds one or two, so this keeps up. */
const CHUNKS_DROPPED_MAX = 8

/**
 * One partition's state as a batch sees it. Phases of a batch, in order:
 * ask… → load (one getMany) → get/put/… synchronously → changes/indexOps (for the commit) → settled (after the commit).
 * Values may be changed in place once `put`. After a failed commit the whole object is thrown away.
 */
export class StagedState {
  readonly #kv: OrderedKv
  readonly #dedupeWindowMs: number
  readonly #cachedValuesMax: number
  readonly #resident: boolean
  /** Two generations: what was not touched for a whole generation is forgotten. */
  #young = new Map<string, Entry>()
  #old = new Map<string, Entry>()
  #batch = 0
  #missing: Entry[] = []
  #missingKeys: Buffer[] = []
  #dirty: [string, Entry][] = []
  #lastKey: string | undefined
  #lastEntry: Entry | undefined
  /** Event time of the ids asked for in this batch: from the store, or remembered in this batch. */
  #seen = new Map<string, number | undefined>()
  #remembered: SeenEntry[] = []
  /** Made with the first batch. */
  #seenFilter: SeenFilter | undefined
  /** Held events staged in this batch; they may be large, and are read from disk alone, so none is cached. */
  readonly #held = new Map<string, HeldEvent | undefined>()
  /** Timers staged in this batch: set or dropped. Read from disk alone, as held events are. */
  readonly #timers = new Map<string, boolean>()
  #expired: { readonly key: Buffer; readonly hashes: readonly string[] }[] = []

  constructor(kv: OrderedKv, options: StagedStateOptions = {}) {
    this.#kv = kv
    this.#dedupeWindowMs = options.dedupeWindowMs ?? DAY_MS
    this.#resident = options.resident ?? false
    this.#cachedValuesMax = this.#resident ? Number.POSITIVE_INFINITY : (options.cachedValuesMax ?? CACHED_VALUES_MAX)
  }

  /** Begins a batch. */
  begin(): void {
    const staged = this.#dirty.length + this.#held.size + this.#timers.size
    assert(staged === 0, 'a batch begins with nothing staged')
    this.#batch++
    this.#seen.clear()
    this.#remembered = []
    this.#expired = []
  }

  /** Announces that the batch will read or write `key` of `store`. */
  ask<V>(store: Store<V>, key: string): void {
    const name = store.prefix + key
    let entry = this.#young.get(name)
    if (entry === undefined) {
      entry = this.#old.get(name)
      if (entry === undefined) {
        entry = { store, value: undefined, batch: this.#batch, dirty: false }
        if (!this.#resident) {
          this.#missing.push(entry)
          this.#missingKeys.push(Buffer.from(name))
        }
      }
      this.#young.set(name, entry)
    }
    entry.batch = this.#batch
  }

  /** Announces that the batch will look up an event id. */
  askSeen(hash: string): void {
    this.#seen.set(hash, undefined)
  }

  /** Reads all that was asked for, in one call. */
  async load(): Promise<void> {
    await this.#read(await this.#maybeSeen())
  }

  /** Reads what was asked for since. Ids are not looked up again: those remembered meanwhile are not on disk yet. */
  async loadMore(): Promise<void> {
    if (this.#missing.length > 0) await this.#read([])
  }

  async #read(hashes: readonly string[]): Promise<void> {
    const missing = this.#missing
    const keys = this.#missingKeys
    for (const hash of hashes) keys.push(seenIndexKey(hash))
    this.#missing = []
    this.#missingKeys = []
    const values = await this.#kv.getMany(keys)
    for (let i = 0; i < missing.length; i++) {
      const bytes = values[i]
      const entry = missing[i]
      if (bytes !== undefined && entry !== undefined) entry.value = entry.store.decode(bytes)
    }
    for (let i = 0; i < hashes.length; i++) {
      const bytes = values[missing.length + i]
      const hash = hashes[i]
      if (bytes !== undefined && hash !== undefined) this.#seen.set(hash, decodeSeenTime(bytes))
    }
  }

  /** How long an event id is remembered, ms of event time. */
  get dedupeWindowMs(): number {
    return this.#dedupeWindowMs
  }

  get<V>(store: Store<V>, key: string): V | undefined {
    return this.#entry(store, key).value as V | undefined
  }

  /** Also to be called after changing a value in place. */
  put<V>(store: Store<V>, key: string, value: V): void {
    this.#stage(store, key, value)
  }

  delete<V>(store: Store<V>, key: string): void {
    this.#stage(store, key, undefined)
  }

  /** True where the id is remembered: its event time is at most the dedupe window behind `watermark`. */
  isRemembered(hash: string, watermark: number): boolean {
    assert(this.#seen.has(hash), 'an event id is looked up only if the batch asked for it')
    const ts = this.#seen.get(hash)
    return ts !== undefined && ts >= watermark - this.#dedupeWindowMs
  }

  remember(hash: string, ts: number): void {
    this.#seen.set(hash, ts)
    this.#seenFilter?.add(hash)
    this.#remembered.push({ hash, ts })
  }

  /** Holds an event until `release`. Neither needs to be asked for, since no held event is read by its key. */
  hold(key: string, event: HeldEvent): void {
    this.#held.set(key, event)
  }

  release(key: string): void {
    this.#held.set(key, undefined)
  }

  /**
   * Held events with an event time below `before`, in order, within `bound` (but one at least); and the key of the first
   * that lies beyond the bound. Read from disk, not from what this batch staged.
   */
  async heldBefore(before: number, bound: HeldBound): Promise<{ found: Held[]; next: string | undefined }> {
    const found: Held[] = []
    let bytes = 0
    const range = { gte: prefixRange(HELD.prefix).gte, lt: Buffer.from(HELD.prefix + heldKey(before, '')) }
    for await (const [name, value] of this.#kv.range(range)) {
      const key = name.toString().slice(HELD.prefix.length)
      bytes += value.length
      const full = found.length >= bound.events || bytes > bound.bytes
      if (full && found.length > 0) return { found, next: key }
      found.push({ key, value: HELD.decode(value) })
    }
    return { found, next: undefined }
  }

  /** The key of the first held event on disk. */
  async firstHeld(): Promise<string | undefined> {
    for await (const [key] of this.#kv.range({ ...prefixRange(HELD.prefix), limit: 1 })) {
      return key.toString().slice(HELD.prefix.length)
    }
    return undefined
  }

  /** Sets a timer, or drops one. Neither needs to be asked for. */
  setTimer({ at, userId }: Timer, isSet: boolean): void {
    this.#timers.set(heldKey(at, userId), isSet)
  }

  /** Timers at or before `until`, in order, at most `most`; and the time of the next one after those. Read from disk. */
  async timersUntil(until: number, most: number): Promise<{ due: Timer[]; next: number | undefined }> {
    const due: Timer[] = []
    const range = { gte: prefixRange(TIMERS.prefix).gte, lt: Buffer.from(TIMERS.prefix + heldKey(until + 1, '')) }
    for await (const [name] of this.#kv.range({ ...range, limit: most + 1 })) {
      const { ts: at, eventId: userId } = parseHeldKey(name.toString().slice(TIMERS.prefix.length))
      if (due.length === most) return { due, next: at }
      due.push({ at, userId })
    }
    return { due, next: undefined }
  }

  /** The time of the first timer on disk. */
  async firstTimer(): Promise<number | undefined> {
    for await (const [key] of this.#kv.range({ ...prefixRange(TIMERS.prefix), limit: 1 })) {
      return parseHeldKey(key.toString().slice(TIMERS.prefix.length)).ts
    }
    return undefined
  }

  /** Drops segments of ids that are wholly past the dedupe window at `watermark`; some now, the rest in later batches. */
  async expireSeen(watermark: number): Promise<{ more: boolean }> {
    const lastHour = hourOf(watermark - this.#dedupeWindowMs) - 1
    const range = {
      gte: prefixRange(SEEN_CHUNK_PREFIX).gte,
      lt: seenChunkKey(lastHour + 1, 0),
      limit: CHUNKS_DROPPED_MAX,
    }
    for await (const [key, value] of this.#kv.range(range)) {
      const hour = hourOfChunkKey(key)
      const entries = decodeSeenChunk(hour, value)
      const times = await this.#kv.getMany(entries.map(({ hash }) => seenIndexKey(hash)))
      const hashes = entries.filter((entry, i) => isTimeOf(entry, times[i])).map(({ hash }) => hash)
      this.#expired.push({ key, hashes })
    }
    return { more: this.#expired.length === CHUNKS_DROPPED_MAX }
  }

  /** The changes of the batch, for the changelog and the store. `sequence` is unique to the batch in its partition. */
  changes(sequence: number): Change[] {
    const dirty = this.#resident ? [] : this.#dirty
    const changes: Change[] = dirty.map(([name, { store, value }]) => ({
      key: Buffer.from(name),
      value: value === undefined ? null : store.encode(value),
    }))
    for (const [key, event] of this.#held) {
      changes.push({ key: Buffer.from(HELD.prefix + key), value: event === undefined ? null : HELD.encode(event) })
    }
    for (const [key, isSet] of this.#timers) {
      changes.push({ key: Buffer.from(TIMERS.prefix + key), value: isSet ? TIMERS.encode(1) : null })
    }
    for (const [hour, entries] of byHour(this.#remembered)) {
      changes.push({ key: seenChunkKey(hour, sequence), value: encodeSeenChunk(hour, entries) })
    }
    for (const { key } of this.#expired) changes.push({ key, value: null })
    return changes
  }

  /** The batch's changes to the index of ids, for the store alone. */
  indexOps(): KvOp[] {
    const ops: KvOp[] = []
    for (const { hashes } of this.#expired) {
      for (const hash of hashes) {
        // An id forgotten and seen again in this very batch stays: the put below comes later in the write.
        ops.push({ type: 'del', key: seenIndexKey(hash) })
      }
    }
    for (const { hash, ts } of this.#remembered) {
      ops.push({ type: 'put', key: seenIndexKey(hash), value: encodeSeenTime(ts) })
    }
    return ops
  }

  /** The commit and the write are done: what was staged is now the state. */
  settled(): void {
    for (const [, entry] of this.#dirty) entry.dirty = false
    this.#dirty = []
    this.#held.clear()
    this.#timers.clear()
    if (this.#young.size >= this.#cachedValuesMax) {
      this.#old = this.#young
      this.#young = new Map()
    }
  }

  /** Of the ids asked for, those that the store may have. The store has all that was remembered before this batch. */
  async #maybeSeen(): Promise<string[]> {
    if (this.#seen.size === 0) return []
    if (this.#seenFilter === undefined || this.#seenFilter.isFull) this.#seenFilter = await SeenFilter.read(this.#kv)
    const found: string[] = []
    for (const hash of this.#seen.keys()) if (this.#seenFilter.mayHave(hash)) found.push(hash)
    return found
  }

  #entry<V>(store: Store<V>, key: string): Entry {
    // Mostly a value is read and then put: the second look-up needs no hash of the key.
    const last = this.#lastEntry
    if (last !== undefined && this.#lastKey === key && last.store === store && last.batch === this.#batch) return last
    const entry = this.#young.get(store.prefix + key)
    // Not `assert`: its message would be built for every read.
    if (entry === undefined || entry.batch !== this.#batch) {
      throw new InvariantError(`${store.name} "${key}" is read but the batch did not ask for it`)
    }
    this.#lastKey = key
    this.#lastEntry = entry
    return entry
  }

  #stage<V>(store: Store<V>, key: string, value: V | undefined): void {
    const entry = this.#entry(store, key)
    entry.value = value
    if (!entry.dirty) {
      entry.dirty = true
      this.#dirty.push([store.prefix + key, entry])
    }
  }
}

function byHour(entries: readonly SeenEntry[]): Map<number, SeenEntry[]> {
  const hours = new Map<number, SeenEntry[]>()
  for (const entry of entries) {
    const hour = hourOf(entry.ts)
    const segment = hours.get(hour)
    if (segment === undefined) hours.set(hour, [entry])
    else segment.push(entry)
  }
  return hours
}

function isTimeOf(entry: SeenEntry, stored: Buffer | undefined): boolean {
  return stored !== undefined && decodeSeenTime(stored) === entry.ts
}
