import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'

interface Timer {
  readonly due: number
  /** Drawn from the seed: who goes first of those that are due at the same time. */
  readonly draw: number
  fire: (() => void) | undefined
}

/**
 * Time that moves only when it is told to: from one sleeper to the next. Between two of them everything that can run has
 * run, so that the order of all that happens follows from the seed alone.
 */
export class VirtualClock implements Clock {
  readonly #startMs: number
  readonly #random: Random
  /** A binary heap, the next timer first. */
  readonly #timers: Timer[] = []
  #elapsedMs = 0

  constructor(startMs: number, random: Random) {
    this.#startMs = startMs
    this.#random = random
  }

  now(): number {
    return this.#startMs + this.#elapsedMs
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const timer: Timer = { due: this.#elapsedMs + Math.max(0, Math.ceil(ms)), draw: this.#random(), fire: undefined }
      const aborted = (): void => {
        timer.fire = undefined
        resolve()
      }
      timer.fire = () => {
        signal?.removeEventListener('abort', aborted)
        resolve()
      }
      signal?.addEventListener('abort', aborted, { once: true })
      this.#push(timer)
    })
  }

  /** Moves on to the next sleeper and wakes it; false where nobody sleeps. */
  advance(): boolean {
    for (let timer = this.#pop(); timer !== undefined; timer = this.#pop()) {
      const { fire } = timer
      if (fire === undefined) continue
      this.#elapsedMs = timer.due
      timer.fire = undefined
      fire()
      return true
    }
    return false
  }

  #push(timer: Timer): void {
    const heap = this.#timers
    let at = heap.push(timer) - 1
    while (at > 0) {
      const parent = (at - 1) >>> 1
      const other = heap[parent]
      if (other === undefined || !isBefore(timer, other)) break
      heap[at] = other
      at = parent
    }
    heap[at] = timer
  }

  #pop(): Timer | undefined {
    const heap = this.#timers
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      let least = heap[child]
      const right = heap[child + 1]
      if (least === undefined) break
      if (right !== undefined && isBefore(right, least)) {
        least = right
        child += 1
      }
      if (!isBefore(least, last)) break
      heap[at] = least
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.due === b.due ? a.draw < b.draw : a.due < b.due
}
