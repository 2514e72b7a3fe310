import { formatMoney } from '../../core/money.ts'
import type { Order } from './order.ts'

export interface PartnerStats {
  /** Orders that came, good or bad. */
  readonly calls: number
  /** Request ids paid. */
  readonly distinct: number
  /** Orders for a request id that was paid already. */
  readonly repeats: number
  /** Repeats whose body was not the first one's. */
  readonly differing_repeats: number
  readonly bad_signatures: number
  /** Answered 500 on purpose. */
  readonly failed: number
  /** Not answered on purpose. */
  readonly timed_out: number
  /** What was paid: `bonus_cash EUR` → `380.00`; counts stand under the bare type. */
  readonly amounts: Readonly<Record<string, string>>
}

/** The memory of what was paid: an id and a number for each. */
export function openPayouts(): {
  called(): void
  badSignature(): void
  failed(): void
  timedOut(): void
  /** Pays unless it was paid before. */
  pay(order: Order, digest: number): void
  ids(): readonly string[]
  stats(): PartnerStats
} {
  const paid = new Map<string, number>()
  const amounts = new Map<string, bigint>()
  const counts = { calls: 0, repeats: 0, differing_repeats: 0, bad_signatures: 0, failed: 0, timed_out: 0 }
  return {
    called: () => void counts.calls++,
    badSignature: () => void counts.bad_signatures++,
    failed: () => void counts.failed++,
    timedOut: () => void counts.timed_out++,
    pay(order, digest) {
      const known = paid.get(order.requestId)
      if (known !== undefined) {
        counts.repeats++
        if (known !== digest) counts.differing_repeats++
        return
      }
      paid.set(order.requestId, digest)
      const name = order.currency === undefined ? order.type : `${order.type} ${order.currency}`
      amounts.set(name, (amounts.get(name) ?? 0n) + order.amount)
    },
    ids: () => [...paid.keys()],
    stats: () => ({
      ...counts,
      distinct: paid.size,
      amounts: Object.fromEntries([...amounts].map(([name, cents]) => [name, formatMoney(cents)])),
    }),
  }
}
