import { unreachable } from './assert.ts'
import type { Reward } from './model/reward.ts'
import type { ExchangeRate, PayoutPolicy, UnitCost } from './model/policy.ts'
import { type Cents, CENTS_MAX, divideMoney, formatMoney, parseMoney } from './money.ts'
import { OncewardError } from './errors.ts'

export type Costing = { readonly ok: true; readonly cost: Cents } | { readonly ok: false; readonly detail: string }

/** What decides the cost of a reward. */
export type CostBasis =
  /** The reward says it itself. */
  | { readonly kind: 'said'; readonly cost: Cents }
  /** Its amount is money of the policy's currency. */
  | { readonly kind: 'amount'; readonly amount: Cents }
  | { readonly kind: 'rate'; readonly amount: Cents; readonly rate: ExchangeRate }
  | { readonly kind: 'no_rate'; readonly amount: Cents; readonly currency: string }
  /** `hundredths` of units. */
  | { readonly kind: 'catalogue'; readonly hundredths: bigint; readonly unit: UnitCost }
  /** No line of the catalogue is about it: it costs nothing. */
  | { readonly kind: 'nothing' }

/** Types whose amount is money; their cost is the amount where nothing else is said. */
export const CASH_TYPES: ReadonlySet<string> = new Set(['cash', 'bonus_cash'])

const MICROS = 1_000_000n
/** A reward that has no amount is one. */
const ONE = 100n

type Costed = Pick<Reward, 'type' | 'amount' | 'cost' | 'currency'> & Reward

/**
 * What a reward costs its pool, in the policy's currency, at event time `ts`: what the reward says itself (`cost`), else its
 * amount by the rate of the day for cash types, else its units by the catalogue; nothing where the catalogue knows none.
 * Exact but for one rounding, half to even, of a rate or a unit cost. Not ok where a rate is missing or the cost is more
 * than a ledger can hold: such a reward needs a person. Throws ONCEWARD_E_MONEY_INVALID for what is no amount, or is
 * below zero: nothing that is given adds to a budget.
 */
export function costOf(reward: Costed, policy: PayoutPolicy, ts: number): Costing {
  const basis = costBasis(reward, policy, ts)
  switch (basis.kind) {
    case 'said':
      return bounded(basis.cost)
    case 'amount':
      return bounded(basis.amount)
    case 'rate':
      return bounded(divideMoney(basis.amount * basis.rate.micros, MICROS))
    case 'no_rate': {
      const day = new Date(ts).toISOString().slice(0, 10)
      return { ok: false, detail: `there is no exchange rate from ${basis.currency} to ${policy.currency} on ${day}` }
    }
    case 'catalogue':
      // Hundredths of units × millionths each are hundredths × millionths.
      return bounded(divideMoney(basis.hundredths * basis.unit.micros, MICROS))
    case 'nothing':
      return { ok: true, cost: 0n }
    default:
      return unreachable(basis)
  }
}

/** Which part of the reward or the policy decides what it costs. Throws ONCEWARD_E_MONEY_INVALID as costOf does. */
export function costBasis(reward: Costed, policy: PayoutPolicy, ts: number): CostBasis {
  if (reward.cost !== undefined) return { kind: 'said', cost: atLeastZero('cost', reward.cost) }
  const amount = reward.amount === undefined ? undefined : atLeastZero('amount', reward.amount)
  if (CASH_TYPES.has(reward.type)) return inCurrency(amount ?? 0n, { currency: reward.currency, policy, ts })
  const unit = policy.catalogue.find(({ match }) => Object.entries(match).every(([name, is]) => reward[name] === is))
  return unit === undefined ? { kind: 'nothing' } : { kind: 'catalogue', hundredths: amount ?? ONE, unit }
}

function inCurrency(
  amount: Cents,
  { currency, policy, ts }: { currency: string | undefined; policy: PayoutPolicy; ts: number },
): CostBasis {
  if (policy.currency === undefined || currency === undefined || currency === policy.currency) {
    return { kind: 'amount', amount }
  }
  const rate = policy.rates.find((each) => each.currency === currency && each.from <= ts)
  return rate === undefined ? { kind: 'no_rate', amount, currency } : { kind: 'rate', amount, rate }
}

function atLeastZero(name: string, input: number | string): Cents {
  // A list of one number, say, reads as that number in a text.
  const cents = parseMoney(typeof input === 'number' ? input : typeof input === 'string' ? input : Number.NaN)
  if (cents >= 0n) return cents
  const message = `the ${name} of a reward is at least zero, not ${JSON.stringify(input)}; what is given never adds to a budget`
  throw new OncewardError('ONCEWARD_E_MONEY_INVALID', message)
}

function bounded(cost: Cents): Costing {
  if (cost <= CENTS_MAX) return { ok: true, cost }
  return { ok: false, detail: `it would cost ${formatMoney(cost)}, which is more than the ledger can hold` }
}
