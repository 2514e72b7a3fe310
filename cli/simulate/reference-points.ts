interface Gift {
  /** In the rule's zone, ms. */
  readonly local: number
  readonly points: number
  readonly isLate: boolean
}

export type WindowName = 'm' | 'h' | 'd'

const SIZES: Readonly<Record<WindowName, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 }

/** What each player was given by each rule, all of it: every question is answered by adding up. */
export class PointsGiven {
  readonly #gifts = new Map<string, Gift[]>()

  add(of: string, gift: Gift): void {
    const gifts = this.#gifts.get(of)
    if (gifts === undefined) this.#gifts.set(of, [gift])
    else gifts.push(gift)
  }

  /** Points in the minute, hour or day of `local`. */
  within(of: string, window: WindowName, local: number): number {
    return this.#sum(of, window, local, () => true)
  }

  /**
   * As a late event finds it: minutes and hours of before are forgotten, but for what the fullest of the day was given in
   * time. So much this one may have been given; and what came late to it.
   */
  atMost(of: string, window: WindowName, local: number): number {
    if (window === 'd') return this.within(of, 'd', local)
    return this.fullest(of, window, local) + this.#sum(of, window, local, ({ isLate }) => isLate)
  }

  /** The most that a minute or an hour of the day of `local` was given in time. */
  fullest(of: string, window: WindowName, local: number): number {
    const inTime = ({ isLate }: Gift): boolean => !isLate
    const day = this.#of(of).filter((gift) => Math.floor(gift.local / SIZES.d) === Math.floor(local / SIZES.d))
    return Math.max(0, ...day.map((gift) => this.#sum(of, window, gift.local, inTime)))
  }

  #sum(of: string, window: WindowName, local: number, counts: (gift: Gift) => boolean): number {
    const size = SIZES[window]
    return this.#of(of)
      .filter((gift) => Math.floor(gift.local / size) === Math.floor(local / size) && counts(gift))
      .reduce((sum, { points }) => sum + points, 0)
  }

  #of(of: string): readonly Gift[] {
    return this.#gifts.get(of) ?? []
  }
}
