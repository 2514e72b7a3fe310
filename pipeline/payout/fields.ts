/** Reads fields of JSON that came from outside: each function gives what it is named after or throws a sentence. */
import type { Json, JsonObject } from '../../core/model/event.ts'
import { KYC_LEVEL_MAX } from '../../core/model/player.ts'
import { type Cents, CENTS_MAX, formatMoney, parseMoney } from '../../core/money.ts'

const ID_LENGTH_MAX = 512
const DETAIL_LENGTH_MAX = 4_096
const NESTING_MAX = 32
const LIST_LENGTH_MAX = 100

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function object(value: Json | undefined, name: string): JsonObject {
  if (!isObject(value)) throw new Error(`${name} must be an object`)
  return value
}

export function list(value: Json | undefined, name: string): readonly Json[] {
  if (!Array.isArray(value)) throw new Error(`${name} must be a list`)
  if (value.length > LIST_LENGTH_MAX)
    throw new Error(`${name} has ${value.length} entries, and at most ${LIST_LENGTH_MAX} are read`)
  return value
}

export function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= ID_LENGTH_MAX
}

export function text(value: Json | undefined, name: string): string {
  if (isText(value)) return value
  throw new Error(`${name} must be a text of 1 to ${ID_LENGTH_MAX} characters`)
}

export function optionalText(value: Json | undefined, name: string): string | null {
  return isAbsent(value) ? null : text(value, name)
}

export function sentence(value: Json | undefined, name: string): string {
  if (typeof value === 'string' && value.length <= DETAIL_LENGTH_MAX) return value
  throw new Error(`${name} must be a text of at most ${DETAIL_LENGTH_MAX} characters`)
}

export function optionalNumber(value: Json | undefined, name: string): number | null {
  if (isAbsent(value)) return null
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new Error(`${name} must be a number`)
}

export function optionalBoolean(value: Json | undefined, name: string): boolean | null {
  if (isAbsent(value)) return null
  if (typeof value === 'boolean') return value
  throw new Error(`${name} must be true or false`)
}

export function kycLevel(value: Json | undefined, name: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= KYC_LEVEL_MAX) return value
  throw new Error(`${name} must be a whole number from 0 to ${KYC_LEVEL_MAX}`)
}

export function optionalMoney(value: Json | undefined, name: string): Cents | null {
  if (isAbsent(value)) return null
  if (typeof value !== 'number') throw new Error(`${name} must be a number`)
  return notNegative(parseMoney(value), name)
}

/** Decimal text, such as "12.50". */
export function moneyText(value: Json | undefined, name: string): Cents {
  if (typeof value !== 'string') throw new Error(`${name} must be a decimal text, such as "12.50"`)
  return notNegative(parseMoney(value), name)
}

export function notNegative(cents: Cents, name: string): Cents {
  if (cents < 0n) throw new Error(`${name} must not be negative`)
  if (cents > CENTS_MAX)
    throw new Error(`${name} is ${formatMoney(cents)}, and at most ${formatMoney(CENTS_MAX)} can be booked`)
  return cents
}

/** RFC 3339, in UTC. */
export function time(value: Json | undefined, name: string): string {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(ms)) throw new Error(`${name} must be a time such as 2025-10-24T11:38:30Z`)
  return new Date(ms).toISOString()
}

export function optionalTime(value: Json | undefined, name: string): string | null {
  return isAbsent(value) ? null : time(value, name)
}

export function isAbsent(value: Json | undefined): value is null | undefined {
  return value === undefined || value === null
}

/** What JSONB cannot hold must not get as far as a batch, which it would take down with it. */
export function checkStorable(value: Json | undefined, depth = 0): void {
  if (depth > NESTING_MAX) throw new Error(`nested deeper than ${NESTING_MAX} levels`)
  if (typeof value === 'string' && /\0|\p{Surrogate}/u.test(value)) {
    throw new Error('a text holds the character U+0000 or half a surrogate pair, which Postgres cannot store')
  }
  if (typeof value !== 'object' || value === null) return
  for (const [name, part] of Object.entries(value)) {
    checkStorable(name, depth)
    checkStorable(part, depth + 1)
  }
}
