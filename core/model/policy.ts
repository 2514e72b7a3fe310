import type { Cents } from '../money.ts'

/**
 * The payout policy: what money there is and whom it may go to. Declared in one YAML file, published on the control topic
 * like rules, in versions that take effect at an event time. Plain data; rules/policy-file.ts reads it, core/cost.ts and
 * the gates use it.
 */
export interface PayoutPolicy {
  /** `meta.version`; empty for the policy that holds before any is published. */
  readonly version: string
  /** The currency of budgets and costs, ISO 4217; undefined: costs are taken as they come. */
  readonly currency: string | undefined
  /** By pool id. */
  readonly pools: ReadonlyMap<string, PoolPolicy>
  /** True: a pool that is not declared holds its rewards; false where no policy was ever published. */
  readonly closedWorld: boolean
  /** What one unit of a reward costs, the most specific match first. */
  readonly catalogue: readonly UnitCost[]
  /** By date, newest first. */
  readonly rates: readonly ExchangeRate[]
  readonly kyc: KycPolicy
  /** From this cost on a prize is large: KYC, soft cap and breaker look at it. A pool may say otherwise. */
  readonly largePrize: Cents | undefined
  /** From this cost on a prize is always reviewed. A pool may say otherwise. */
  readonly reviewFrom: Cents | undefined
  /** From this cost on a review takes two people. */
  readonly fourEyesFrom: Cents | undefined
}

export interface PoolPolicy {
  readonly poolId: string
  /** Hard cap of one period. */
  readonly budget: Cents
  readonly softCap: Cents | undefined
  readonly period: 'all' | 'daily' | 'weekly' | 'monthly'
  readonly timeZone: string
  /** Event times, ms, from (inclusive) and until (exclusive) which rewards may be taken from it. */
  readonly from: number | undefined
  readonly until: number | undefined
  /** Countries, ISO 3166 alpha-2; undefined: all. */
  readonly geo: readonly string[] | undefined
  /** What becomes of a reward that the budget does not cover. */
  readonly whenClosed: 'hold' | 'dlq'
  /** Percent of the budget from which on large prizes are held; 90 unless said otherwise. */
  readonly breakerPercent: number
  readonly largePrize: Cents | undefined
  readonly reviewFrom: Cents | undefined
}

/** `match`: attributes of the reward, `type` among them, that must be equal. */
export interface UnitCost {
  readonly match: Readonly<Record<string, string | number | boolean>>
  /** Millionths of the policy's currency for one unit, or for the reward where it has no amount. */
  readonly micros: bigint
}

/** One unit of `currency` is `micros` millionths of the policy's currency from `from` (ms, inclusive) on. */
export interface ExchangeRate {
  readonly currency: string
  readonly from: number
  readonly micros: bigint
}

export interface KycPolicy {
  /** Least level by reward type. */
  readonly byType: ReadonlyMap<string, number>
  /** For types that are not listed. */
  readonly other: number
  readonly largePrize: number
  /** What counts for a player whose level nobody has told. */
  readonly unknown: number
}

/** SPEC S7: 2 for cash and large prizes, 1 for free spins; whose level is not known has none. */
export const KYC_DEFAULTS: KycPolicy = {
  byType: new Map([
    ['cash', 2],
    ['bonus_cash', 2],
    ['fs', 1],
    ['free_spins', 1],
  ]),
  other: 0,
  largePrize: 2,
  unknown: 0,
}

/** What holds where no policy was published: no pool is bounded, every gate by player is there. */
export const NO_POLICY: PayoutPolicy = {
  version: '',
  currency: undefined,
  pools: new Map(),
  closedWorld: false,
  catalogue: [],
  rates: [],
  kyc: KYC_DEFAULTS,
  largePrize: undefined,
  reviewFrom: undefined,
  fourEyesFrom: undefined,
}

/** The policy through event time. */
export interface PolicyTimeline {
  /** The newest in effect at event time `ts`, ms; NO_POLICY before the first. */
  at(ts: number): PolicyVersion
  readonly versions: readonly PolicyVersion[]
}

export interface PolicyVersion {
  readonly policy: PayoutPolicy
  /** Event time, ms; undefined: since ever. */
  readonly effectiveFrom: number | undefined
}

export const NO_POLICIES: PolicyTimeline = {
  at: () => ({ policy: NO_POLICY, effectiveFrom: undefined }),
  versions: [],
}
