/** What `onceward reconcile` prints: totals, budgets, differences by kind and one by one. */
import { formatMoney } from '../../core/money.ts'
import type { BudgetEntry } from '../../core/ports/reconciliation.ts'
import {
  DIFFERENCE_KINDS,
  type Difference,
  type DifferenceKind,
  NOTE_KINDS,
} from '../../pipeline/reconcile/difference.ts'
import type { Total } from '../../pipeline/reconcile/totals.ts'
import { formatCount } from '../progress.ts'
import { textTable } from '../text-table.ts'
import type { Reconciled } from './reconciliation.ts'

/** The first differences of each kind, and how many there are. Memory: `show` of each kind. */
export class Kept {
  readonly counts = new Map<DifferenceKind, number>()
  readonly #kept: Difference[] = []
  readonly #show: number

  constructor(show: number) {
    this.#show = show
  }

  add(differences: readonly Difference[]): void {
    for (const difference of differences) {
      const count = (this.counts.get(difference.kind) ?? 0) + 1
      this.counts.set(difference.kind, count)
      if (count <= this.#show) this.#kept.push(difference)
    }
  }

  /** By kind, in the order of DIFFERENCE_KINDS. */
  listed(): readonly Difference[] {
    return KINDS.flatMap((kind) => this.#kept.filter((difference) => difference.kind === kind))
  }
}

const KINDS = Object.keys(DIFFERENCE_KINDS) as readonly DifferenceKind[]

export interface ReportOptions {
  /** What was compared: `reward.tasks, the ledger, budgets`. */
  readonly sides: string
  readonly fix: boolean
}

export function report(reconciled: Reconciled, kept: Kept, options: ReportOptions): string {
  const { at, totals, budgets, differences } = reconciled
  return [
    `compared ${options.sides}, as of ${new Date(at).toISOString()} by the ledger's clock\n`,
    totalsTable(totals),
    ...(budgets.length === 0 ? [] : [budgetsTable(budgets)]),
    ...notes(reconciled),
    ...(differences === 0 ? ['nothing differs\n'] : differing(reconciled, kept, options)),
  ].join('\n')
}

function totalsTable(totals: readonly Total[]): string {
  const rows = totals.map(({ side, state, currency, count, sum }) => [
    `${side} ${state}`,
    formatCount(count),
    formatMoney(sum),
    currency ?? '-',
  ])
  return textTable([['rewards', 'count', 'sum', 'currency'], ...rows])
}

function budgetsTable(budgets: readonly BudgetEntry[]): string {
  const rows = budgets.map(({ poolId, period, budget, spent, reserved, overrun }) => [
    `${poolId} ${period}`,
    budget === null ? 'none' : formatMoney(budget),
    formatMoney(spent),
    formatMoney(reserved),
    formatMoney(overrun),
  ])
  return textTable([['pool', 'budget', 'spent', 'reserved', 'overrun'], ...rows])
}

function notes({ notes: counted, unreadable, withoutId }: Reconciled): string[] {
  const lines = [...counted].map(([kind, count]) => `note: ${formatCount(count)} × ${NOTE_KINDS[kind]}`)
  if (unreadable > 0) {
    lines.push(
      `note: ${formatCount(unreadable)} × on the topic and not readable as a reward; the sinks put such records into dlq`,
    )
  }
  if (withoutId > 0)
    lines.push(`note: ${formatCount(withoutId)} × in the statement without a request id, and not compared`)
  return lines.length === 0 ? [] : [`${lines.join('\n')}\n`]
}

function differing({ differences }: Reconciled, kept: Kept, { fix }: ReportOptions): string[] {
  const counts = KINDS.flatMap((kind) => {
    const count = kept.counts.get(kind)
    return count === undefined ? [] : [[DIFFERENCE_KINDS[kind], formatCount(count)]]
  })
  const listed = kept.listed()
  const more = differences - listed.length
  return [
    textTable([['differences', 'count'], ...counts, ['in all', formatCount(differences)]]),
    `${listed.map(paragraph).join('\n')}${more > 0 ? `\nand ${formatCount(more)} more; --out FILE has them all\n` : ''}`,
    ...(fix ? [proposals(listed)] : []),
  ]
}

function paragraph(difference: Difference): string {
  const { kind, says, cause } = difference
  const ids = [
    ['task', difference.task_id],
    ['request', difference.request_id],
    ['payout', difference.payout_id],
    ['player', difference.user_id],
    ['pool', difference.pool_id],
    ['period', difference.period],
  ].flatMap(([name, id]) => (id === null ? [] : [`${name} ${id}`]))
  const sides = Object.entries(says).map(([side, text]) => `${side}: ${text}`)
  return [`${kind}  ${ids.join('  ')}`, `    ${sides.join('; ')}`, `    likely: ${cause}`].map(lineOf).join('')
}

/** What others wrote must not steer the terminal. */
function lineOf(text: string): string {
  return `${text.replaceAll(/\p{Cc}/gu, '\uFFFD')}\n`
}

function proposals(listed: readonly Difference[]): string {
  const commands = [...new Set(listed.flatMap(({ fix }) => fix ?? []))]
  if (commands.length === 0)
    return 'none of these can be mended by a command of ours; the likely causes say whom to ask\n'
  return `what may mend it, once the cause is clear; nothing has been done:\n${commands.map((command) => lineOf(`    ${command}`)).join('')}`
}

/** The last line of --json. */
export function summaryOf(
  { at, totals, budgets, differences, notes: counted, unreadable, withoutId }: Reconciled,
  kept: Kept,
): object {
  return {
    type: 'summary',
    at: new Date(at).toISOString(),
    differences,
    by_kind: Object.fromEntries(kept.counts),
    notes: Object.fromEntries(counted),
    unreadable,
    without_request_id: withoutId,
    totals: totals.map((total) => ({ ...total, sum: formatMoney(total.sum) })),
    budgets: budgets.map(({ poolId, period, budget, spent, reserved, overrun }) => ({
      pool_id: poolId,
      period,
      budget: budget === null ? null : formatMoney(budget),
      spent: formatMoney(spent),
      reserved: formatMoney(reserved),
      overrun: formatMoney(overrun),
    })),
  }
}
