/** So many at once, and so many a second from then on. Time comes from the caller, in monotonic milliseconds. */
export class TokenBucket {
  readonly #burst: number
  readonly #perMs: number
  #tokens: number
  #filledAt: number

  constructor(options: { readonly burst: number; readonly perSecond: number; readonly now: number }) {
    this.#burst = options.burst
    this.#perMs = options.perSecond / 1_000
    this.#tokens = options.burst
    this.#filledAt = options.now
  }

  take(now: number): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, now - this.#filledAt) * this.#perMs)
    this.#filledAt = Math.max(this.#filledAt, now)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
