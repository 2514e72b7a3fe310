/** Counts and sums of each side by currency. Memory: one row for each combination of side, state and currency. */
import type { Cents } from '../../core/money.ts'
import type { LedgerEntry, StatementLine } from '../../core/ports/reconciliation.ts'
import type { Terms, TopicEntry } from './sides.ts'

export interface Total {
  readonly side: 'topic' | 'ledger' | 'statement'
  readonly state: string
  /** Null: no money, or none is said. */
  readonly currency: string | null
  count: number
  sum: Cents
}

export interface Totals {
  topic(entry: TopicEntry): void
  ledger(entry: LedgerEntry): void
  statement(line: StatementLine): void
  rows(): readonly Total[]
}

const SIDES = ['topic', 'ledger', 'statement'] as const

/** Each side by its own time: events by when they were earned, payments by when they were made. */
export function createTotals(period: Terms['period']): Totals {
  const totals = new Map<string, Total>()
  const add = (one: Omit<Total, 'count' | 'sum'>, amount: Cents, at: number | null): void => {
    if (period !== undefined && at !== null && (at < period.from || at >= period.until)) return
    const key = JSON.stringify([one.side, one.state, one.currency])
    const total = totals.get(key) ?? { ...one, count: 0, sum: 0n }
    total.count += 1
    total.sum += amount
    totals.set(key, total)
  }
  return {
    topic: ({ said: state, currency, value, issuedAt }) => add({ side: 'topic', state, currency }, value, issuedAt),
    ledger: ({ status, currency, value, issuedAt }) =>
      add({ side: 'ledger', state: status, currency }, value, issuedAt),
    statement: ({ state, currency, amount, paidAt }) => add({ side: 'statement', state, currency }, amount, paidAt),
    rows: () =>
      [...totals.values()].sort(
        (a, b) =>
          SIDES.indexOf(a.side) - SIDES.indexOf(b.side) ||
          a.state.localeCompare(b.state) ||
          (a.currency ?? '').localeCompare(b.currency ?? ''),
      ),
  }
}
