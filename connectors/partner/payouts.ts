/** The memory of what was paid, and the count of what happened. */
import { hash } from 'node:crypto'
import { formatMoney } from '../../core/money.ts'
import type { FaultKind } from './faults.ts'
import type { Order } from './order.ts'
import { openPayoutTable } from './payout-table.ts'

export interface PartnerStats {
  /** Orders that came, good or bad. */
  readonly calls: number
  /** Request ids paid. */
  readonly distinct: number
  /** Orders for a request id that was paid already. */
  readonly repeats: number
  /** Repeats whose body was not the first one's; they got 409. */
  readonly differing_repeats: number
  readonly bad_signatures: number
  /** Orders with a right signature that no wallet would carry out; they got 400. */
  readonly malformed: number
  /** Answered 500 on purpose. */
  readonly failed: number
  /** Not answered on purpose. */
  readonly timed_out: number
  /** Answered 503, or not at all, while the partner was down. */
  readonly down: number
  /** Other faults, on purpose: `late` → 3. */
  readonly faults: Readonly<Record<string, number>>
  /** What was paid: `bonus_cash EUR` → `380.00`; counts stand under the bare type. */
  readonly amounts: Readonly<Record<string, string>>
}

export interface Payout extends Order {
  /** Of the body: a repeat must have the same. */
  readonly digest: number
  /** Unix milliseconds. */
  readonly paidAt: number
}

/** `repeat`: it was paid before. `conflict`: it was, and the order was another one. */
export type Payment = 'paid' | 'repeat' | 'conflict'

type Counter = 'calls' | 'bad_signatures' | 'malformed' | 'failed' | 'timed_out' | 'down'

export interface Payouts {
  count(what: Counter): void
  countFault(kind: FaultKind): void
  /** Pays unless it was paid before. */
  pay(payout: Payout): Payment
  /** In the order of payment. */
  ids(): readonly string[]
  all(): IterableIterator<Payout>
  stats(): PartnerStats
}

/** `before`: what was paid before this process began. `keep` is told of each payout, before anybody else is. */
export function openPayouts(before: Iterable<Payout> = [], keep?: (payout: Payout) => void): Payouts {
  const paid = openPayoutTable()
  const amounts = new Map<string, bigint>()
  const counts = { calls: 0, bad_signatures: 0, malformed: 0, failed: 0, timed_out: 0, down: 0 }
  const repeats = { repeats: 0, differing_repeats: 0 }
  const faults: Partial<Record<FaultKind, number>> = {}
  const book = (payout: Payout): void => {
    paid.add(payout)
    const name = payout.currency === undefined ? payout.type : `${payout.type} ${payout.currency}`
    amounts.set(name, (amounts.get(name) ?? 0n) + payout.amount)
  }
  for (const payout of before) book(payout)
  return {
    count: (what) => void counts[what]++,
    countFault: (kind) => void (faults[kind] = (faults[kind] ?? 0) + 1),
    pay(payout) {
      const known = paid.digestOf(payout.requestId)
      if (known === undefined) {
        keep?.(payout)
        book(payout)
        return 'paid'
      }
      repeats.repeats++
      if (known === payout.digest) return 'repeat'
      repeats.differing_repeats++
      return 'conflict'
    },
    ids: () => [...paid.ids()],
    all: () => paid.all(),
    stats: () => ({
      ...counts,
      ...repeats,
      distinct: paid.size,
      faults: { ...faults },
      amounts: Object.fromEntries([...amounts].map(([name, cents]) => [name, formatMoney(cents)])),
    }),
  }
}

/** Derived, so that nothing must be kept to give a repeat the same answer. */
export function payoutIdOf(requestId: string): string {
  return `po_${hash('sha256', requestId, 'hex').slice(0, 24)}`
}

/** 48 bits: enough to see that a repeat differs. */
export function digestOf(body: Buffer): number {
  return Number.parseInt(hash('sha256', body, 'hex').slice(0, 12), 16)
}
