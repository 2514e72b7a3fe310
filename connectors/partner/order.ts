import { type Cents, parseMoney } from '../../core/money.ts'
import { messageOf } from '../../core/errors.ts'

export interface Order {
  readonly requestId: string
  readonly type: string
  readonly currency: string | undefined
  /** 0 where the reward has none. */
  readonly amount: Cents
}

/** Reads an order; answers a sentence where it is none. */
export function parseOrder(requestId: string | undefined, body: Buffer): Order | string {
  if (requestId === undefined || requestId === '') return 'X-Request-Id is missing'
  try {
    const order = JSON.parse(body.toString()) as {
      request_id?: unknown
      user_id?: unknown
      reward?: { type?: unknown; amount?: unknown; currency?: unknown } | null
    }
    const reward = order.reward ?? {}
    if (order.request_id !== requestId) return 'request_id of the body differs from X-Request-Id'
    if (typeof order.user_id !== 'string' || typeof reward.type !== 'string') return 'user_id or reward.type is missing'
    const amount = reward.amount
    return {
      requestId,
      type: reward.type,
      currency: typeof reward.currency === 'string' ? reward.currency : undefined,
      amount: typeof amount === 'number' || typeof amount === 'string' ? parseMoney(amount) : 0n,
    }
  } catch (error) {
    return `not an order: ${messageOf(error)}`
  }
}
