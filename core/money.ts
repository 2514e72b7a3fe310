import { OncewardError } from './errors.ts'

/**
 * Money is a whole number of hundredths (SPEC S19: decimal with two places, never a binary float), as a bigint because
 * the bounds of NUMERIC(18,2) lie above what a float holds exactly.
 */
export type Cents = bigint

/** The bounds of NUMERIC(18,2): ±9,999,999,999,999,999.99. */
export const CENTS_MAX: Cents = 10n ** 18n - 1n

/** A double holds every decimal of 15 digits; above, hundredths may have been lost when the JSON was parsed. */
const EXACT_NUMBER_MAX = 9_999_999_999_999.99

const DECIMAL = /^(-?)(0|[1-9]\d*)(?:\.(\d{1,2}))?$/

/**
 * Reads an amount with at most two decimals, exactly. A number beyond ±9,999,999,999,999.99 must come as text, for a
 * JSON number does not hold it. Throws ONCEWARD_E_MONEY_INVALID.
 */
export function parseMoney(input: number | string): Cents {
  if (typeof input === 'number' && !(Math.abs(input) <= EXACT_NUMBER_MAX)) {
    throw invalid(input, 'write an amount of that size as text, such as "10000000000000.00"')
  }
  const match = DECIMAL.exec(typeof input === 'number' ? String(input) : input)
  if (match === null) throw invalid(input, 'write digits with at most two decimals, such as 2 or 2.50')
  const [, sign = '', whole = '', fraction = ''] = match
  if (whole.length > 16) throw invalid(input, 'the largest amount is 9999999999999999.99')
  const cents = BigInt(whole) * 100n + BigInt(fraction.padEnd(2, '0'))
  return sign === '-' ? -cents : cents
}

/** `250n` is `2.50`: always two decimals. */
export function formatMoney(cents: Cents): string {
  const digits = (cents < 0n ? -cents : cents).toString().padStart(3, '0')
  return `${cents < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`
}

/** The exact sum. Throws ONCEWARD_E_MONEY_INVALID where it leaves NUMERIC(18,2). */
export function sumMoney(amounts: Iterable<Cents>): Cents {
  let sum = 0n
  for (const amount of amounts) sum += amount
  if (sum > CENTS_MAX || sum < -CENTS_MAX) throw invalid(formatMoney(sum), 'a sum must stay within NUMERIC(18,2)')
  return sum
}

/** Divides by a whole number above zero and rounds half to even, so that rounding errors do not add up one way. */
export function divideMoney(cents: Cents, divisor: bigint): Cents {
  if (divisor <= 0n) throw invalid(String(divisor), 'the divisor must be above zero')
  const quotient = cents / divisor
  const twice = 2n * (cents % divisor)
  const size = twice < 0n ? -twice : twice
  const away = size > divisor || (size === divisor && quotient % 2n !== 0n)
  if (!away) return quotient
  return cents < 0n ? quotient - 1n : quotient + 1n
}

function invalid(given: number | string, allowed: string): OncewardError {
  return new OncewardError('ONCEWARD_E_MONEY_INVALID', `${JSON.stringify(given)} is not an amount: ${allowed}`)
}
