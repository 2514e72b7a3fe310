/** What is asked of the ledger without changing it. */
import { type SQLQuery, sql } from '@databases/pg'

export const OUTSTANDING = sql`SELECT count(*)::int AS count FROM reward_outbox`

/** What was sent to a partner that is configured no more stands here for ever: nobody else may pay it. */
export const WAITING = sql`
  SELECT partner, count(*)::int AS tasks, (extract(epoch FROM now() - min(available_at)) * 1000)::float8 AS longest_ms
  FROM reward_outbox WHERE available_at <= now() GROUP BY partner ORDER BY partner`

export const TOTALS = sql`
  SELECT status, count(*)::int AS count, sum(cost) AS cost FROM reward_ledger GROUP BY status ORDER BY status`

export const BUDGETS = sql`
  SELECT pool_id, period, budget, soft_cap, spent, reserved, overrun FROM reward_budget ORDER BY pool_id, period`

/** Reads the whole ledger: an index by the time of change would make each move write all indices of its row. */
export function latestStatement(limit: number): SQLQuery {
  return sql`
    SELECT reward_task_id, user_id, pool_id, type, value, currency, cost, status, payout_id, failure, updated_at
    FROM reward_ledger ORDER BY updated_at DESC, id DESC LIMIT ${limit}`
}
