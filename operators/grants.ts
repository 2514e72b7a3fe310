import type { PayoutPolicy } from '../core/model/policy.ts'
import type { HoldReason } from '../core/model/reward.ts'
import type { WithheldReward } from '../core/model/score.ts'
import { localMs, periodOf } from '../rules/calendar.ts'
import type { Reset, RewardLimits, Trigger } from '../rules/compiled.ts'
import type { Account, GivenRewards } from '../state/stores.ts'
import { asInPast, pointsWithin } from './cap.ts'
import type { Grant, Scoring } from './operator.ts'
import { countIn, setCount } from './period-counts.ts'
import { poolOf, userOf } from './reward-task.ts'

type Withholding = Omit<WithheldReward, 'threshold'>

/**
 * Decides for each threshold that was crossed whether its reward is given, from the lowest on, and what it amounts to.
 * What is withheld is not given later. What a user was given is counted whether the version in effect limits it or not:
 * the next one may.
 */
export function grant(
  scoring: Scoring,
  account: Account,
  { trigger, crossed, policy }: { trigger: Trigger; crossed: readonly number[]; policy: PayoutPolicy },
): void {
  const { event, rule } = scoring
  const given = account.given ?? { last: null, periods: [] }
  const granted: Grant[] = []
  const withheld: WithheldReward[] = []
  const elsewhere = refusalByGeo(scoring, policy)
  for (const index of crossed) {
    const threshold = trigger.thresholds[index]
    if (threshold === undefined) continue
    const worked = elsewhere ?? workOut(scoring, trigger, index)
    const against = 'reason' in worked ? worked : refusal(given, trigger.limits ?? NO_LIMITS, { rule, event })
    if (against !== undefined) withheld.push({ threshold, ...against })
    else {
      granted.push({ index, ...worked, ...sharpRise(scoring, account, threshold) })
      for (const period of PERIODS.map(([kind]) => periodOf(kind, rule.timeZone, event.ts))) {
        setCount(given.periods, period, countIn(given.periods, period) + 1)
      }
      given.last = Math.max(given.last ?? event.ts, event.ts)
    }
  }
  if (granted.length > 0) account.given = given
  scoring.granted = granted
  scoring.withheld = withheld
}

const NO_LIMITS: RewardLimits = {}
const PERIODS: readonly (readonly [Reset, keyof RewardLimits])[] = [
  ['daily', 'perDay'],
  ['weekly', 'perWeek'],
  ['monthly', 'perMonth'],
  ['never', 'ever'],
]

function workOut({ event }: Scoring, trigger: Trigger, index: number): Omit<Grant, 'index'> | Withholding {
  const formulas = trigger.formulas?.get(index)
  const amount = formulas?.amount?.(event)
  const cost = formulas?.cost?.(event)
  if (amount?.ok === false) return { reason: 'amount', detail: amount.detail }
  if (cost?.ok === false) return { reason: 'amount', detail: cost.detail.replace('the amount', 'the cost') }
  return {
    ...(amount === undefined ? {} : { amount: amount.amount }),
    ...(cost === undefined ? {} : { cost: cost.amount }),
  }
}

/** Why no reward may be given to a player of this country (SPEC S7): by the rule, or by the pool that would pay it. */
function refusalByGeo({ rule, event }: Scoring, { pools }: PayoutPolicy): Withholding | undefined {
  const { geo } = userOf(event)
  const pool = poolOf(rule, geo)
  const lists = [
    { whose: 'the rule', allowed: rule.guardrails.geo },
    { whose: `the pool ${pool}`, allowed: pool === undefined ? undefined : pools.get(pool)?.geo },
  ]
  for (const { whose, allowed } of lists) {
    if (allowed === undefined || (geo !== undefined && allowed.includes(geo))) continue
    const player = geo === undefined ? 'the event names no country' : `the player is in ${geo}`
    return { reason: 'geo', detail: `${player}, and ${whose} is for ${allowed.join(', ')}` }
  }
  return undefined
}

/** SPEC S7: whoever is far too fast at a threshold is looked at before the reward is paid. */
function sharpRise(
  { rule, event, late }: Scoring,
  account: Account,
  threshold: number,
): { readonly holds?: readonly HoldReason[] } {
  if (rule.sharpRise === undefined) return {}
  const { share, within } = rule.sharpRise
  const local = localMs(rule.timeZone, event.ts)
  // Of a late event's minute and hour only a bound is known: where it was sharp somebody looks, and where it may have been.
  const points = pointsWithin(late === undefined ? account : asInPast(account, local), within, local)
  const upTo = late !== undefined && within !== 'day' ? 'up to ' : ''
  if (points < share * threshold) return {}
  const percent = Math.round(share * 100)
  const detail = `${upTo}${points} of ${threshold} points were scored within one ${within}, and from ${percent} % on somebody looks`
  return { holds: [{ by: 'sharp_rise', detail }] }
}

/** Why one more reward may not be given now. */
function refusal(
  given: GivenRewards,
  limits: RewardLimits,
  { rule, event }: Pick<Scoring, 'rule' | 'event'>,
): Withholding | undefined {
  if (limits.coolDownMs !== undefined && given.last !== null && event.ts - given.last < limits.coolDownMs) {
    const from = new Date(given.last + limits.coolDownMs).toISOString()
    return {
      reason: 'cool_down',
      detail: `the last reward was at ${new Date(given.last).toISOString()}, the next may be from ${from} on`,
    }
  }
  for (const [kind, name] of PERIODS) {
    const most = limits[name]
    if (most === undefined) continue
    const period = periodOf(kind, rule.timeZone, event.ts)
    const count = countIn(given.periods, period)
    if (count >= most) {
      const when = kind === 'never' ? '' : ` in ${period}`
      return { reason: 'most_rewards', detail: `${count} of at most ${most} rewards were given${when}` }
    }
  }
  return undefined
}
