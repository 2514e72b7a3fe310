/** Pools against the sum of their rewards. Memory: one entry for each pool and period, with at most CORRECTIONS_MAX causes. */
import { type Cents, formatMoney } from '../../core/money.ts'
import type { BudgetEntry, LedgerEntry } from '../../core/ports/reconciliation.ts'
import type { Difference, DifferenceKind } from './difference.ts'
import type { Correction } from './sides.ts'

/** Every subset is tried, and there are 2^n of them; those beyond are taken together. */
const CORRECTIONS_MAX = 12

export interface BudgetTally {
  add(ledger: LedgerEntry): void
  /** What other differences say that the sums lack. */
  correct(corrections: readonly Correction[]): void
  differences(budgets: readonly BudgetEntry[]): Difference[]
}

interface Sums {
  spent: Cents
  reserved: Cents
}

export function createBudgetTally(): BudgetTally {
  const sums = new Map<string, Sums>()
  const corrections = new Map<string, Cents[]>()
  return {
    add({ poolId, poolPeriod, cost, status, reserves }) {
      if (poolId === null || (status !== 'succeeded' && !reserves)) return
      const sum = entryOf(sums, keyOf(poolId, poolPeriod), () => ({ spent: 0n, reserved: 0n }))
      if (status === 'succeeded') sum.spent += cost
      if (reserves) sum.reserved += cost
    },
    correct(given) {
      for (const { poolId, period, column, lacks } of given) {
        if (lacks === 0n) continue
        const list = entryOf(corrections, keyOf(poolId, period, column), () => [])
        if (list.length < CORRECTIONS_MAX) list.push(lacks)
        else list[CORRECTIONS_MAX - 1] = (list[CORRECTIONS_MAX - 1] ?? 0n) + lacks
      }
    },
    differences(budgets) {
      const none = budgetless(sums, budgets)
      return [...budgets, ...none].flatMap((budget) => {
        const { poolId, period } = budget
        const sum = sums.get(keyOf(poolId, period)) ?? { spent: 0n, reserved: 0n }
        const causes = (column: Correction['column']): readonly Cents[] => [
          ...(corrections.get(keyOf(poolId, period, column)) ?? []),
          ...(corrections.get(keyOf(poolId, null, column)) ?? []),
        ]
        return compareBudget(budget, sum, causes)
      })
    },
  }
}

/** Pools that rewards were taken from and that have no row. */
function budgetless(sums: ReadonlyMap<string, Sums>, budgets: readonly BudgetEntry[]): BudgetEntry[] {
  const known = new Set(budgets.map(({ poolId, period }) => keyOf(poolId, period)))
  return [...sums.keys()]
    .filter((key) => !known.has(key))
    .map((key) => {
      const [poolId = '', period = ''] = JSON.parse(key) as string[]
      return { poolId, period, budget: null, spent: 0n, reserved: 0n, overrun: 0n }
    })
}

function compareBudget(
  budget: BudgetEntry,
  sum: Sums,
  causes: (column: Correction['column']) => readonly Cents[],
): Difference[] {
  const found: Difference[] = []
  for (const column of ['spent', 'reserved'] as const) {
    const rest = unexplained(budget[column] - sum[column], causes(column))
    if (rest !== 0n) found.push(offBy(budget, column, { sum: sum[column], rest }))
  }
  const taken = budget.spent + budget.reserved
  // Where what is taken was itself changed by hand, that is the finding.
  if (found.length === 0 && budget.budget !== null && taken > budget.budget + budget.overrun)
    found.push(above(budget, taken))
  return found
}

/** What is left of `off` once other differences have explained what they can: nothing, where some of them add up to it. */
export function unexplained(off: Cents, causes: readonly Cents[]): Cents {
  if (off === 0n) return 0n
  let reached = new Set<Cents>([0n])
  for (const cause of causes) {
    const next = new Set(reached)
    for (const sum of reached) next.add(sum + cause)
    if (next.has(off)) return 0n
    reached = next
  }
  return off - causes.reduce((sum, cause) => sum + cause, 0n)
}

function offBy(
  budget: BudgetEntry,
  column: 'spent' | 'reserved',
  { sum, rest }: { readonly sum: Cents; readonly rest: Cents },
): Difference {
  const what = column === 'spent' ? 'that was paid' : 'that is reserved'
  return budgetDifference(column === 'spent' ? 'budget_spent' : 'budget_reserved', budget, {
    says: { budget: formatMoney(budget[column]), ledger: formatMoney(sum), difference: formatMoney(rest) },
    cause: `${column} was changed by hand, or rows ${what} were changed or deleted without it`,
  })
}

function above(budget: BudgetEntry, taken: Cents): Difference {
  const { budget: cap, overrun } = budget
  const says = {
    budget: `${formatMoney(cap ?? 0n)} and an overrun of ${formatMoney(overrun)}`,
    taken: formatMoney(taken),
  }
  return budgetDifference('budget_above', budget, {
    says,
    cause: 'the budget was lowered below what was gone already, or changed while its trigger was off',
  })
}

function budgetDifference(
  kind: DifferenceKind,
  { poolId, period }: BudgetEntry,
  { says, cause }: Pick<Difference, 'says' | 'cause'>,
): Difference {
  return {
    kind,
    task_id: null,
    request_id: null,
    payout_id: null,
    user_id: null,
    pool_id: poolId,
    period,
    says,
    cause,
    fix: null,
  }
}

function keyOf(...parts: readonly (string | null)[]): string {
  return JSON.stringify(parts)
}

function entryOf<V>(map: Map<string, V>, key: string, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
