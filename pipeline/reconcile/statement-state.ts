import type { RewardStatus } from '../../core/model/reward-status.ts'
import type { StatementLine, StatementState } from '../../core/ports/reconciliation.ts'

/** What the lines of one request come to: a reversal outranks the payment that it takes back, a payment the tries before. */
export function stateOf(lines: readonly StatementLine[]): StatementState | undefined {
  return (['reversed', 'paid', 'pending', 'failed'] as const).find((state) =>
    lines.some((line) => line.state === state),
  )
}

/**
 * Whether the statement and the ledger agree. `under_way`: the ledger asks, or is about to; the answer will settle it.
 * What failed or was stopped in doubt is a difference where it was paid: nobody asks any more.
 */
export function judgeState(statement: StatementState, status: RewardStatus): 'agree' | 'under_way' | 'differ' {
  if (statement === 'pending') return 'agree'
  if (statement !== 'paid') return status === 'succeeded' ? 'differ' : 'agree'
  if (status === 'succeeded') return 'agree'
  return status === 'reserved' || status === 'sent' ? 'under_way' : 'differ'
}

/** Why, in a sentence without its full stop, and what may mend it. */
export function stateCause(
  statement: StatementState,
  status: RewardStatus,
  reserves: boolean,
): { readonly cause: string; readonly resend: boolean } {
  if (statement === 'reversed') {
    return { cause: 'the wallet has taken the payment back; the ledger does not know of reversals', resend: false }
  }
  if (statement === 'failed') {
    return { cause: 'the wallet answered that it had paid, and its statement says that it did not', resend: false }
  }
  if (status === 'failed') {
    const doubt = reserves ? ', which is why its reservation was kept' : ''
    return { cause: `the wallet paid and its answers were lost until no try was left${doubt}`, resend: true }
  }
  if (status === 'frozen') {
    return { cause: 'the player was restricted between two calls, and the first of them had paid', resend: false }
  }
  if (status === 'voided' || status === 'expired') {
    return { cause: `it was sent before it was ${status}, and that call had paid`, resend: false }
  }
  return { cause: 'it was never due, so somebody else has sent the wallet an order with its request id', resend: false }
}
