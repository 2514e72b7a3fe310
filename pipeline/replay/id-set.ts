import { idHash } from '../../state/seen-ids.ts'

const SLOTS_MIN = 1 << 10

/**
 * A set of texts by 64 bits of their SHA-256, 8 bytes each in open addressing: 16 bytes an id on average where a Set of
 * strings takes a hundred. Two of ten million ids are taken for one with a probability of 3 in a million.
 */
export class IdSet {
  #slots = new Uint32Array(2 * SLOTS_MIN)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** True where it was not there before. */
  add(id: string): boolean {
    // At most half full, so that a search meets a free slot soon.
    if (4 * (this.#size + 1) > this.#slots.length) this.#grow()
    const [high, low] = bitsOf(id)
    if (!insert(this.#slots, high, low)) return false
    this.#size++
    return true
  }

  has(id: string): boolean {
    const [high, low] = bitsOf(id)
    return this.#slots[slotOf(this.#slots, high, low)] !== 0
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(2 * old.length)
    for (let at = 0; at < old.length; at += 2) {
      const high = old[at] ?? 0
      if (high !== 0) insert(this.#slots, high, old[at + 1] ?? 0)
    }
  }
}

/** The first half is never 0, which marks a free slot. */
function bitsOf(id: string): [high: number, low: number] {
  const hash = idHash(id)
  const word = (at: number): number =>
    ((hash.charCodeAt(at) << 24) |
      (hash.charCodeAt(at + 1) << 16) |
      (hash.charCodeAt(at + 2) << 8) |
      hash.charCodeAt(at + 3)) >>>
    0
  return [word(0) || 1, word(4)]
}

/** Where the pair stands, or the free slot where it would. */
function slotOf(slots: Uint32Array, high: number, low: number): number {
  const mask = slots.length - 2
  let at = (low * 2) & mask
  while (slots[at] !== 0 && (slots[at] !== high || slots[at + 1] !== low)) at = (at + 2) & mask
  return at
}

function insert(slots: Uint32Array, high: number, low: number): boolean {
  const at = slotOf(slots, high, low)
  if (slots[at] !== 0) return false
  slots[at] = high
  slots[at + 1] = low
  return true
}
