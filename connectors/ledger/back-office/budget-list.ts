import { type SQLQuery, sql } from '@databases/pg'
import type { BudgetView, CostQuestion, CostView } from '../../../core/ports/back-office.ts'
import type { Row } from '../rows.ts'
import { date, money, moneyOrNull, number, text, textOrNull } from './rows.ts'

export const BUDGETS = sql`SELECT *, now() AS now FROM reward_budget ORDER BY pool_id, period`

export function periodsOf(poolId: string): SQLQuery {
  return sql`SELECT period FROM reward_budget WHERE pool_id = ${poolId} ORDER BY period`
}

export function budgetViewOf(row: Row): BudgetView {
  const budget = moneyOrNull(row, 'budget')
  const [spent, reserved] = [money(row, 'spent'), money(row, 'reserved')]
  const since = date(row, 'created_at')
  return {
    poolId: text(row, 'pool_id'),
    period: text(row, 'period'),
    budget,
    softCap: moneyOrNull(row, 'soft_cap'),
    spent,
    reserved,
    overrun: money(row, 'overrun'),
    breakerPercent: number(row, 'breaker_percent'),
    since,
    dryAt: budget === null ? null : dryAt({ since, now: date(row, 'now'), gone: spent + reserved, budget }),
  }
}

/** Later than JavaScript's last date is never. */
const LAST_DATE_MS = 8.64e15

/** When all is gone if it goes on as since `since`; null: it never is, or it is gone already. */
export function dryAt(of: {
  readonly since: Date
  readonly now: Date
  readonly gone: bigint
  readonly budget: bigint
}): Date | null {
  const left = of.budget - of.gone
  const elapsedMs = of.now.getTime() - of.since.getTime()
  if (of.gone <= 0n || left <= 0n || elapsedMs <= 0) return null
  const ms = of.now.getTime() + (elapsedMs * Number(left)) / Number(of.gone)
  return ms > LAST_DATE_MS ? null : new Date(ms)
}

/** By event time. Open: what is reserved, on its way or in doubt. GROUPING SETS, because players do not add up over groups. */
export function costs({ from, until, by }: CostQuestion): SQLQuery {
  const group = { pool: sql`l.pool_id`, rule: sql`l.rule_id`, type: sql`l.type` }[by]
  const bounds = [
    ...(from === undefined ? [] : [sql`l.issued_at >= ${new Date(from).toISOString()}::timestamptz`]),
    ...(until === undefined ? [] : [sql`l.issued_at < ${new Date(until).toISOString()}::timestamptz`]),
  ]
  return sql`
    SELECT
      grouping(name) AS whole, name,
      count(*) FILTER (WHERE paid)::int AS rewards,
      COALESCE(sum(cost) FILTER (WHERE paid), 0) AS paid,
      COALESCE(sum(cost) FILTER (WHERE reserves), 0) AS open,
      count(DISTINCT user_id) FILTER (WHERE paid)::int AS players,
      count(DISTINCT user_id) FILTER (WHERE paid AND payer)::int AS payers
    FROM (
      SELECT COALESCE(${group}, '') AS name, l.cost, l.user_id, l.payer, l.reserves, l.status = 'succeeded' AS paid
      FROM reward_ledger l
      WHERE (l.status = 'succeeded' OR l.reserves) ${bounds.length === 0 ? sql`` : sql`AND ${sql.join(bounds, ' AND ')}`}
    ) counted
    GROUP BY GROUPING SETS ((), (name)) ORDER BY whole, name`
}

export function costViewOf(row: Row): CostView {
  return {
    group: row['whole'] === 1 ? null : (textOrNull(row, 'name') ?? ''),
    rewards: number(row, 'rewards'),
    paid: money(row, 'paid'),
    open: money(row, 'open'),
    players: number(row, 'players'),
    payers: number(row, 'payers'),
  }
}
