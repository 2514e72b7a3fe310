import type { JsonObject, PlayerEvent } from '../core/model/event.ts'
import type { Stratum } from '../core/model/experiment.ts'
import type { CompiledRule } from './compiled.ts'
import { BUCKETS, bucketOf } from './hash.ts'

/** A part of the players under one seed: those of the buckets from `from` on, below `below`. */
export interface BucketRange {
  readonly seed: string
  readonly from: number
  readonly below: number
}

/** What divides players in a rollout; all versions of a rule share it, so that a player once in stays in. */
export function rolloutSeed(ruleId: string): string {
  return `rollout:${ruleId}`
}

/** The buckets that a rollout of `percent` takes in, from 0 on: one that grows keeps whom it has. */
export function bucketsOf(percent: number): number {
  return Math.round((percent * BUCKETS) / 100)
}

interface WeightedArms {
  readonly seed: string
  readonly variants: readonly { readonly weight: number }[]
}

/** The buckets of each arm, in the order of the arms: as many as its part of the weights. */
export function armRanges({ seed, variants }: WeightedArms): readonly BucketRange[] {
  const total = variants.reduce((sum, { weight }) => sum + weight, 0)
  let weights = 0
  let from = 0
  return variants.map(({ weight }) => {
    weights += weight
    const below = Math.round((weights / total) * BUCKETS)
    const range = { seed, from, below }
    from = below
    return range
  })
}

/**
 * A rule as it is judged where only the buckets `from` to `below` of its rollout have it: one rule for each arm, of which
 * at most one matches for any player.
 */
export function variantsOf(rule: CompiledRule, { from, below }: Omit<BucketRange, 'seed'>): readonly CompiledRule[] {
  const rollout = from === 0 && below === BUCKETS ? [] : [{ seed: rolloutSeed(rule.ruleId), from, below }]
  const { arms } = rule
  if (arms === undefined) return [rule].map((only) => onlyFor(only, rollout))
  const ranges = armRanges(arms)
  return arms.variants.map((arm, i) => onlyFor(arm.rule, [...rollout, ...ranges.slice(i, i + 1)]))
}

function onlyFor(rule: CompiledRule, ranges: readonly BucketRange[]): CompiledRule {
  if (ranges.length === 0) return rule
  const admits = ({ userId }: PlayerEvent): boolean => ranges.every((range) => isIn(range, userId))
  // The filters first: most events fail them, and a hash costs more.
  return {
    ...rule,
    matches: (event) => rule.matches(event) && admits(event),
    ...(rule.windows === undefined
      ? {}
      : { mayMatch: (event: PlayerEvent) => (rule.mayMatch?.(event) ?? true) && admits(event) }),
  }
}

export function isIn({ seed, from, below }: BucketRange, userId: string): boolean {
  const bucket = bucketOf(seed, userId)
  return bucket >= from && bucket < below
}

/**
 * What experiments are analysed by, as the event tells it. It is no part of the hash: a player who pays for the first time
 * would change arms.
 */
export function stratumOf({ data }: PlayerEvent): Stratum {
  const { payer_flag: payer, geo, platform } = isObject(data['user']) ? data['user'] : {}
  return {
    payer: typeof payer === 'boolean' ? payer : null,
    geo: typeof geo === 'string' ? geo : null,
    platform: typeof platform === 'string' ? platform : null,
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
