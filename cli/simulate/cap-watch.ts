import type { ReferenceRule } from './reference.ts'

export interface GivenPoints {
  readonly user: string
  readonly ruleId: string
  readonly points: number
  /** Event time, ms. */
  readonly time: number
}

interface Limits {
  readonly zoneMs: number
  readonly event: number
  readonly windows: readonly (readonly [sizeMs: number, cap: number])[]
}

/** Adds up what each user got in each calendar window, and says where it is more than the most generous version allows. */
export class CapWatch {
  readonly #rules: readonly ReferenceRule[]
  readonly #given = new Map<string, number>()

  constructor(rules: readonly ReferenceRule[]) {
    this.#rules = rules
  }

  /** A sentence where a cap is exceeded. */
  add({ user, ruleId, points, time }: GivenPoints): string | undefined {
    const limits = this.#limits(ruleId)
    if (limits === undefined) return `there is no rule ${ruleId}`
    if (points > limits.event)
      return `${user} got ${points} points from one event by ${ruleId}, at most ${limits.event}`
    for (const [sizeMs, cap] of limits.windows) {
      const window = `${user}|${ruleId}|${sizeMs}|${Math.floor((time + limits.zoneMs) / sizeMs)}`
      const sum = (this.#given.get(window) ?? 0) + points
      this.#given.set(window, sum)
      if (sum > cap) return `${user} got ${sum} points by ${ruleId} in a window of ${sizeMs} ms, at most ${cap}`
    }
    return undefined
  }

  #limits(ruleId: string): Limits | undefined {
    const versions = this.#rules.filter((rule) => rule.ruleId === ruleId)
    const [first] = versions
    if (first === undefined) return undefined
    const most = (name: 'event' | 'minute' | 'hour' | 'day'): number =>
      Math.max(...versions.map(({ caps }) => caps[name] ?? Number.POSITIVE_INFINITY))
    return {
      zoneMs: first.zoneMs,
      event: most('event'),
      windows: [
        [60_000, most('minute')],
        [3_600_000, most('hour')],
        [86_400_000, most('day')],
      ],
    }
  }
}
