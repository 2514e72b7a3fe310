/** What a statement's fields mean: pure functions from text, each with a clause that says what would be right. */
import { type Cents, parseMoney } from '../../core/money.ts'
import type { StatementState } from '../../core/ports/reconciliation.ts'

/** Throw this with a clause; whoever knows the place makes a sentence of it. */
export class Unreadable extends Error {}

const STATES: Readonly<Record<string, StatementState>> = {
  paid: 'paid',
  succeeded: 'paid',
  success: 'paid',
  successful: 'paid',
  completed: 'paid',
  complete: 'paid',
  settled: 'paid',
  credited: 'paid',
  booked: 'paid',
  ok: 'paid',
  pending: 'pending',
  processing: 'pending',
  accepted: 'pending',
  failed: 'failed',
  failure: 'failed',
  error: 'failed',
  rejected: 'failed',
  declined: 'failed',
  refused: 'failed',
  cancelled: 'failed',
  canceled: 'failed',
  reversed: 'reversed',
  reversal: 'reversed',
  refunded: 'reversed',
  chargeback: 'reversed',
  voided: 'reversed',
}

/** `own`: the statement's words in lower case that mean something else, or that are not known here. */
export function readState(text: string, own: ReadonlyMap<string, StatementState>): StatementState {
  const word = text.trim().toLowerCase()
  const state = own.get(word) ?? (Object.hasOwn(STATES, word) ? STATES[word] : undefined)
  if (state !== undefined) return state
  throw new Unreadable(
    `the status "${excerpt(text)}" is not known here; say what it means with --states ${excerpt(word) || 'WORD'}=paid (or pending, failed, reversed)`,
  )
}

const POINT = /^([+-]?)(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?$/
const COMMA = /^([+-]?)(\d{1,3}(?:[. ’']\d{3})+|\d+)(?:,(\d+))?$/

/** Exact: digits beyond hundredths must be zeros. Nothing is 0, for rewards that are no money. */
export function readAmount(text: string, decimalComma: boolean): Cents {
  const given = text.trim().replaceAll(/[\u00A0\u202F]/g, ' ')
  if (given === '') return 0n
  const match = (decimalComma ? COMMA : POINT).exec(given)
  const other = (decimalComma ? POINT : COMMA).test(given)
  if (match === null) {
    const hint = other ? `; ${decimalComma ? 'leave out' : 'add'} --decimal-comma` : ''
    throw new Unreadable(`"${excerpt(text)}" is not an amount such as ${decimalComma ? '2,50' : '2.50'}${hint}`)
  }
  const [, sign = '', whole = '', fraction = ''] = match
  const hundredths = fraction.replace(/0+$/, '')
  if (hundredths.length > 2) throw new Unreadable(`"${excerpt(text)}" has more than two decimals, and money has two`)
  const digits = whole.replaceAll(/\D/g, '').replace(/^0+(?=\d)/, '')
  if (digits.length > 16) throw new Unreadable(`"${excerpt(text)}" is more than 9999999999999999.99`)
  const cents = parseMoney(hundredths === '' ? digits : `${digits}.${hundredths}`)
  return sign === '-' ? -cents : cents
}

const WITHOUT_ZONE = /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?$/

/** RFC 3339, the same without a zone (UTC), a day, or seconds or milliseconds since 1970. */
export function readTime(text: string): number {
  const given = text.trim()
  if (/^\d{10}$/.test(given)) return Number(given) * 1000
  if (/^\d{13}$/.test(given)) return Number(given)
  const ms = /^\d{4}-\d\d-\d\d/.test(given)
    ? Date.parse(WITHOUT_ZONE.test(given) ? `${given.replace(' ', 'T')}Z` : given.replace(' ', 'T'))
    : Number.NaN
  if (!Number.isNaN(ms)) return ms
  throw new Unreadable(`"${excerpt(text)}" is not a time such as 2025-11-03T12:00:00Z`)
}

export function excerpt(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
