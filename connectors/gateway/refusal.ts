import { hasCode } from '../../core/errors.ts'
import { Refusal } from '../../core/refusal.ts'

/** The client has gone, or its connection was cut: nobody can be answered. */
export class ClientGone extends Error {
  override name = 'ClientGone'
}

/** How long a caller should wait where nobody can say how long it takes. */
const BUS_AWAY_SECONDS = 2
const AUDIT_AWAY_SECONDS = 5

/** Always the same words: whoever guesses learns nothing. */
export function unauthenticated(): Refusal {
  return new Refusal(
    'ONCEWARD_E_REQUEST_UNAUTHENTICATED',
    401,
    'the request does not say who sends it, or what says so does not hold; check key, secret, clock and address',
  )
}

export function forbidden(message: string): Refusal {
  return new Refusal('ONCEWARD_E_REQUEST_FORBIDDEN', 403, message)
}

export function tooLarge(message: string): Refusal {
  return new Refusal('ONCEWARD_E_REQUEST_TOO_LARGE', 413, message)
}

export function limited(message: string, waitMs: number): Refusal {
  return new Refusal('ONCEWARD_E_REQUEST_LIMITED', 429, message, Math.max(1, Math.ceil(waitMs / 1_000)))
}

export function overloaded(): Refusal {
  return unavailable('the gateway holds as many bodies as it may at once; send it again')
}

function unavailable(message: string): Refusal {
  return new Refusal('ONCEWARD_E_LOG_UNAVAILABLE', 503, message, BUS_AWAY_SECONDS)
}

/** What becomes of a request whose handling threw. */
export type Failure =
  | { readonly kind: 'refuse'; readonly refusal: Refusal }
  /** The events may be on the bus or not: neither yes nor no would be true, so the connection is cut without an answer. */
  | { readonly kind: 'cut' }
  /** Nobody is there any more. */
  | { readonly kind: 'gone' }
  /** A defect of ours: logged, and answered with 500. */
  | { readonly kind: 'bug'; readonly refusal: Refusal }

export function failureOf(error: unknown): Failure {
  if (error instanceof Refusal) return { kind: 'refuse', refusal: error }
  if (error instanceof ClientGone) return { kind: 'gone' }
  if (hasCode(error, 'ONCEWARD_E_LOG_COMMIT_UNKNOWN')) return { kind: 'cut' }
  if (hasCode(error, 'ONCEWARD_E_LOG_UNAVAILABLE', 'ONCEWARD_E_LOG_CLOSED')) {
    return { kind: 'refuse', refusal: unavailable('the bus cannot take events now; nothing was taken, send it again') }
  }
  if (hasCode(error, 'ONCEWARD_E_AUDIT_UNWRITABLE')) {
    const message = 'the audit log cannot be written now; nothing was taken, send it again'
    return { kind: 'refuse', refusal: new Refusal(error.code, 503, message, AUDIT_AWAY_SECONDS) }
  }
  if (hasCode(error, 'ONCEWARD_E_REQUEST_CONFLICT')) {
    return { kind: 'refuse', refusal: new Refusal(error.code, 409, error.message) }
  }
  return { kind: 'bug', refusal: new Refusal('ONCEWARD_E_INTERNAL', 500, 'the gateway has failed; it is in its log') }
}
