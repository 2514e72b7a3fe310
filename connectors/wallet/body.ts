import { CASH_TYPES } from '../../core/cost.ts'
import { OncewardError } from '../../core/errors.ts'
import type { Reward } from '../../core/model/reward.ts'
import { formatMoney, parseMoney } from '../../core/money.ts'
import type { CreditRequest } from '../../core/ports/wallet.ts'

/**
 * The body of a call: one JSON for every reward type, which holds both forms of SPEC S4 (the partner's and the wallet's).
 * A function of the task alone, so that every try sends the same bytes. `cost` stays here: it is the operator's affair.
 * `kyc_level` is the level that the rule demands. Amounts are JSON numbers written from exact hundredths, never from a float:
 * money always with two decimals, counts without those they do not need. Throws ONCEWARD_E_MONEY_INVALID for an amount that
 * is negative or no amount.
 */
export function creditBody(request: CreditRequest): string {
  const { cost: _cost, wagering, expiry_at: expiryAt, ...reward } = request.reward
  const amount = amountText(request.reward)
  return object({
    request_id: JSON.stringify(request.requestId),
    user_id: JSON.stringify(request.userId),
    reward: object({ ...texts(reward), amount }),
    amount,
    currency: JSON.stringify(reward.currency),
    reason: JSON.stringify(`rule:${request.ruleId}`),
    milestone: request.threshold === undefined ? undefined : JSON.stringify(`milestone_${request.threshold}_points`),
    kyc_level: JSON.stringify(request.guardrails.kyc_min_level),
    constraints: JSON.stringify({ wagering, expiry_at: expiryAt }),
  })
}

/** `type`, `amount`, `currency` stand where they stood in the task: a later `amount` of the same name keeps its place. */
function texts(reward: object): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(reward).map(([name, value]) => [name, JSON.stringify(value)]))
}

function amountText({ type, amount: given }: Reward): string | undefined {
  // Tasks come from outside: an amount beyond what a number holds exactly is text there, whatever the type says.
  const amount: unknown = given
  if (amount === undefined || amount === null) return undefined
  if (typeof amount !== 'number' && typeof amount !== 'string') {
    throw new OncewardError(
      'ONCEWARD_E_MONEY_INVALID',
      `the amount is of the kind ${typeof amount}; it must be a number`,
    )
  }
  const cents = parseMoney(amount)
  if (cents < 0n) {
    throw new OncewardError(
      'ONCEWARD_E_MONEY_INVALID',
      `the amount ${formatMoney(cents)} is negative; a reward never takes`,
    )
  }
  const text = formatMoney(cents)
  return CASH_TYPES.has(type) ? text : text.replace(/\.00$|(?<=\.\d)0$/, '')
}

/** An object of JSON texts. */
function object(parts: Readonly<Record<string, string | undefined>>): string {
  const fields = Object.entries(parts).filter(([, text]) => text !== undefined)
  return `{${fields.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`
}
