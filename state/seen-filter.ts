import type { OrderedKv } from '../core/ports/ordered-kv.ts'
import { countOfChunk, hashesOfChunk } from './seen-ids.ts'
import { prefixRange } from './store.ts'
import { SEEN_CHUNK_PREFIX } from './stores.ts'

/** A block is what one id touches: 256 bits, half of a cache line. */
const BLOCK_BITS = 256
const BLOCK_WORDS = BLOCK_BITS / 32
/** With five bits an id, fewer than one in a hundred ids that were never added are taken for known. */
const BITS_PER_ID = 12
/** 128 KiB: room for 87,000 ids. */
const BLOCKS_MIN = 2 ** 12
/** 64 MiB: room for 45 million ids of one partition; with more it answers `true` too often, and is never wrong. */
const BLOCKS_MAX = 2 ** 21

/**
 * Tells which event ids a partition cannot have seen, so that the store is asked about the others alone: nearly every id
 * is new, and looking for what is not there is what costs most. A Bloom filter: `false` is certain, `true` is not.
 * Ids are never taken out; the filter is made anew once it is full, and then knows the living ones alone.
 */
export class SeenFilter {
  readonly #words: Uint32Array
  readonly #blockMask: number
  #room: number

  /** With room for `ids`, between the bounds above. */
  constructor(ids: number) {
    let blocks = BLOCKS_MIN
    while (blocks < BLOCKS_MAX && blocks * BLOCK_BITS < ids * BITS_PER_ID) blocks *= 2
    this.#words = new Uint32Array(blocks * BLOCK_WORDS)
    this.#blockMask = blocks - 1
    this.#room = Math.floor((blocks * BLOCK_BITS) / BITS_PER_ID)
  }

  /** Of the ids that the store remembers, with room for as many again. */
  static async read(kv: OrderedKv): Promise<SeenFilter> {
    let ids = 0
    for await (const [, chunk] of kv.range(prefixRange(SEEN_CHUNK_PREFIX))) ids += countOfChunk(chunk)
    const filter = new SeenFilter(2 * ids)
    // Read again and not kept: five million ids are a hundred megabytes.
    for await (const [, chunk] of kv.range(prefixRange(SEEN_CHUNK_PREFIX))) {
      for (const hash of hashesOfChunk(chunk)) filter.add(hash)
    }
    return filter
  }

  /** No room is left. Never so at the greatest size: making it anew would not help. */
  get isFull(): boolean {
    return this.#room <= 0 && this.#blockMask < BLOCKS_MAX - 1
  }

  add(hash: string): void {
    const base = this.#baseOf(hash)
    for (let i = 4; i < 9; i++) {
      const bit = hash.charCodeAt(i)
      const word = base + (bit >>> 5)
      this.#words[word] = (this.#words[word] ?? 0) | (1 << (bit & 31))
    }
    this.#room--
  }

  /** `false` where `hash` was never added. */
  mayHave(hash: string): boolean {
    const base = this.#baseOf(hash)
    for (let i = 4; i < 9; i++) {
      const bit = hash.charCodeAt(i)
      if (((this.#words[base + (bit >>> 5)] ?? 0) & (1 << (bit & 31))) === 0) return false
    }
    return true
  }

  /** The hash is SHA-256's: its bytes are as good as any that could be drawn from it. */
  #baseOf(hash: string): number {
    const first =
      hash.charCodeAt(0) | (hash.charCodeAt(1) << 8) | (hash.charCodeAt(2) << 16) | (hash.charCodeAt(3) << 24)
    return (first & this.#blockMask) * BLOCK_WORDS
  }
}
