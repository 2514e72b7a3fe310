/** What an HTTP answer of a wallet means: a pure function, so that the table can be tested. */
import type { CreditOutcome } from '../../core/ports/wallet.ts'

/** Statuses with which a wallet says, in a 2xx answer, that it did not and will not pay. Any other is a payment. */
const NOT_PAID = new Set(['failed', 'rejected', 'declined', 'cancelled'])

/** HTTP statuses below 500 that ask for another try: request time-out, too early, too many requests. */
const RETRY_STATUS = new Set([408, 425, 429])

/** `text` is the body, or its beginning. */
export function outcomeOf(status: number, text: string): CreditOutcome {
  const said = text === '' ? '' : `: ${excerpt(text)}`
  if (status >= 200 && status < 300) return outcomeOfSuccess(status, text)
  if (status >= 500 || RETRY_STATUS.has(status)) return { kind: 'unavailable', detail: `HTTP ${status}${said}` }
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
  if (NOT_PAID.has(status)) return { kind: 'refused', detail: `the wallet answered status "${excerpt(status)}"` }
  return { kind: 'paid', payoutId: storable(payoutId), status: storable(status) }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** Enough to recognise it by; a partner's page of HTML does not belong in the ledger. */
function excerpt(text: string): string {
  const line = storable(text).replaceAll(/\s+/g, ' ')
  return line.length > 200 ? `${line.slice(0, 200)}…` : line
}

/** What Postgres can keep as text: no NUL, no lone surrogates. */
function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD').replaceAll(/\p{Surrogate}/gu, '\uFFFD')
}
