import type { PlayerEvent } from '../core/model/event.ts'
import type { NumberCode } from './number-code.ts'
import { tolerantFloor } from './tolerance.ts'

/** Far above any prize, and exact to the cent as a binary number. */
export const MONEY_MAX = 1_000_000_000_000

/** An amount worked out at a crossing; always above zero, finite and within MONEY_MAX. */
export type Amount = { readonly ok: true; readonly amount: number } | { readonly ok: false; readonly detail: string }
export type AmountFormula = (event: PlayerEvent) => Amount

/**
 * What a formula comes to as an amount: money to the cent, halves to the even one (SPEC S19); a count rounded down. As with
 * points, a value counts as what it is equal to within 1e-12. Whatever is not a sensible amount is none, with the reason.
 */
export function amountFormula(code: NumberCode, unit: 'money' | 'count'): AmountFormula {
  return (event) => {
    const raw = code.value(event)
    if (!Number.isFinite(raw)) {
      return { ok: false, detail: `the amount is no number: ${code.explain(event) ?? 'its formula gave none'}` }
    }
    if (raw > MONEY_MAX) return { ok: false, detail: `the amount is more than ${MONEY_MAX}` }
    const amount = unit === 'money' ? toCents(raw) / 100 : tolerantFloor(raw)
    return amount > 0 ? { ok: true, amount } : { ok: false, detail: `the amount is ${amount === 0 ? 0 : raw}` }
  }
}

/** A formula's binary numbers are never exactly 2.675: what is a half within 1e-12, and within this many cents, is one. */
const HALF_TOLERANCE = 0.01

function toCents(money: number): number {
  const cents = money * 100
  const below = Math.floor(cents)
  const isHalf = Math.abs(cents - below - 0.5) <= Math.min(HALF_TOLERANCE, Math.abs(cents) * 1e-12)
  if (isHalf) return below % 2 === 0 ? below : below + 1
  return Math.round(cents)
}
