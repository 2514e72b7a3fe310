import { heldKey } from '../state/stores.ts'
import type { Turn } from './operator.ts'

/** A turn of the strict lane with its place in the order. */
export interface Waiting {
  readonly turn: Turn
  readonly key: string
  /** Its key as bytes: the order on disk. */
  readonly bytes: Buffer
  /** It was held by a former batch. */
  readonly isHeld: boolean
}

/**
 * What of the strict lane waits in one batch, in order: the first events that are held on disk, and those that joined in
 * the batch. Nothing may overtake what is held and was not read, so the order is the same whatever a batch reads.
 */
export class Pending {
  /** Ascending from #next on. */
  readonly #held: readonly Waiting[]
  #next = 0
  /** A heap: the least is first. */
  readonly #joined: Waiting[] = []
  readonly #unread: { readonly bytes: Buffer; readonly ts: number } | undefined

  /** `unread`: the first held event that was not read although its turn may come. */
  constructor(held: readonly Turn[], unread: { readonly key: string; readonly ts: number } | undefined) {
    this.#held = held.map((turn) => waiting(turn, true))
    this.#unread = unread === undefined ? undefined : { bytes: Buffer.from(unread.key), ts: unread.ts }
  }

  /** An event of this batch joins. */
  join(turn: Turn): void {
    const heap = this.#joined
    const added = waiting(turn, false)
    let at = heap.length
    heap.push(added)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || Buffer.compare(above.bytes, added.bytes) <= 0) break
      heap[at] = above
      at = parent
    }
    heap[at] = added
  }

  /** The first in order, where nothing unread comes before it. */
  first(): Waiting | undefined {
    const first = this.#first()
    if (first === undefined || this.#unread === undefined) return first
    return Buffer.compare(first.bytes, this.#unread.bytes) < 0 ? first : undefined
  }

  /** Nothing waits: so it is for most events of most rules. */
  get isEmpty(): boolean {
    return this.#joined.length === 0 && this.#next >= this.#held.length && this.#unread === undefined
  }

  /** True where something waits below `horizon`, ms, read or not. */
  hasBelow(horizon: number): boolean {
    if (this.#unread !== undefined && this.#unread.ts < horizon) return true
    const first = this.#first()
    return first !== undefined && first.turn.event.ts < horizon
  }

  /** Takes out what `first` answered. */
  takeFirst(): void {
    const held = this.#held[this.#next]
    if (held !== undefined && held === this.#first()) this.#next++
    else this.#pop()
  }

  /** What joined and still waits, in no particular order. */
  get joined(): readonly Waiting[] {
    return this.#joined
  }

  #first(): Waiting | undefined {
    const held = this.#held[this.#next]
    const joined = this.#joined[0]
    if (held === undefined || joined === undefined) return held ?? joined
    return Buffer.compare(held.bytes, joined.bytes) <= 0 ? held : joined
  }

  #pop(): void {
    const heap = this.#joined
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]]
      if (left === undefined) break
      const isRight = right !== undefined && Buffer.compare(right.bytes, left.bytes) < 0
      const child = isRight ? right : left
      if (Buffer.compare(child.bytes, last.bytes) >= 0) break
      heap[at] = child
      at = 2 * at + (isRight ? 2 : 1)
    }
    heap[at] = last
  }
}

function waiting(turn: Turn, isHeld: boolean): Waiting {
  const key = heldKey(turn.event.ts, turn.event.eventId)
  return { turn, key, bytes: Buffer.from(key), isHeld }
}
