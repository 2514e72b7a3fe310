import { type SQLQuery, sql } from '@databases/pg'
import type { HoldReason } from '../../../core/model/reward.ts'
import { formatMoney } from '../../../core/money.ts'
import type { HoldFilter, HoldView, RewardFilter } from '../../../core/ports/back-office.ts'
import type { Row } from '../rows.ts'
import { date, money, number, text, textOrNull } from './rows.ts'

/** Open reviews in the order in which they were opened. */
export function openReviews(filter: HoldFilter, limit: number): SQLQuery {
  return sql`
    SELECT
      l.reward_task_id, l.user_id, l.pool_id, l.pool_period, l.type, l.value, l.currency, l.cost,
      h.reasons, h.assignee, h.approvals, h.opened_at,
      COALESCE((SELECT array_agg(actor ORDER BY at, actor) FROM reward_approval WHERE hold_id = h.id), '{}') AS approved_by
    ${matching(filter)} ORDER BY h.id LIMIT ${limit}`
}

export function openReviewIds(filter: HoldFilter): SQLQuery {
  return sql`SELECT l.reward_task_id ${matching(filter)} ORDER BY h.id`
}

function matching({ pool, type, by, user, assignee, ageMsMin, costMin }: HoldFilter): SQLQuery {
  const conditions = [
    sql`h.decision IS NULL AND l.status = 'held'`,
    ...(pool === undefined ? [] : [sql`l.pool_id = ${pool}`]),
    ...(type === undefined ? [] : [sql`l.type = ${type}`]),
    ...(by === undefined ? [] : [sql`h.reasons @> ${JSON.stringify([{ by }])}::jsonb`]),
    ...(user === undefined ? [] : [sql`l.user_id = ${user}`]),
    ...(assignee === undefined ? [] : [assignee === '' ? sql`h.assignee IS NULL` : sql`h.assignee = ${assignee}`]),
    ...(ageMsMin === undefined ? [] : [sql`h.opened_at <= now() - ${ageMsMin}::float8 * interval '1 millisecond'`]),
    ...(costMin === undefined ? [] : [sql`l.cost >= ${formatMoney(costMin)}::numeric`]),
  ]
  return sql`FROM reward_hold h JOIN reward_ledger l ON l.id = h.ledger_id WHERE ${sql.join(conditions, ' AND ')}`
}

export function matchingRewards({ statuses, pool, type, user, rule, frozenBy }: RewardFilter): SQLQuery {
  const conditions = [
    sql`l.status = ANY(${[...statuses]}::text[])`,
    ...(pool === undefined ? [] : [sql`l.pool_id = ${pool}`]),
    ...(type === undefined ? [] : [sql`l.type = ${type}`]),
    ...(user === undefined ? [] : [sql`l.user_id = ${user}`]),
    ...(rule === undefined ? [] : [sql`l.rule_id = ${rule}`]),
    ...(frozenBy === undefined
      ? []
      : [sql`EXISTS (SELECT FROM reward_freeze f WHERE f.ledger_id = l.id AND f.frozen_by = ${frozenBy})`]),
  ]
  return sql`SELECT l.reward_task_id FROM reward_ledger l WHERE ${sql.join(conditions, ' AND ')} ORDER BY l.id`
}

export function holdViewOf(row: Row): HoldView {
  return {
    taskId: text(row, 'reward_task_id'),
    userId: text(row, 'user_id'),
    poolId: textOrNull(row, 'pool_id'),
    poolPeriod: text(row, 'pool_period'),
    type: text(row, 'type'),
    value: money(row, 'value'),
    currency: textOrNull(row, 'currency'),
    cost: money(row, 'cost'),
    reasons: row['reasons'] as readonly HoldReason[],
    assignee: textOrNull(row, 'assignee'),
    approvals: number(row, 'approvals'),
    approvedBy: row['approved_by'] as readonly string[],
    openedAt: date(row, 'opened_at'),
  }
}
