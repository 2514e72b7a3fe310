import { CASH_TYPES } from '../../core/cost.ts'
import { messageOf } from '../../core/errors.ts'
import { type Cents, formatMoney, parseMoney } from '../../core/money.ts'

export interface Order {
  readonly requestId: string
  readonly userId: string
  readonly type: string
  readonly currency: string | undefined
  /** 0 where the reward has none. */
  readonly amount: Cents
}

/** Reads an order; answers a sentence where it is none, or one that no wallet would carry out. */
export function parseOrder(requestId: string, body: Buffer, currencies?: readonly string[]): Order | string {
  try {
    const text = body.toString()
    const order = JSON.parse(exactNumbers(text)) as {
      request_id?: unknown
      user_id?: unknown
      amount?: unknown
      reward?: { type?: unknown; amount?: unknown; currency?: unknown } | null
    }
    const reward = order.reward ?? {}
    if (order.request_id !== requestId) return 'request_id of the body differs from X-Request-Id'
    if (typeof order.user_id !== 'string' || order.user_id === '' || typeof reward.type !== 'string') {
      return 'user_id or reward.type is missing'
    }
    const amount = amountOf(reward.amount)
    if (amountOf(order.amount) !== amount) return 'amount differs from reward.amount'
    if (amount < 0n) return `the amount ${formatMoney(amount)} is negative`
    const currency = typeof reward.currency === 'string' ? reward.currency : undefined
    if (CASH_TYPES.has(reward.type) && currencies !== undefined && !currencies.includes(currency ?? '')) {
      return `the currency is ${JSON.stringify(currency)}; this wallet pays in ${currencies.join(', ')}`
    }
    return { requestId, userId: order.user_id, type: reward.type, currency, amount }
  } catch (error) {
    return `not an order: ${messageOf(error)}`
  }
}

function amountOf(amount: unknown): Cents {
  if (amount === undefined || amount === null) return 0n
  if (typeof amount === 'number' || typeof amount === 'string') return parseMoney(amount)
  throw new Error('the amount is no number')
}

const LONG_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.]{14,}/g

/** JSON numbers too long for a double, such as 9999999999999999.99, become texts, which hold every digit. */
function exactNumbers(json: string): string {
  if (!/\d[\d.]{14}/.test(json)) return json
  return json.replaceAll(LONG_NUMBER, (token) => (token.startsWith('"') ? token : `"${token}"`))
}
