import { isDeepStrictEqual } from 'node:util'
import type { RewardRecord } from '../../core/model/reward.ts'
import { decidedOtherwise, type RewardOutcome } from './outcomes.ts'

/**
 * - `missing`: the replay yields it, and it was never issued
 * - `extra`: it was issued for an event of the replayed span, and the replay does not yield it
 * - `different`: both, but not the same is owed
 * - `moved`: both, and the same is owed, but another event earned it
 */
export type RewardDifferenceKind = 'missing' | 'extra' | 'different' | 'moved'

export interface RewardDifference {
  readonly type: 'reward'
  readonly kind: RewardDifferenceKind
  readonly reward_task_id: string
  readonly user_id: string
  readonly rule_id: string
  readonly period: string
  readonly threshold: number
  /** What differs, such as `reward.amount`, or `status` where the gates decided otherwise; empty for missing and extra. */
  readonly fields: readonly string[]
  /** How it stands by the replay, and by what was issued. */
  readonly replayed: RewardRecord | null
  readonly issued: RewardRecord | null
}

/** The points of one user from one rule, over the replayed span. */
export interface PointsDifference {
  readonly type: 'points'
  readonly user_id: string
  readonly rule_id: string
  readonly issued: number
  readonly replayed: number
}

export type Difference = RewardDifference | PointsDifference

export interface ComparisonFacts {
  readonly issuedWithinSpan: boolean
  /** The replay has read the partition from its beginning, and so all that was ever said of its players. */
  readonly knowsPlayers: boolean
  /** Greatest event time replayed, ms. */
  readonly replayedTo: number
}

/** Compares what became of one reward on both sides; undefined where the same is owed. Pure. */
export function compareTasks(
  { replayed: ours, issued: theirs }: { readonly replayed: RewardOutcome; readonly issued: RewardOutcome },
  { issuedWithinSpan, knowsPlayers, replayedTo }: ComparisonFacts,
): RewardDifference | undefined {
  const { last: replayed } = ours
  const { last: issued } = theirs
  const owed = issuedWithinSpan ? owedFields(replayed, issued) : []
  if (issuedWithinSpan && knowsPlayers && decidedOtherwise(ours, theirs, replayedTo)) owed.push('status')
  if (owed.length > 0) return rewardDifference('different', { replayed, issued, fields: owed })
  if (replayed.origin.event_id === issued.origin.event_id) return undefined
  return rewardDifference('moved', { replayed, issued, fields: ['origin.event_id'] })
}

export function rewardDifference(
  kind: RewardDifferenceKind,
  about: { replayed?: RewardRecord; issued?: RewardRecord; fields?: readonly string[] },
): RewardDifference {
  const { replayed = null, issued = null, fields = [] } = about
  const task = replayed ?? issued
  return {
    type: 'reward',
    kind,
    reward_task_id: task?.reward_task_id ?? '',
    user_id: task?.user_id ?? '',
    rule_id: task?.origin.rule_id ?? '',
    period: task?.origin.period ?? 'all',
    threshold: task?.origin.threshold ?? 0,
    fields,
    replayed,
    issued,
  }
}

/** What is owed, and on which conditions; the rule's version alone changes neither. */
function owedFields(replayed: RewardRecord, issued: RewardRecord): string[] {
  return [
    ...unequal('reward', replayed.reward, issued.reward),
    ...unequal('guardrails', replayed.guardrails ?? {}, issued.guardrails ?? {}),
    ...((replayed.pool_id ?? null) === (issued.pool_id ?? null) ? [] : ['pool_id']),
  ]
}

function unequal(name: string, a: object, b: object): string[] {
  const [left, right] = [new Map(Object.entries(a)), new Map(Object.entries(b))]
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((key) => !isDeepStrictEqual(left.get(key), right.get(key)))
    .map((key) => `${name}.${key}`)
}

/** Counts for one rule. */
export interface RuleSummary {
  readonly rule_id: string
  missing: number
  extra: number
  different: number
  moved: number
  /** Users whose points differ. */
  points_users: number
  /** Points issued for events of the span, and those that the replay gives. */
  points_issued: number
  points_replayed: number
  /** Reward tasks issued for events of the span, and those that the replay yields. */
  rewards_issued: number
  rewards_replayed: number
}

/** Everything that a comparison counts. */
export class Summary {
  readonly #rules = new Map<string, RuleSummary>()
  /** Records of the real topics that are no tasks or scores and were passed over. */
  unreadable = 0

  rule(ruleId: string): RuleSummary {
    let rule = this.#rules.get(ruleId)
    if (rule === undefined) {
      rule = {
        rule_id: ruleId,
        missing: 0,
        extra: 0,
        different: 0,
        moved: 0,
        points_users: 0,
        points_issued: 0,
        points_replayed: 0,
        rewards_issued: 0,
        rewards_replayed: 0,
      }
      this.#rules.set(ruleId, rule)
    }
    return rule
  }

  add(difference: Difference): void {
    const rule = this.rule(difference.rule_id)
    if (difference.type === 'points') rule.points_users++
    else rule[difference.kind]++
  }

  /** In order of rule id. */
  get rules(): readonly RuleSummary[] {
    return [...this.#rules.values()].sort((a, b) => (a.rule_id < b.rule_id ? -1 : 1))
  }

  total(name: Exclude<keyof RuleSummary, 'rule_id'>): number {
    return this.rules.reduce((sum, rule) => sum + rule[name], 0)
  }

  /** Something is owed otherwise; a reward that only another event earned is not. */
  get differs(): boolean {
    return ['missing', 'extra', 'different', 'points_users'].some(
      (name) => this.total(name as 'missing' | 'extra' | 'different' | 'points_users') > 0,
    )
  }
}
