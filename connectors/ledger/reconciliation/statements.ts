/**
 * What reconciliation asks of the ledger. Pages by key and not a cursor: each statement ends soon, so that the time-out of
 * statements holds, and one transaction makes one snapshot of them all.
 */
import { type SQLQuery, sql } from '@databases/pg'

/** The snapshot begins with the first statement of the transaction. */
export const BEGINNING = sql`
  SELECT (extract(epoch FROM now()) * 1000)::float8 AS at, (SELECT count(*)::int FROM reward_ledger) AS rows`

/**
 * Rewards with what stands beside them. The history is folded for the page's range of ids alone, along its primary key:
 * where it ends, whether each move follows on the one before, and whether there are as many as the row says.
 */
export function entriesStatement(after: bigint, limit: number): SQLQuery {
  return sql`
    WITH page AS MATERIALIZED (
      SELECT * FROM reward_ledger WHERE id > ${after} ORDER BY id LIMIT ${limit}
    ), moves AS (
      SELECT *, lag(to_status) OVER w AS before, lag(move, 1, 0) OVER w AS move_before
      FROM reward_history
      WHERE ledger_id > ${after} AND ledger_id <= (SELECT max(id) FROM page)
      WINDOW w AS (PARTITION BY ledger_id ORDER BY move)
    ), histories AS (
      SELECT
        ledger_id, max(move) AS moves,
        (array_agg(to_status ORDER BY move DESC))[1] AS ends,
        bool_and(from_status IS NOT DISTINCT FROM before AND move = move_before + 1) AS follows,
        bool_or(actor NOT IN ('sink', 'migration')) AS by_person,
        min(at) FILTER (WHERE to_status = 'sent') AS sent_at
      FROM moves GROUP BY ledger_id
    )
    SELECT
      l.id, l.reward_task_id, l.user_id, l.pool_id, l.pool_period, l.type, l.value::text, l.currency, l.cost::text,
      l.status, l.payout_id, l.reserves, l.partner, l.origin,
      (extract(epoch FROM l.issued_at) * 1000)::float8 AS issued_at,
      (extract(epoch FROM l.updated_at) * 1000)::float8 AS moved_at,
      (extract(epoch FROM h.sent_at) * 1000)::float8 AS sent_at,
      t.source, o.ledger_id IS NOT NULL AS outbox, f.frozen_by,
      EXISTS (SELECT FROM reward_hold r WHERE r.ledger_id = l.id AND r.decision IS NULL) AS open_hold,
      h.ends, coalesce(h.moves < l.moves, false) AS cut, coalesce(h.follows AND h.moves = l.moves, false) AS whole, coalesce(h.by_person, false) AS by_person
    FROM page l
    LEFT JOIN histories h ON h.ledger_id = l.id
    LEFT JOIN reward_task t ON t.ledger_id = l.id
    LEFT JOIN reward_outbox o ON o.ledger_id = l.id
    LEFT JOIN reward_freeze f ON f.ledger_id = l.id
    ORDER BY l.id`
}

/** Ids that other tables know and reward_ledger does not: there are none unless somebody deleted rows with the triggers off. */
export function orphansStatement(after: bigint, limit: number): SQLQuery {
  return sql`
    WITH others AS (
      SELECT ledger_id, 'reward_task' AS name FROM reward_task
      UNION ALL SELECT ledger_id, 'reward_history' FROM reward_history WHERE move = 1
      UNION ALL SELECT ledger_id, 'reward_outbox' FROM reward_outbox
      UNION ALL SELECT ledger_id, 'reward_freeze' FROM reward_freeze
      UNION ALL SELECT ledger_id, 'reward_hold' FROM reward_hold
    ), gone AS (
      SELECT o.ledger_id, array_agg(DISTINCT o.name ORDER BY o.name) AS tables
      FROM others o LEFT JOIN reward_ledger l ON l.id = o.ledger_id
      WHERE o.ledger_id > ${after} AND l.id IS NULL
      GROUP BY o.ledger_id ORDER BY o.ledger_id LIMIT ${limit}
    )
    SELECT
      g.ledger_id, g.tables, t.task,
      (SELECT to_status FROM reward_history h WHERE h.ledger_id = g.ledger_id ORDER BY move DESC LIMIT 1) AS ends
    FROM gone g LEFT JOIN reward_task t ON t.ledger_id = g.ledger_id
    ORDER BY g.ledger_id`
}

export const BUDGETS = sql`
  SELECT pool_id, period, budget::text, spent::text, reserved::text, overrun::text FROM reward_budget ORDER BY pool_id, period`
