import { costOf } from '../core/cost.ts'
import { hasCode } from '../core/errors.ts'
import { rewardTaskId } from '../core/ids.ts'
import type { Assignment } from '../core/model/experiment.ts'
import type { PayoutPolicy, PoolPolicy } from '../core/model/policy.ts'
import { type Guardrails, type HoldReason, NO_RATE, type Reward, type RewardTaskBase } from '../core/model/reward.ts'
import { type Cents, CENTS_MAX, formatMoney } from '../core/money.ts'
import type { PlayerEvent } from '../core/model/event.ts'
import type { CompiledRule } from '../rules/compiled.ts'
import { stratumOf } from '../rules/rollout.ts'
import type { Grant, Scoring } from './operator.ts'
import { isObject } from './type-checks.ts'

/** A reward that was earned, and what the gates are to ask. */
export interface EarnedReward {
  /** Without the player's KYC level: that is known at the gates. */
  readonly task: Omit<RewardTaskBase, 'kyc'>
  /** KYC level that it needs; 0: none. */
  readonly required: number
  /** What counts for a player whose level nobody has told. */
  readonly unknown: number
  /** How long it may stay frozen, ms of event time; undefined: for ever. */
  readonly expiryMs: number | undefined
}

/** What the event says of its player. */
export function userOf({ data }: PlayerEvent): {
  readonly geo: string | undefined
  readonly payer: boolean | undefined
} {
  const user = isObject(data['user']) ? data['user'] : {}
  const { geo, payer_flag: payer } = user
  return {
    geo: typeof geo === 'string' ? geo : undefined,
    payer: typeof payer === 'boolean' ? payer : undefined,
  }
}

/** The pool that a reward of the rule is taken from for a player of this country; undefined: none. */
export function poolOf({ poolByGeo, guardrails }: CompiledRule, geo: string | undefined): string | undefined {
  const byGeo = geo === undefined ? undefined : poolByGeo?.get(geo)
  return byGeo ?? poolByGeo?.get('default') ?? guardrails.budget_pool
}

/** Undefined where the rule has no such threshold or reward. */
export function earnedReward(scoring: Scoring, grant: Grant, policy: PayoutPolicy): EarnedReward | undefined {
  const { event, rule, period } = scoring
  const threshold = rule.trigger?.thresholds[grant.index]
  const stated = rule.trigger?.rewards[grant.index]
  if (threshold === undefined || stated === undefined) return undefined
  const reward = rewardOf(stated, grant)
  const { geo, payer } = userOf(event)
  const poolId = poolOf(rule, geo)
  const pool = poolId === undefined ? undefined : policy.pools.get(poolId)
  const price = priced(reward, policy, event.ts)
  const holds = [...scoring.holds, ...(grant.holds ?? []), ...price.holds]
  return {
    task: {
      reward_task_id: rewardTaskId(event.userId, rule.ruleId, period, threshold),
      user_id: event.userId,
      origin: {
        rule_id: rule.ruleId,
        rule_version: rule.version,
        threshold,
        period,
        event_id: event.eventId,
        ...(rule.experiment === undefined ? {} : { experiment: rule.experiment }),
        ...assignmentOf(scoring),
      },
      reward,
      pool_id: poolId ?? null,
      guardrails: resolved(rule.guardrails, poolId),
      ...(price.cost === undefined ? {} : { cost: formatMoney(price.cost) }),
      ...(geo === undefined ? {} : { geo }),
      ...(payer === undefined ? {} : { payer }),
      ...(holds.length === 0 ? {} : { holds }),
      created_at: new Date(event.ts).toISOString(),
    },
    required: requiredLevel(rule, reward, { policy, pool, cost: price.cost }),
    unknown: policy.kyc.unknown,
    expiryMs: rule.guardrails.frozen_expiry_ms,
  }
}

/** Nothing where the rule is the same for all. */
export function assignmentOf({ event, rule }: Scoring): Assignment | undefined {
  if (rule.experiment === undefined || rule.arm === undefined) return undefined
  return { experiment: rule.experiment, arm: rule.arm, stratum: stratumOf(event) }
}

/** SPEC S7: what the rule asks for, what the type of the reward needs, and what a large prize needs; the highest counts. */
function requiredLevel(
  { guardrails }: CompiledRule,
  { type }: Reward,
  { policy, pool, cost }: { policy: PayoutPolicy; pool: PoolPolicy | undefined; cost: Cents | undefined },
): number {
  const { kyc } = policy
  const largeFrom = pool?.largePrize ?? policy.largePrize
  // What nobody can price may be large.
  const isLarge = largeFrom !== undefined && (cost === undefined || cost >= largeFrom)
  return Math.max(guardrails.kyc_min_level ?? 0, kyc.byType.get(type) ?? kyc.other, isLarge ? kyc.largePrize : 0)
}

interface Priced {
  readonly cost?: Cents
  readonly holds: readonly HoldReason[]
}

/** A reward whose cost cannot be told goes to a person: it must not stop the partition, and not go past the budget. */
function priced(reward: Reward, policy: PayoutPolicy, ts: number): Priced {
  try {
    const costing = costOf(reward, policy, ts)
    if (!costing.ok) return { holds: [{ by: NO_RATE, detail: costing.detail }] }
    const { cost } = costing
    if (cost >= 0n && cost <= CENTS_MAX) return { cost, holds: [] }
    return { holds: [{ by: 'no_cost', detail: `its cost comes to ${formatMoney(cost)}, which no budget can carry` }] }
  } catch (error) {
    if (!hasCode(error, 'ONCEWARD_E_MONEY_INVALID')) throw error
    return { holds: [{ by: 'no_cost', detail: `its cost cannot be told: ${error.message}` }] }
  }
}

/** The reward as the rule states it, with what its formulas gave. */
function rewardOf({ type, ...rest }: Reward, { amount, cost }: Grant): Reward {
  return {
    type,
    ...(amount === undefined ? {} : { amount }),
    ...rest,
    ...(cost === undefined ? {} : { cost }),
  }
}

/** The guardrails with the pool of the player's country, or without one where there is none. */
function resolved(guardrails: Guardrails, poolId: string | undefined): Guardrails {
  const { budget_pool: _stated, ...rest } = guardrails
  return { ...rest, ...(poolId === undefined ? {} : { budget_pool: poolId }) }
}
