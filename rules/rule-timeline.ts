import type { CompiledRule, RuleSwitch, RuleVersion } from './compiled.ts'
import { BUCKETS } from './hash.ts'
import { bucketsOf, variantsOf } from './rollout.ts'

export type RuleStatus = 'active' | 'paused' | 'retired'

/** A version in effect for the buckets of its rollout from `from` on, below `below`. */
export interface Share {
  readonly version: RuleVersion
  readonly from: number
  readonly below: number
}

/** One rule through event time: its versions and what was said of it since. Immutable. */
export class RuleTimeline {
  /** By the instant from which they are in effect; of two at one instant the later published one is last. */
  readonly versions: readonly RuleVersion[]
  /** The event times at which something changes; -Infinity is none of them. */
  readonly instants: readonly number[]
  readonly #switches: readonly RuleSwitch[]

  /** Both in the order of publication. */
  constructor(versions: readonly RuleVersion[], switches: readonly RuleSwitch[]) {
    this.versions = versions.toSorted((a, b) => compareInstants(startOf(a), startOf(b)))
    this.#switches = switches.toSorted((a, b) => a.from - b.from)
    const instants = [...versions.map(startOf), ...switches.map(({ from }) => from)]
    this.instants = [...new Set(instants)].filter(Number.isFinite).sort((a, b) => a - b)
  }

  /** A rule that is retired stays so. */
  statusAt(instant: number): RuleStatus {
    let status: RuleStatus = 'active'
    for (const { kind } of this.#until(instant)) {
      if (kind === 'retired') return 'retired'
      if (kind !== 'ramped') status = kind === 'paused' ? 'paused' : 'active'
    }
    return status
  }

  /** Percent of the players that `version` is for: what was said last, or what its file says. */
  rolloutAt(version: RuleVersion, instant: number): number {
    let percent = version.rule.rollout ?? 100
    for (const change of this.#until(instant)) {
      if (change.kind === 'ramped' && change.version === version.rule.version) percent = change.rollout
    }
    return percent
  }

  /**
   * The versions in effect, each with the players that it is for, the newest first: whom a rollout does not take in stays
   * with the version before. Says nothing of a pause.
   */
  sharesAt(instant: number): readonly Share[] {
    const shares: Share[] = []
    let from = 0
    for (const version of this.versions.toReversed()) {
      if (startOf(version) > instant) continue
      const below = Math.max(from, bucketsOf(this.rolloutAt(version, instant)))
      if (below > from) shares.push({ version, from, below })
      from = below
      if (from === BUCKETS) break
    }
    return shares
  }

  /** The rules that judge events named `eventName` at `instant`; at most one of them matches for any player. */
  rulesAt(eventName: string, instant: number): readonly CompiledRule[] {
    if (this.statusAt(instant) !== 'active') return []
    return this.sharesAt(instant)
      .filter(({ version }) => version.rule.eventNames.includes(eventName))
      .flatMap((share) => variantsOf(share.version.rule, share))
  }

  /**
   * As runs of versions that replace each other, for what depends on which version is in effect for anybody at all: its
   * windows go on counting while it is paused, and end with the rule.
   */
  presences(): readonly (readonly RuleVersion[])[] {
    const plain = this.#switches.length === 0 && this.versions.every(({ rule }) => (rule.rollout ?? 100) === 100)
    return plain ? [this.versions] : this.versions.map((version) => this.#presence(version))
  }

  #presence(version: RuleVersion): readonly RuleVersion[] {
    const runs: RuleVersion[] = []
    let present = false
    for (const instant of [Number.NEGATIVE_INFINITY, ...this.instants]) {
      const now = this.statusAt(instant) !== 'retired' && this.#mayBeFor(version, instant)
      if (now === present) continue
      present = now
      runs.push(now ? this.#begin(version, instant, runs.length === 0) : ended(version, instant))
    }
    return runs
  }

  /**
   * In effect, and not wholly replaced. What share it has does not matter, none included: a step of its rollout that is
   * published later must not say that its windows had been counting all along.
   */
  #mayBeFor(version: RuleVersion, instant: number): boolean {
    for (const other of this.versions.toReversed()) {
      if (startOf(other) > instant) continue
      if (other === version) return true
      if (bucketsOf(this.rolloutAt(other, instant)) === BUCKETS) return false
    }
    return false
  }

  #begin(version: RuleVersion, instant: number, first: boolean): RuleVersion {
    const effectiveFrom = Number.isFinite(instant) ? instant : undefined
    return first ? { ...version, effectiveFrom } : { rule: version.rule, effectiveFrom, countsFrom: instant }
  }

  #until(instant: number): readonly RuleSwitch[] {
    return this.#switches.filter(({ from }) => from <= instant)
  }
}

/** From here on nothing is asked of the windows of `version`. */
function ended({ rule }: RuleVersion, instant: number): RuleVersion {
  const { windows: _, ...blind } = rule
  return { rule: blind, effectiveFrom: instant }
}

export function startOf({ effectiveFrom }: RuleVersion): number {
  return effectiveFrom ?? Number.NEGATIVE_INFINITY
}

/** Not a - b, which is NaN for two that are in effect since ever. */
function compareInstants(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1
}
