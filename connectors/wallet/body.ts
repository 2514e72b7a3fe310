import type { CreditRequest } from '../../core/ports/wallet.ts'

/**
 * The body of a call: one JSON for every reward type, which holds both forms of SPEC S4 (the partner's and the wallet's).
 * A function of the task alone, so that every try sends the same bytes. `cost` stays here: it is the operator's affair.
 * `kyc_level` is the level that the rule demands.
 */
export function creditBody(request: CreditRequest): string {
  const { cost: _cost, wagering, expiry_at: expiryAt, ...reward } = request.reward
  return JSON.stringify({
    request_id: request.requestId,
    user_id: request.userId,
    reward,
    amount: reward.amount,
    currency: reward.currency,
    reason: `rule:${request.ruleId}`,
    milestone: request.threshold === undefined ? undefined : `milestone_${request.threshold}_points`,
    kyc_level: request.guardrails.kyc_min_level,
    constraints: { wagering, expiry_at: expiryAt },
  })
}
