import { formatMoney } from '../core/money.ts'
import type { Entry } from './yaml-reader.ts'
import { readText } from './yaml-reader.ts'
import type { YamlSource } from './yaml-source.ts'

/** Digits before the point: what a NUMERIC(18,2) holds. */
const WHOLE_DIGITS_MAX = 16

export interface DecimalBounds {
  /** Of the whole number of units of the last decimal. */
  readonly min: bigint
  readonly max: bigint
}

/** As far as budgets go: NUMERIC(18,2). */
export const MONEY_BOUNDS: DecimalBounds = { min: 0n, max: 10n ** 18n - 1n }

/**
 * An amount with at most two decimals, as cents. Its digits are those that are written in the file, with or without quotes:
 * they never pass through a float. undefined, with a problem reported, where it is none or out of bounds.
 */
export function readMoney(
  source: YamlSource,
  entry: Entry | undefined,
  bounds: Partial<DecimalBounds> = {},
): bigint | undefined {
  return readDecimal(source, entry, { ...MONEY_BOUNDS, ...bounds, decimals: 2 })
}

/** Most millionths of a unit cost or a rate: a million. */
const MICROS_MAX = 10n ** 12n

/** A number with at most six decimals from 0 to a million, as millionths, exactly. */
export function readMicros(source: YamlSource, entry: Entry | undefined, min: 0n | 1n): bigint | undefined {
  return readDecimal(source, entry, { min, max: MICROS_MAX, decimals: 6 })
}

function readDecimal(
  source: YamlSource,
  entry: Entry | undefined,
  { min, max, decimals }: DecimalBounds & { readonly decimals: 2 | 6 },
): bigint | undefined {
  const text = readText(source, entry)
  if (entry === undefined || text === undefined) return undefined
  const value = decimalOf(text, decimals)
  if (value !== undefined && value >= min && value <= max) return value
  const range = `from ${shown(min, decimals)} to ${shown(max, decimals)}`
  const kind = decimals === 2 ? 'an amount with at most 2 decimals' : 'a number with at most 6 decimals'
  source.report(entry.value, {
    code: 'ONCEWARD_E_RULE_WRONG_VALUE',
    message: `${entry.key.value} is ${kind} ${range}, not ${text.slice(0, 40)}`,
    ...(value === undefined
      ? { hint: 'write digits and a point, without exponents or separators: 80000 or 0.25' }
      : {}),
  })
  return undefined
}

const DECIMAL = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?$/

/** `0.25` with two decimals is 25n; undefined where the text is no such number, or has more decimals than zeros allow. */
export function decimalOf(text: string, decimals: number): bigint | undefined {
  const [, sign, whole = '', written = ''] = DECIMAL.exec(text) ?? []
  const fraction = written.replace(/0+$/, '')
  if (sign === undefined || whole.length > WHOLE_DIGITS_MAX || fraction.length > decimals) return undefined
  const value = BigInt(whole + fraction.padEnd(decimals, '0'))
  return sign === '-' ? -value : value
}

/** `1_250_000n` millionths is `1.25`. */
export function formatMicros(micros: bigint): string {
  const digits = micros.toString().padStart(7, '0')
  return `${digits.slice(0, -6)}.${digits.slice(-6)}`.replace(/\.?0+$/, '')
}

function shown(value: bigint, decimals: 2 | 6): string {
  return decimals === 2 ? formatMoney(value).replace('.00', '') : formatMicros(value)
}
