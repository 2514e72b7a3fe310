/** What an HTTP answer of a wallet means: pure functions, so that the tables can be tested. */
import { hash } from 'node:crypto'
import { HOUR_MS } from '../../core/durations.ts'
import type { CreditOutcome } from '../../core/ports/wallet.ts'

/** Statuses with which a wallet says, in a 2xx answer and any case, that it did not and will not pay. Any other is a payment. */
const NOT_PAID = new Set(['failed', 'rejected', 'declined', 'denied', 'refused', 'cancelled', 'canceled', 'error'])

/** HTTP statuses below 500 that ask for another try: request time-out, too early, too many requests. */
const RETRY_STATUS = new Set([408, 425, 429])

/** A partner may not silence us for longer: a mistaken answer must not put a day's rewards to sleep. */
export const RETRY_AFTER_MS_MAX = HOUR_MS

const PAYOUT_ID_LENGTH_MAX = 200

/** `text` is the body, or its beginning; `retryAfterMs` what the answer's Retry-After came to. */
export function outcomeOf(status: number, text: string, retryAfterMs?: number): CreditOutcome {
  const said = text === '' ? '' : `: ${excerpt(text)}`
  if (status >= 200 && status < 300) return outcomeOfSuccess(status, text)
  if (status >= 500 || RETRY_STATUS.has(status)) {
    return {
      kind: 'unavailable',
      detail: `HTTP ${status}${said}`,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    }
  }
  if (status >= 300 && status < 400) {
    return {
      kind: 'refused',
      detail: `HTTP ${status}: redirects are not followed, because the signed order is meant for one address; set the wallet's URL to its final address`,
    }
  }
  return { kind: 'refused', detail: `HTTP ${status}${said}` }
}

/** A 2xx answer without a payout proves nothing, and asking again with the same id is safe. */
function outcomeOfSuccess(httpStatus: number, text: string): CreditOutcome {
  const answer = parse(text)
  const { payout_id: payoutId, status } = answer ?? {}
  if (typeof payoutId !== 'string' || payoutId === '' || typeof status !== 'string') {
    return {
      kind: 'unavailable',
      detail: `HTTP ${httpStatus} without {"payout_id": "…", "status": "…"}: ${excerpt(text)}`,
    }
  }
  if (NOT_PAID.has(status.trim().toLowerCase()))
    return { kind: 'refused', detail: `the wallet answered status "${excerpt(status)}"` }
  return { kind: 'paid', payoutId: boundedId(payoutId), status: excerpt(status) }
}

/**
 * Milliseconds that a `Retry-After` asks for (RFC 9110: seconds, or an HTTP date), from 0 to RETRY_AFTER_MS_MAX; undefined
 * where it is missing or neither. `now` in Unix milliseconds.
 */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  const text = header?.trim() ?? ''
  if (/^\d+$/.test(text)) return bounded(Number(text) * 1_000)
  // Date.parse takes much more than RFC 9110 allows, "5 apples" for one.
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : bounded(at - now)
}

function bounded(ms: number): number {
  return Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX)
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** A payout is a payout however its id looks; two ids that differ must differ here as well, and the same must stay the same. */
function boundedId(id: string): string {
  const text = storable(id)
  if (text === id && id.length <= PAYOUT_ID_LENGTH_MAX) return id
  return `${text.slice(0, PAYOUT_ID_LENGTH_MAX / 2)}…sha256:${hash('sha256', Buffer.from(id, 'utf16le'), 'hex').slice(0, 32)}`
}

/** Enough to recognise it by; a partner's page of HTML does not belong in the ledger. */
function excerpt(text: string): string {
  const line = storable(text.slice(0, 1_000).replaceAll(/\s+/g, ' '))
  return line.length > 200 ? `${storable(line.slice(0, 200))}…` : line
}

/** What Postgres can keep as text and a terminal can show: no control characters, no lone surrogates. */
function storable(text: string): string {
  return text.replaceAll(/\p{Surrogate}|\p{Cc}/gu, '\uFFFD')
}
