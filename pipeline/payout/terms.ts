/** What the policy says of a reward: a pure function of the reward and of the version in effect at its event time. */
import { costOf } from '../../core/cost.ts'
import type { PolicyVersion, PoolPolicy } from '../../core/model/policy.ts'
import { type Guardrails, type HoldReason, NO_RATE, type Reward } from '../../core/model/reward.ts'
import { type Cents, formatMoney } from '../../core/money.ts'
import type { LedgerTask, PoolTerms } from '../../core/ports/ledger.ts'
import { periodOf } from '../../rules/calendar.ts'
import { notNegative } from './fields.ts'
import type { Route } from './routing.ts'

export interface TermsQuestion {
  readonly reward: Reward
  readonly guardrails: Guardrails
  readonly poolId: string | null
  readonly geo: string | null
  /** Event time, ms. */
  readonly at: number
  /** What the task itself says; null: whoever wrote it left it to the sink. */
  readonly cost: Cents | null
  readonly kycRequired: number | null
  readonly holds: readonly HoldReason[]
}

export type Terms = Pick<
  LedgerTask,
  | 'poolPeriod'
  | 'terms'
  | 'closed'
  | 'cost'
  | 'kycRequired'
  | 'kycUnknown'
  | 'holds'
  | 'approvals'
  | 'partner'
  | 'ordered'
>

/** Throws where the cost is no amount that can be booked. */
export function termsOf(question: TermsQuestion, version: PolicyVersion, route: Route | undefined): Terms {
  const { policy } = version
  const { reward, poolId, at } = question
  const pool = poolId === null ? undefined : policy.pools.get(poolId)
  const costing = question.cost === null ? costOf(reward, policy, at) : ({ ok: true, cost: question.cost } as const)
  const cost = costing.ok ? notNegative(costing.cost, 'the cost') : 0n
  const largePrize = pool?.largePrize ?? policy.largePrize
  const undeclared = poolId !== null && pool === undefined && policy.closedWorld
  const closed = undeclared ? `the policy declares no pool ${poolId}` : closedReason(question, pool)
  // What nobody can price may be anything: it is taken for large, as in the stream, and for two people to approve.
  const reaches = (bound: Cents | undefined): boolean => bound !== undefined && (!costing.ok || cost >= bound)
  const asks = kycAsked(question, version, reaches(largePrize))
  return {
    poolPeriod: pool === undefined ? 'all' : periodOf(pool.period === 'all' ? 'never' : pool.period, pool.timeZone, at),
    terms: pool === undefined ? null : poolTerms(pool, version),
    closed: closed ?? (costing.ok ? null : costing.detail),
    cost,
    kycRequired: question.kycRequired ?? asks,
    kycUnknown: question.kycRequired === null ? kycUnknown(question, version) : null,
    holds: holdsOf(question, {
      noRate: costing.ok ? undefined : costing.detail,
      reviewFrom: cost > 0n ? (pool?.reviewFrom ?? policy.reviewFrom) : undefined,
      cost,
      route,
    }),
    approvals: reaches(policy.fourEyesFrom) ? 2 : 1,
    partner: route?.partner ?? null,
    ordered: route?.ordered ?? false,
  }
}

function poolTerms(pool: PoolPolicy, { policy, effectiveFrom }: PolicyVersion): PoolTerms {
  return {
    budget: pool.budget,
    softCap: pool.softCap ?? null,
    breakerPercent: pool.breakerPercent,
    whenClosed: pool.whenClosed,
    largePrize: pool.largePrize ?? policy.largePrize ?? null,
    since: effectiveFrom ?? 0,
  }
}

/** Geo is asked in the stream; here once more, for tasks that others wrote. Who is nowhere is in no country of a list. */
function closedReason({ poolId, guardrails, geo, at }: TermsQuestion, pool: PoolPolicy | undefined): string | null {
  const day = (ms: number): string => new Date(ms).toISOString()
  if (pool?.from !== undefined && at < pool.from) return `pool ${poolId} opens at ${day(pool.from)}`
  if (pool?.until !== undefined && at >= pool.until) return `pool ${poolId} was closed at ${day(pool.until)}`
  const elsewhere = (allowed: readonly string[]): boolean => geo === null || !allowed.includes(geo)
  const of = geo ?? 'a country that the task does not name'
  if (pool?.geo !== undefined && elsewhere(pool.geo)) return `pool ${poolId} is not for players of ${of}`
  // Others may have written null.
  const allowed = guardrails.geo ?? undefined
  return allowed !== undefined && elsewhere(allowed) ? `the reward is not for players of ${of}` : null
}

function kycAsked({ reward, guardrails }: TermsQuestion, { policy: { kyc } }: PolicyVersion, large: boolean): number {
  const byType = kyc.byType.get(reward.type) ?? kyc.other
  return Math.max(guardrails.kyc_min_level ?? 0, byType, large ? kyc.largePrize : 0)
}

/**
 * A task that says nothing of KYC has passed no gate: whoever wrote it left that to the sink. So the level must be known
 * where somebody has asked for one, be it the policy or the task. Where nobody has, SPEC S12 is paid as it stands.
 */
function kycUnknown({ guardrails }: TermsQuestion, { policy }: PolicyVersion): number | null {
  const asked = policy.version !== '' || (guardrails.kyc_min_level ?? 0) > 0
  return asked ? policy.kyc.unknown : null
}

function holdsOf(
  { holds, reward }: TermsQuestion,
  found: {
    readonly noRate: string | undefined
    readonly reviewFrom: Cents | undefined
    readonly cost: Cents
    readonly route: Route | undefined
  },
): readonly HoldReason[] {
  const { noRate, reviewFrom, cost, route } = found
  const added: HoldReason[] = []
  if (noRate !== undefined) added.push({ by: NO_RATE, detail: noRate })
  if (reviewFrom !== undefined && cost >= reviewFrom) {
    const detail = `a prize of ${formatMoney(cost)} is reviewed, as is each from ${formatMoney(reviewFrom)} on`
    added.push({ by: 'large_prize', detail })
  }
  if (route === undefined) {
    added.push({ by: 'no_partner', detail: `no partner is configured for rewards of type ${reward.type}` })
  }
  // The stream may have said it already.
  return [...holds, ...added.filter(({ by }) => !holds.some((said) => said.by === by))]
}
