/** The statements of booking, with their reasoning. Whole batches travel as arrays: a statement a row costs a round trip a row. */
import { type SQLQuery, sql } from '@databases/pg'
import { BUDGET_CLOSED } from '../../core/model/reward.ts'
import { type Cents, formatMoney } from '../../core/money.ts'
import type { LedgerTask } from '../../core/ports/ledger.ts'
import type { Beginning } from './booking.ts'

/**
 * What the ledger knows of tasks. To be asked after the pools are locked, in a statement of its own: so it sees what the
 * holder of the lock before has committed.
 */
export function knownStatement(taskIds: readonly string[]): SQLQuery {
  return sql`
    SELECT l.id, l.reward_task_id, l.status, l.failure, l.pool_id, l.pool_period, l.cost, f.frozen_by
    FROM reward_ledger l LEFT JOIN reward_freeze f ON f.ledger_id = l.id
    WHERE l.reward_task_id = ANY(${taskIds}::text[])`
}

/** Locks frozen rewards that the batch may move, and so keeps people from moving them meanwhile; in the order of all locks. */
export function lockKnownStatement(ledgerIds: readonly bigint[]): SQLQuery {
  return sql`SELECT id FROM reward_ledger WHERE id = ANY(${ledgerIds}::bigint[]) ORDER BY id FOR UPDATE`
}

/**
 * Begins rewards: the row in its state, its texts, and what stands beside that state. Ids are given in the order of the log,
 * for a partner that pays a player's rewards in order. A task that another has booked meanwhile (one without a pool, for a
 * pool's tasks meet at its lock) violates the key and takes the batch with it; it is then booked again, with that one known.
 */
export function beginStatement(beginnings: readonly Beginning[]): SQLQuery {
  const column = <T>(read: (task: LedgerTask) => T): T[] => beginnings.map(({ task }) => read(task))
  const money = (read: (task: LedgerTask) => Cents | null): (string | null)[] => column((task) => moneyText(read(task)))
  return sql`
    WITH tasks AS MATERIALIZED (
      SELECT * FROM unnest(
        ${column((t) => t.taskId)}::text[], ${column((t) => t.userId)}::text[], ${column((t) => t.poolId)}::text[],
        ${column((t) => t.poolPeriod)}::text[], ${column((t) => t.type)}::text[], ${money((t) => t.value)}::numeric[],
        ${column((t) => t.currency)}::text[], ${money((t) => t.cost)}::numeric[], ${column((t) => t.ruleId)}::text[],
        ${column((t) => t.ruleVersion)}::text[], ${column((t) => t.threshold)}::numeric[],
        ${column((t) => t.period)}::text[], ${column((t) => t.eventId)}::text[], ${money((t) => t.softCap)}::numeric[],
        ${column((t) => t.kycRequired)}::smallint[], ${column((t) => t.kycUnknown)}::smallint[],
        ${column((t) => t.approvals)}::smallint[],
        ${column((t) => t.partner)}::text[], ${column((t) => t.ordered)}::boolean[],
        ${column((t) => t.payer)}::boolean[], ${column((t) => t.origin)}::text[],
        ${column((t) => t.issuedAt)}::timestamptz[], ${beginnings.map((b) => b.status)}::text[],
        ${beginnings.map((b) => b.reason)}::text[], ${beginnings.map((b) => b.failure)}::text[],
        ${column((t) => JSON.stringify(t.reward))}::text[], ${column((t) => JSON.stringify(t.guardrails))}::text[],
        ${column((t) => t.raw)}::text[],
        ${column((t) => (t.source === null ? null : JSON.stringify(t.source)))}::text[],
        ${beginnings.map(holdsOf)}::text[], ${beginnings.map(reviewsOf)}::text[], ${beginnings.map((b) => b.freeze && JSON.stringify(b.freeze.reasons))}::text[],
        ${beginnings.map((b) => b.freeze?.expiresAt ?? null)}::timestamptz[]
      ) WITH ORDINALITY AS t(
        reward_task_id, user_id, pool_id, pool_period, type, value, currency, cost, rule_id, rule_version, threshold,
        period, event_id, soft_cap, kyc_required, kyc_unknown, approvals, partner, ordered, payer, origin, issued_at, status, reason,
        failure, reward, guardrails, task, source, holds, reviews, freeze_reasons, expires_at, ordinal
      )
    ), begun AS (
      INSERT INTO reward_ledger (
        reward_task_id, user_id, pool_id, pool_period, type, value, currency, cost, rule_id, rule_version, threshold,
        period, event_id, soft_cap, kyc_required, kyc_unknown, approvals, partner, ordered, payer, origin, issued_at, status, reason,
        failure, reserves
      )
      SELECT
        reward_task_id, user_id, pool_id, pool_period, type, value, currency, cost, rule_id, rule_version, threshold,
        period, event_id, soft_cap, kyc_required, kyc_unknown, approvals, partner, ordered, payer, origin, issued_at, status, reason,
        failure, status = 'reserved'
      FROM tasks ORDER BY ordinal
      RETURNING id, reward_task_id
    ), texts AS (
      INSERT INTO reward_task (ledger_id, reward, guardrails, task, source, reviews)
      SELECT b.id, t.reward::jsonb, t.guardrails::jsonb, t.task, t.source::jsonb, t.reviews::jsonb
      FROM tasks t JOIN begun b USING (reward_task_id) ORDER BY b.id
    ), queued AS (
      INSERT INTO reward_outbox (ledger_id, partner, user_id, ordered)
      SELECT b.id, t.partner, t.user_id, t.ordered
      FROM tasks t JOIN begun b USING (reward_task_id) WHERE t.status = 'reserved' ORDER BY b.id
    )${besides(beginnings)}
    SELECT id, reward_task_id FROM begun`
}

/** Holds and freezes, where there are any: most batches have none, and each part of a statement costs its planning. */
function besides(beginnings: readonly Beginning[]): SQLQuery {
  const parts: SQLQuery[] = []
  if (beginnings.some(({ status }) => status === 'held')) {
    parts.push(sql`, held AS (
      INSERT INTO reward_hold (ledger_id, reasons, approvals)
      SELECT b.id, t.holds::jsonb, t.approvals
      FROM tasks t JOIN begun b USING (reward_task_id) WHERE t.status = 'held' ORDER BY b.id
    )`)
  }
  if (beginnings.some(({ status }) => status === 'frozen')) {
    parts.push(sql`, frozen AS (
      INSERT INTO reward_freeze (ledger_id, user_id, frozen_by, reasons, expires_at)
      SELECT b.id, t.user_id, 'stream', t.freeze_reasons::jsonb, t.expires_at
      FROM tasks t JOIN begun b USING (reward_task_id) WHERE t.status = 'frozen' ORDER BY b.id
    )`)
  }
  return sql.join(parts, sql``)
}

function holdsOf({ admission }: Beginning): string | null {
  return admission?.kind === 'hold' ? JSON.stringify(admission.reasons) : null
}

/**
 * What stands ahead of a reward that was frozen or refused before anybody came to look: so that it is not passed over by
 * whoever lets it go later.
 */
function reviewsOf({ task: { holds, closed }, status }: Beginning): string | null {
  if (status !== 'frozen' && status !== 'failed') return null
  const said = closed === null || holds.some(({ detail }) => detail === closed)
  const reviews = said ? holds : [...holds, { by: BUDGET_CLOSED, detail: closed }]
  return reviews.length === 0 ? null : JSON.stringify(reviews)
}

function moneyText(cents: Cents | null): string | null {
  return cents === null ? null : formatMoney(cents)
}
