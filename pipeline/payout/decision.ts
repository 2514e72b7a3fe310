/** What follows from a call to the wallet: a pure function, so that each way money could go wrong is a row of a table. */
import { unreachable } from '../../core/assert.ts'
import type { CreditOutcome } from '../../core/ports/wallet.ts'

export interface RetryPolicy {
  /** Tries after the first; SPEC S4: at most 8. */
  readonly retriesMax: number
  /** The first retry waits up to this, each further one up to twice as long. */
  readonly baseMs: number
  /** No retry waits longer. */
  readonly capMs: number
}

/** Nine tries within about two minutes on average, four at most. */
export const RETRY_POLICY: RetryPolicy = { retriesMax: 8, baseMs: 500, capMs: 60_000 }

export type Decision =
  | { readonly kind: 'succeeded'; readonly payoutId: string; readonly payoutStatus: string }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly reason: string }
  | { readonly kind: 'dead-letter'; readonly reason: string }

/** `attempts`: calls booked as failed before this one. `draw` in [0, 1) spreads the retries. */
export function decide(outcome: CreditOutcome, attempts: number, policy: RetryPolicy, draw: number): Decision {
  switch (outcome.kind) {
    case 'paid':
      return { kind: 'succeeded', payoutId: outcome.payoutId, payoutStatus: outcome.status }
    case 'refused':
      return { kind: 'dead-letter', reason: `the wallet refused: ${outcome.detail}` }
    case 'unavailable':
      if (attempts < policy.retriesMax) {
        return { kind: 'retry', delayMs: backoffMs(attempts, policy, draw), reason: outcome.detail }
      }
      return {
        kind: 'dead-letter',
        reason:
          `no success after ${attempts + 1} calls, the last: ${outcome.detail}; the wallet may have paid, ` +
          'so look the request id up there before paying by hand',
      }
    default:
      return unreachable(outcome)
  }
}

/**
 * Exponential backoff with full jitter: uniform in [0, min(cap, base · 2^attempts)), so that tasks which failed together
 * do not come back together.
 */
export function backoffMs(attempts: number, policy: Omit<RetryPolicy, 'retriesMax'>, draw: number): number {
  return Math.floor(draw * Math.min(policy.capMs, policy.baseMs * 2 ** attempts))
}
