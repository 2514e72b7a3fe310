import { formatMoney } from '../../core/money.ts'
import type { BudgetView } from '../../core/ports/back-office.ts'
import type { Context } from '../command.ts'
import { type LedgerSettings, withOffice } from '../rewards/connection.ts'
import { oneLine } from '../rewards/outcomes.ts'
import { textTable } from '../text-table.ts'

export interface BudgetSettings extends LedgerSettings {
  readonly pool: string | undefined
  readonly json: boolean
}

/** Every pool and period, with what is left. */
export async function listBudgets(context: Context<BudgetSettings>): Promise<void> {
  const { settings, terminal } = context
  const all = await withOffice(context, (office) => office.budgets())
  const budgets = settings.pool === undefined ? all : all.filter(({ poolId }) => poolId === settings.pool)
  await terminal.print(
    settings.json ? `${JSON.stringify({ budgets: budgets.map(budgetJson) })}\n` : budgetText(budgets),
  )
}

/** What is left, and how much of the whole is gone, in hundredths of a percent; null: nothing bounds it. */
export function leftOf({
  budget,
  spent,
  reserved,
}: BudgetView): { readonly left: bigint; readonly usedBp: bigint } | null {
  if (budget === null) return null
  const gone = spent + reserved
  return { left: budget - gone, usedBp: budget === 0n ? (gone === 0n ? 0n : 10_000n) : (gone * 10_000n) / budget }
}

function budgetJson(view: BudgetView): Record<string, unknown> {
  const { poolId, period, budget, softCap, spent, reserved, overrun, breakerPercent, dryAt } = view
  const left = leftOf(view)
  return {
    pool: poolId,
    period,
    budget: budget === null ? null : formatMoney(budget),
    soft_cap: softCap === null ? null : formatMoney(softCap),
    spent: formatMoney(spent),
    reserved: formatMoney(reserved),
    overrun: formatMoney(overrun),
    left: left === null ? null : formatMoney(left.left),
    percent: left === null ? null : formatMoney(left.usedBp),
    breaker_percent: breakerPercent,
    dry_at: dryAt?.toISOString() ?? null,
  }
}

const HEADS = ['POOL', 'PERIOD', 'BUDGET', 'SOFT CAP', 'SPENT', 'RESERVED', 'LEFT', 'USED', 'OVERRUN', 'RUNS DRY']

export function budgetText(budgets: readonly BudgetView[]): string {
  if (budgets.length === 0) return 'there is no such budget in this ledger\n'
  const rows = budgets.map((view) => {
    const { poolId, period, budget, softCap, spent, reserved, overrun, dryAt } = view
    const left = leftOf(view)
    return [
      oneLine(poolId),
      period,
      budget === null ? 'none' : formatMoney(budget),
      softCap === null ? '-' : formatMoney(softCap),
      formatMoney(spent),
      formatMoney(reserved),
      left === null ? '-' : formatMoney(left.left),
      left === null ? '-' : `${formatMoney(left.usedBp)} %`,
      overrun === 0n ? '-' : formatMoney(overrun),
      dryAt === null ? '-' : dryAt.toISOString().slice(0, 16),
    ]
  })
  return textTable([HEADS, ...rows])
}
