import type { PlayerEvent } from '../core/model/event.ts'
import type { Equality } from './equality.ts'
import type { PolicyTimeline } from '../core/model/policy.ts'
import type { Guardrails, Reward } from '../core/model/reward.ts'
import type { AmountFormula } from './reward-amount.ts'
import type { WindowIndex } from './window-index.ts'
import type { WindowSpec } from './window-spec.ts'

/** What the engine runs of a rule: pure functions and plain data, nothing that can throw or reach outside. */
export interface CompiledRule {
  readonly ruleId: string
  /** `meta.version`; `"1.0"` where the file has none. */
  readonly version: string
  readonly experiment?: string
  /** Percent of the players that this version is for, with at most two decimals; absent: all. */
  readonly rollout?: number
  /** The variants among which the players of `experiment` are divided; absent: none. */
  readonly arms?: Arms
  /** Which of the variants this is. */
  readonly arm?: string
  /** The events it looks at. */
  readonly eventNames: readonly string[]
  /** `strict`: gets its events in event-time order, once the watermark has passed them by the reordering window. */
  readonly ordering: 'any' | 'strict'
  /** The greater goes first; absent: 0. */
  readonly priority?: number
  /** Of the rules of one group, only the first that matches an event scores. */
  readonly exclusiveGroup?: string
  /** IANA name; calendar windows and dates without a time are read in it. */
  readonly timeZone: string
  /** All filters hold. A missing field makes its filter false. Event name is already known to fit. */
  matches(event: PlayerEvent): boolean
  /** What `matches` asks of single fields, so that rules can be looked up by them; absent: nothing. */
  readonly equalities?: readonly Equality[]
  /** The formula, rounded down, at least 0 and at most Number.MAX_SAFE_INTEGER. */
  points(event: PlayerEvent): Points
  /**
   * What it looks at of the user's recent events; absent: nothing. Such a rule is of the strict lane, and `matches` and
   * `points` want an event with its windows.
   */
  readonly windows?: readonly WindowSpec[]
  /** Where it has windows: the filters that have none hold. Without it `matches` would be false. */
  mayMatch?(event: PlayerEvent): boolean
  readonly caps: Caps
  readonly trigger?: Trigger
  /** As its tasks carry them; `budget_pool` is the pool of players whose country `poolByGeo` does not name. */
  readonly guardrails: Guardrails
  /** The pool by the player's country (`user.geo`), where it depends on it; absent: it does not. */
  readonly poolByGeo?: ReadonlyMap<string, string>
  /** Crossings that come this fast are reviewed; absent: none is. */
  readonly sharpRise?: SharpRise
}

/**
 * A sharp rise (SPEC S7): at least `share` (0 to 1] of the threshold that is crossed was scored within the calendar minute,
 * hour or day of the crossing event.
 */
export interface SharpRise {
  readonly share: number
  readonly within: 'minute' | 'hour' | 'day'
}

/** The arms of an experiment: each is the rule as its players have it. */
export interface Arms {
  /** What players are hashed with. */
  readonly seed: string
  /** Weights are above 0; an arm's part of their sum is its part of the players. */
  readonly variants: readonly { readonly rule: CompiledRule; readonly weight: number }[]
}

export type Points = { readonly ok: true; readonly points: number } | { readonly ok: false; readonly detail: string }

/** Most points, whole numbers; absent: no cap. `perBet` also stands for its alias `per_event`. */
export interface Caps {
  readonly perBet?: number
  readonly perMinute?: number
  readonly perHour?: number
  readonly perDay?: number
}

export type Reset = 'never' | 'daily' | 'weekly' | 'monthly'

export interface Trigger {
  /** Ascending. */
  readonly thresholds: readonly number[]
  /** Aligned with `thresholds`. */
  readonly rewards: readonly Reward[]
  readonly reset: Reset
  /** Amounts that are worked out at the crossing, by the index of the reward; absent: none is. */
  readonly formulas?: ReadonlyMap<number, RewardFormulas>
  /** How often a user gets rewards of this rule; absent: as often as thresholds are crossed. */
  readonly limits?: RewardLimits
}

/** What of a reward is worked out at the crossing, in place of what the reward says itself. */
export interface RewardFormulas {
  readonly amount?: AmountFormula
  readonly cost?: AmountFormula
}

/** Per user, over all versions of the rule; periods are those of the calendar in the rule's zone. */
export interface RewardLimits {
  /** Least time between two rewards, ms of event time. */
  readonly coolDownMs?: number
  readonly perDay?: number
  readonly perWeek?: number
  readonly perMonth?: number
  readonly ever?: number
}

/** A rule with the instant from which it is in effect. */
export interface RuleVersion {
  readonly rule: CompiledRule
  /** Event time in ms; undefined: since ever. */
  readonly effectiveFrom: number | undefined
  /** From which event time on its windows count, ms; undefined: since ever. */
  readonly countsFrom?: number
}

/** Something that was said of a published rule: from event time `from` (ms) on it holds. */
export type RuleSwitch = { readonly ruleId: string; readonly from: number } & (
  | { readonly kind: 'paused' | 'resumed' | 'retired' }
  | { readonly kind: 'ramped'; readonly version: string; readonly rollout: number }
)

/** The rules as of one position in the control topic. Immutable. */
export interface RuleSet {
  /**
   * The rules that look at `eventName`, each in the newest version in effect at event time `ts`, in the order in which they
   * are judged. A rule that is not the same for all players stands there once for each part of them.
   */
  at(eventName: string, ts: number): readonly CompiledRule[]
  /** Those of `at` that the event can match, as far as a look at single fields tells. */
  candidates(event: PlayerEvent): readonly CompiledRule[]
  /** True where some version of some rule asks for the strict lane for `eventName`, or counts such events in a window. */
  hasStrict(eventName: string): boolean
  /** What is to be remembered of users' recent events. */
  readonly windows: WindowIndex
  /** What money there is and whom it may go to, through event time. */
  readonly policy: PolicyTimeline
  /** Every version known, in the order of publication. */
  readonly versions: readonly RuleVersion[]
}
