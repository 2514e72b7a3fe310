import type { Clock } from './clock.ts'
import { type Bucket, type BucketSize, takeTokens } from './token-bucket.ts'

/** A bucket for each of many callers, in bounded memory: where there are too many, the one that took longest ago is forgotten. */
export class Limiter {
  readonly #buckets = new Map<string, Bucket>()
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #callersMax: number

  constructor(clock: Pick<Clock, 'monotonic'>, callersMax: number) {
    this.#clock = clock
    this.#callersMax = callersMax
  }

  /** Takes `amount` from the caller's bucket. Answers 0, or the ms after which it would be there. */
  take(caller: string, size: BucketSize, amount: number): number {
    const taking = takeTokens(this.#buckets.get(caller), size, amount, this.#clock.monotonic())
    if (!taking.taken) return taking.waitMs
    this.#buckets.delete(caller)
    this.#buckets.set(caller, taking.bucket)
    if (this.#buckets.size > this.#callersMax) {
      const [oldest] = this.#buckets.keys()
      if (oldest !== undefined) this.#buckets.delete(oldest)
    }
    return 0
  }

  /** Whether one token is there, without taking it. Answers 0, or the ms after which it would be. */
  look(caller: string, size: BucketSize): number {
    const taking = takeTokens(this.#buckets.get(caller), size, 1, this.#clock.monotonic())
    return taking.taken ? 0 : taking.waitMs
  }
}
