import { hasCode, OncewardError } from '../../core/errors.ts'
import { malformed, Refusal } from '../../core/refusal.ts'

/** The same words whatever was wrong with the key. */
export function unauthenticated(): Refusal {
  return new Refusal(
    'ONCEWARD_E_REQUEST_UNAUTHENTICATED',
    401,
    'show a key that is known here: Authorization: Bearer KEY',
  )
}

export function forbidden(scope: string): Refusal {
  return new Refusal('ONCEWARD_E_REQUEST_FORBIDDEN', 403, `this key does not have the scope ${scope}`)
}

const RETRY_SECONDS = 5

/** What a caller is told of whatever was thrown; undefined: a defect of ours. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (hasCode(error, 'ONCEWARD_E_LETTER_UNKNOWN')) return new Refusal(error.code, 404, error.message)
  if (hasCode(error, 'ONCEWARD_E_LETTER_REFUSED')) return new Refusal(error.code, 422, error.message)
  if (hasCode(error, 'ONCEWARD_E_MAPPING_INVALID')) return new Refusal(error.code, 400, error.message)
  // Each letter is decided once, so that whatever came of it, the same call again is right.
  if (error instanceof OncewardError && (error.retry || error.code === 'ONCEWARD_E_LOG_FENCED')) {
    return new Refusal(error.code, 503, 'it cannot be said now; send the same again', RETRY_SECONDS)
  }
  if (error instanceof OncewardError && error.blame !== 'internal') return new Refusal(error.code, 503, error.message)
  return undefined
}

/** What fastify says before a handler is asked. */
export function frameworkRefusal(error: unknown): Refusal | undefined {
  const status = statusOf(error)
  if (status === 413) return new Refusal('ONCEWARD_E_REQUEST_TOO_LARGE', 413, 'the body is too large')
  if (status === 415) return malformed('a body is JSON: Content-Type: application/json', 415)
  if (status !== undefined && status >= 400 && status < 500) return malformed('this request cannot be read', status)
  return undefined
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined
  return typeof error.statusCode === 'number' ? error.statusCode : undefined
}
