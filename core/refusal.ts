import { type ErrorCode, OncewardError } from './errors.ts'

/** What a caller over HTTP is told instead of an answer. */
export class Refusal extends OncewardError {
  readonly status: number
  /** Seconds, for the header Retry-After. */
  readonly retryAfter: number | undefined

  constructor(code: ErrorCode, status: number, message: string, retryAfter?: number) {
    super(code, message)
    this.status = status
    this.retryAfter = retryAfter
  }
}

export function malformed(message: string, status = 400): Refusal {
  return new Refusal('ONCEWARD_E_REQUEST_MALFORMED', status, message)
}

/** The body of a refusal. */
export function refusalBody({ code, message }: Pick<Refusal, 'code' | 'message'>): string {
  return JSON.stringify({ error: { code, message } })
}
