import { assert } from '../../core/assert.ts'

/** Words of 32 bits by which an entry is found. */
const KEY_WORDS = 4
/** Above it, a search would pass too many others. */
const LOAD_MAX = 0.8

/** Of a random number each process has its own, so that nobody outside can choose ids that all lie in one place. */
export interface TableSeed {
  readonly first: number
  readonly second: number
}

/**
 * A set of 16-byte hashes, each with some words of its own, in one typed array: millions of small objects would be most of the
 * collector's work. Open addressing; holds at most `entries`, and nothing is ever taken out.
 */
export class HashTable {
  readonly #words: Uint32Array
  readonly #stride: number
  readonly #slots: number
  readonly #entriesMax: number
  readonly #seed: TableSeed
  #size = 0

  constructor(options: { readonly entries: number; readonly valueWords: number; readonly seed: TableSeed }) {
    this.#entriesMax = options.entries
    this.#slots = Math.ceil(options.entries / LOAD_MAX) + 1
    this.#stride = KEY_WORDS + options.valueWords
    this.#words = new Uint32Array(this.#slots * this.#stride)
    this.#seed = options.seed
  }

  get size(): number {
    return this.#size
  }

  get full(): boolean {
    return this.#size >= this.#entriesMax
  }

  get bytes(): number {
    return this.#words.byteLength
  }

  /** Where the values of the entry begin whose key stands in `from` at `at`; -1: it is not here. */
  find(from: Buffer, at: number): number {
    const slot = this.#search(from, at)
    return this.#isFree(slot) ? -1 : slot * this.#stride + KEY_WORDS
  }

  /** One word of the values that `find` found. */
  value(index: number): number {
    return this.#words[index] ?? 0
  }

  /** Puts an entry in, key and values as they stand in `from` at `at`; one that is there stays as it is. */
  add(from: Buffer, at: number): void {
    const slot = this.#search(from, at)
    if (!this.#isFree(slot)) return
    assert(!this.full, `a hash table holds at most ${this.#entriesMax} entries`)
    const start = slot * this.#stride
    for (let word = 0; word < this.#stride; word++) this.#words[start + word] = wordAt(from, at, word)
    this.#size++
  }

  /** The slot that holds the key, or the free one where it would be. */
  #search(from: Buffer, at: number): number {
    const words = this.#words
    const stride = this.#stride
    const [a, b, c, d] = [wordAt(from, at, 0), wordAt(from, at, 1), wordAt(from, at, 2), wordAt(from, at, 3)]
    let slot = this.#home(a, b, c)
    for (;;) {
      const start = slot * stride
      if (words[start] === 0) return slot
      if (words[start] === a && words[start + 1] === b && words[start + 2] === c && words[start + 3] === d) return slot
      if (++slot === this.#slots) slot = 0
    }
  }

  #home(a: number, b: number, c: number): number {
    let mixed = Math.imul(a ^ this.#seed.first, 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13) ^ b, this.#seed.second | 1)
    mixed = Math.imul(mixed ^ (mixed >>> 16) ^ c, 0xc2b2ae35)
    mixed ^= mixed >>> 15
    return (mixed >>> 0) % this.#slots
  }

  #isFree(slot: number): boolean {
    return this.#words[slot * this.#stride] === 0
  }
}

/** The first word of an entry is never 0, which marks a free slot. */
function wordAt(from: Buffer, at: number, word: number): number {
  const value = from.readUInt32LE(at + word * 4)
  return word === 0 && value === 0 ? 1 : value
}
