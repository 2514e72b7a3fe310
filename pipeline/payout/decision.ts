/** What follows from a call to the wallet: a pure function, so that each way money could go wrong is a row of a table. */
import { unreachable } from '../../core/assert.ts'
import { HOUR_MS } from '../../core/durations.ts'
import type { CreditOutcome } from '../../core/ports/wallet.ts'

export interface RetryPolicy {
  /** Tries after the first; SPEC S4: at most 8. */
  readonly retriesMax: number
  /** The first retry waits up to this, each further one up to twice as long. */
  readonly baseMs: number
  /** No retry waits longer of its own accord. */
  readonly capMs: number
  /** Longest time that a partner is left alone because it asked for it; default an hour. */
  readonly retryAfterMsMax?: number
}

/** Nine tries within about two minutes on average, four at most. */
export const RETRY_POLICY: RetryPolicy = { retriesMax: 8, baseMs: 500, capMs: 60_000, retryAfterMsMax: HOUR_MS }

export type Decision =
  | { readonly kind: 'succeeded'; readonly payoutId: string; readonly payoutStatus: string }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly reason: string }
  /** `inDoubt`: it may have been paid all the same. */
  | { readonly kind: 'dead-letter'; readonly reason: string; readonly inDoubt: boolean }

/** What is known of earlier calls about the same reward. */
export interface Before {
  /** Calls booked as failed before this one. */
  readonly attempts: number
  /** There may have been a call before this one, booked or not. */
  readonly again: boolean
}

const LOOK_UP = 'the wallet may have paid, so look the request id up there before paying by hand'

/**
 * `draw` in [0, 1) spreads the retries. A refusal answers for its own call only: where an earlier one stayed without an
 * answer, that one may have paid, and a partner that has forgotten it, or has closed the account since, refuses the repeat.
 * So the safe side is doubt: the reservation stays and nobody pays it again unseen.
 */
export function decide(outcome: CreditOutcome, before: Before, policy: RetryPolicy, draw: number): Decision {
  const { attempts } = before
  switch (outcome.kind) {
    case 'paid':
      return { kind: 'succeeded', payoutId: outcome.payoutId, payoutStatus: outcome.status }
    case 'refused': {
      const reason = `the wallet refused: ${outcome.detail}`
      if (attempts === 0 && !before.again) return { kind: 'dead-letter', reason, inDoubt: false }
      return { kind: 'dead-letter', reason: `${reason}; an earlier call had no answer and ${LOOK_UP}`, inDoubt: true }
    }
    case 'unavailable':
      if (attempts < policy.retriesMax) {
        return { kind: 'retry', delayMs: delayMs(outcome, attempts, policy, draw), reason: outcome.detail }
      }
      return {
        kind: 'dead-letter',
        reason: `no success after ${attempts + 1} calls, the last: ${outcome.detail}; ${LOOK_UP}`,
        inDoubt: true,
      }
    default:
      return unreachable(outcome)
  }
}

/** Never before the time that the partner asked for; the backoff comes on top, so that all do not come back at once. */
function delayMs(
  { retryAfterMs = 0 }: Extract<CreditOutcome, { kind: 'unavailable' }>,
  attempts: number,
  policy: RetryPolicy,
  draw: number,
): number {
  const asked = Math.min(Math.max(0, retryAfterMs), policy.retryAfterMsMax ?? HOUR_MS)
  return asked + backoffMs(attempts, policy, draw)
}

/**
 * Exponential backoff with full jitter: uniform in [0, min(cap, base · 2^attempts)), so that tasks which failed together
 * do not come back together.
 */
export function backoffMs(attempts: number, policy: Pick<RetryPolicy, 'baseMs' | 'capMs'>, draw: number): number {
  return Math.floor(draw * Math.min(policy.capMs, policy.baseMs * 2 ** attempts))
}
