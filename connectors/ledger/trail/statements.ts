/** What is asked of the two tables that are only appended to. */
import { type SQLQuery, sql } from '@databases/pg'
import type { TrailTable } from '../../../core/ports/ledger-trail.ts'

/** The highest id that can be seen: along the index, whatever the size of the table. */
export function newestStatement(table: TrailTable): SQLQuery {
  return sql`SELECT COALESCE(max(id), 0)::float8 AS id FROM ${sql.ident(table)}`
}

/**
 * The transactions that write into the table now. Whoever inserts takes this lock before the row takes its id, and gives it back
 * after the row can be seen; so a row with a low id that cannot be seen yet belongs to one of these. (Prepared transactions
 * would change their name on the way; Onceward has none.)
 */
export function writersStatement(table: TrailTable): SQLQuery {
  return sql`
    SELECT DISTINCT virtualtransaction AS writer FROM pg_locks
    WHERE locktype = 'relation' AND relation = ${table}::regclass AND mode = 'RowExclusiveLock'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
}

const ROWS: Readonly<Record<TrailTable, (after: number, upTo: number, limit: number) => SQLQuery>> = {
  audit_log: (after, upTo, limit) => sql`
    SELECT id::float8 AS id, (extract(epoch FROM at) * 1000)::float8 AS ms, at::text AS at, actor, action, subject, reason,
      detail::text AS detail
    FROM audit_log WHERE id > ${after} AND id <= ${upTo} ORDER BY id LIMIT ${limit}`,
  reward_history: (after, upTo, limit) => sql`
    SELECT h.id::float8 AS id, (extract(epoch FROM h.at) * 1000)::float8 AS ms, h.at::text AS at, h.ledger_id::text AS ledger_id,
      l.reward_task_id, l.user_id, h.move, h.from_status, h.to_status, h.reason, h.actor
    FROM reward_history h LEFT JOIN reward_ledger l ON l.id = h.ledger_id
    WHERE h.id > ${after} AND h.id <= ${upTo} ORDER BY h.id LIMIT ${limit}`,
}

export function rowsStatement(
  table: TrailTable,
  { after, upTo, limit }: { readonly after: number; readonly upTo: number; readonly limit: number },
): SQLQuery {
  return ROWS[table](after, upTo, limit)
}
