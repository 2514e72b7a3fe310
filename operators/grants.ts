import type { WithheldReward } from '../core/model/score.ts'
import { periodOf } from '../rules/calendar.ts'
import type { Reset, RewardLimits, Trigger } from '../rules/compiled.ts'
import type { Account, GivenRewards } from '../state/stores.ts'
import type { Grant, Scoring } from './operator.ts'
import { countIn, setCount } from './period-counts.ts'

type Withholding = Omit<WithheldReward, 'threshold'>

/**
 * Decides for each threshold that was crossed whether its reward is given, from the lowest on, and what it amounts to.
 * What is withheld is not given later. What a user was given is counted whether the version in effect limits it or not:
 * the next one may.
 */
export function grant(
  scoring: Scoring,
  account: Account,
  { trigger, crossed }: { readonly trigger: Trigger; readonly crossed: readonly number[] },
): void {
  const { event, rule } = scoring
  const given = account.given ?? { last: null, periods: [] }
  const granted: Grant[] = []
  const withheld: WithheldReward[] = []
  for (const index of crossed) {
    const threshold = trigger.thresholds[index]
    if (threshold === undefined) continue
    const worked = workOut(scoring, trigger, index)
    const against = 'reason' in worked ? worked : refusal(given, trigger.limits ?? NO_LIMITS, { rule, event })
    if (against !== undefined) withheld.push({ threshold, ...against })
    else {
      granted.push({ index, ...worked })
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
