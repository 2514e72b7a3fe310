import type { Random } from '../../core/random.ts'

/** Draws from the one source of chance that a run has. */
export class Chance {
  readonly random: Random

  constructor(random: Random) {
    this.random = random
  }

  /** A whole number, both ends inclusive. */
  between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1))
  }

  /** True with a probability of `share` (0 to 1). */
  is(share: number): boolean {
    return this.random() < share
  }

  /** One of at least one. */
  pick<T>(of: readonly [T, ...T[]]): T
  pick<T>(of: readonly T[]): T | undefined
  pick<T>(of: readonly T[]): T | undefined {
    return of[Math.floor(this.random() * of.length)]
  }

  shuffled<T>(of: readonly T[]): T[] {
    return of
      .map((value) => ({ value, draw: this.random() }))
      .sort((a, b) => a.draw - b.draw)
      .map(({ value }) => value)
  }
}
