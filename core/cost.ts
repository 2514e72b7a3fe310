import type { Reward } from './model/reward.ts'
import type { PayoutPolicy } from './model/policy.ts'
import { type Cents, divideMoney, parseMoney } from './money.ts'

export type Costing = { readonly ok: true; readonly cost: Cents } | { readonly ok: false; readonly detail: string }

/** Types whose amount is money; their cost is the amount where nothing else is said. */
export const CASH_TYPES: ReadonlySet<string> = new Set(['cash', 'bonus_cash'])

const MICROS = 1_000_000n

/**
 * What a reward costs its pool, in the policy's currency, at event time `ts`: what the reward says itself (`cost`), else its
 * amount by the rate of the day for cash types, else its units by the catalogue; nothing where the catalogue knows none.
 * Not ok where a rate is missing: such a reward needs a person. Throws ONCEWARD_E_MONEY_INVALID for what is no amount.
 */
export function costOf(
  reward: Pick<Reward, 'type' | 'amount' | 'cost' | 'currency'> & Reward,
  policy: PayoutPolicy,
  ts: number,
): Costing {
  if (reward.cost !== undefined) return { ok: true, cost: parseMoney(reward.cost) }
  const amount = reward.amount === undefined ? undefined : parseMoney(reward.amount)
  if (CASH_TYPES.has(reward.type)) return inCurrency(amount ?? 0n, { currency: reward.currency, policy, ts })
  const unit = policy.catalogue.find(({ match }) => Object.entries(match).every(([name, is]) => reward[name] === is))
  if (unit === undefined) return { ok: true, cost: 0n }
  // Hundredths of units × millionths each.
  const units = amount ?? 100n
  return { ok: true, cost: divideMoney(units * unit.micros, MICROS) }
}

function inCurrency(
  amount: Cents,
  { currency, policy, ts }: { currency: string | undefined; policy: PayoutPolicy; ts: number },
): Costing {
  if (policy.currency === undefined || currency === undefined || currency === policy.currency)
    return { ok: true, cost: amount }
  const rate = policy.rates.find((each) => each.currency === currency && each.from <= ts)
  if (rate === undefined) {
    const day = new Date(ts).toISOString().slice(0, 10)
    return { ok: false, detail: `there is no exchange rate from ${currency} to ${policy.currency} on ${day}` }
  }
  return { ok: true, cost: divideMoney(amount * rate.micros, MICROS) }
}
