/**
 * Every statement of the ledger, with its reasoning. Each is one statement and so atomic by itself; whole batches travel
 * as arrays through unnest, because a statement for each row costs a round trip for each row.
 */
import { type SQLQuery, sql } from '@databases/pg'
import { formatMoney } from '../../core/money.ts'
import type { LedgerTask, Settlement } from '../../core/ports/ledger.ts'

/** Any number, the same for all Onceward processes: the lock under which the schema is migrated. */
export const MIGRATION_LOCK = sql`SELECT pg_advisory_lock(7236142001)`
export const MIGRATION_UNLOCK = sql`SELECT pg_advisory_unlock(7236142001)`

/**
 * Makes the session wait for its commits to reach the disk, where server, database or role are set not to (`off`); the
 * other values wait for that at least, and standbys may depend on them. And asks for what only the server's own
 * configuration can set: without fsync a commit may be lost, without full_page_writes a torn page is not mended.
 */
export const DURABILITY = sql`
  SELECT
    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
    CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END`

/** For asking about durability before anything is written. */
export const NOTHING = sql`SELECT 1`

/**
 * Books the batch. A task known before conflicts and is left alone, and only what was new is queued: so a redelivered
 * batch cannot put a paid task back into the outbox. The pool's row appears with its first task; its budget is the soft
 * cap of the first task that names one. The WHERE keeps the batch from locking pool rows that need no change, which
 * settling sinks are contending for. `tasks` must not hold a task twice (the join would queue it twice).
 */
export function recordStatement(tasks: readonly LedgerTask[]): SQLQuery {
  const column = <T>(read: (task: LedgerTask) => T): T[] => tasks.map(read)
  return sql`
    WITH tasks AS (
      SELECT * FROM unnest(
        ${column((t) => t.taskId)}::text[], ${column((t) => t.userId)}::text[], ${column((t) => t.poolId)}::text[],
        ${column((t) => t.type)}::text[], ${column((t) => formatMoney(t.value))}::numeric[],
        ${column((t) => t.currency)}::text[], ${column((t) => formatMoney(t.cost))}::numeric[],
        ${column((t) => t.ruleId)}::text[], ${column((t) => t.ruleVersion)}::text[],
        ${column((t) => t.threshold)}::numeric[], ${column((t) => t.period)}::text[],
        ${column((t) => t.eventId)}::text[], ${column((t) => JSON.stringify(t.reward))}::text[],
        ${column((t) => JSON.stringify(t.guardrails))}::text[],
        ${column((t) => (t.softCap === null ? null : formatMoney(t.softCap)))}::numeric[],
        ${column((t) => t.issuedAt)}::timestamptz[], ${column((t) => t.raw)}::text[],
        ${column((t) => JSON.stringify(t.source))}::text[]
      ) WITH ORDINALITY AS t(
        reward_task_id, user_id, pool_id, type, value, currency, cost, rule_id, rule_version, threshold, period,
        event_id, reward, guardrails, soft_cap, issued_at, task, source, ordinal
      )
    ), recorded AS (
      INSERT INTO reward_ledger (
        reward_task_id, user_id, pool_id, type, value, currency, cost, rule_id, rule_version, threshold, period,
        event_id, reward, guardrails, issued_at
      )
      SELECT
        reward_task_id, user_id, pool_id, type, value, currency, cost, rule_id, rule_version, threshold, period,
        event_id, reward::jsonb, guardrails::jsonb, issued_at
      FROM tasks ORDER BY reward_task_id
      ON CONFLICT (reward_task_id) DO NOTHING
      RETURNING reward_task_id
    ), queued AS (
      INSERT INTO reward_outbox (reward_task_id, task, source)
      SELECT reward_task_id, task, source::jsonb FROM tasks JOIN recorded USING (reward_task_id) ORDER BY ordinal
    ), pools AS (
      INSERT INTO reward_budget (pool_id, period, budget)
      SELECT n.pool_id, 'all', n.budget
      FROM (
        SELECT pool_id, (array_agg(soft_cap ORDER BY ordinal) FILTER (WHERE soft_cap IS NOT NULL))[1] AS budget
        FROM tasks WHERE pool_id IS NOT NULL GROUP BY pool_id ORDER BY pool_id
      ) n
      WHERE NOT EXISTS (
        SELECT FROM reward_budget b
        WHERE b.pool_id = n.pool_id AND b.period = 'all' AND (b.budget IS NOT NULL OR n.budget IS NULL)
      )
      ON CONFLICT (pool_id, period) DO UPDATE SET budget = COALESCE(reward_budget.budget, EXCLUDED.budget)
    )
    SELECT count(*)::int AS count FROM recorded`
}

/**
 * Takes due tasks. SKIP LOCKED lets several sinks take different rows without waiting for each other; moving
 * available_at to the end of the lease hides the rows until then, and brings them back by itself where the sink dies.
 * The database's clock decides, so that sinks with wrong clocks agree. A new token each time tells the claims apart.
 */
export function claimStatement(owner: string, limit: number, leaseMs: number): SQLQuery {
  return sql`
    WITH due AS MATERIALIZED (
      SELECT reward_task_id FROM reward_outbox WHERE available_at <= now()
      ORDER BY available_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    ), taken AS (
      UPDATE reward_outbox o
      SET claim = nextval('reward_claim'), claimed_by = ${owner},
          available_at = now() + ${leaseMs}::float8 * interval '1 millisecond'
      FROM due WHERE o.reward_task_id = due.reward_task_id
      RETURNING o.reward_task_id, o.claim, o.attempts, o.task, o.source
    )
    SELECT t.*, l.user_id, l.event_id, l.rule_id, l.threshold::float8 AS threshold, l.reward, l.guardrails
    FROM taken t JOIN reward_ledger l USING (reward_task_id)`
}

/**
 * Books payments. The condition on the status makes it idempotent: of two sinks that both saw the wallet's answer, the
 * second waits for the row, sees it succeeded and moves nothing, so the budget is charged once. It asks for no claim,
 * because a payment is a fact whoever saw it; that is also why it may overrule `failed`.
 */
export function succeededStatement(paid: readonly Extract<Settlement, { kind: 'succeeded' }>[]): SQLQuery {
  return sql`
    WITH paid AS (
      SELECT * FROM unnest(
        ${paid.map((p) => p.taskId)}::text[], ${paid.map((p) => p.payoutId)}::text[],
        ${paid.map((p) => p.payoutStatus)}::text[]
      ) AS p(reward_task_id, payout_id, payout_status)
    ), moved AS (
      UPDATE reward_ledger l
      SET status = 'succeeded', payout_id = p.payout_id, payout_status = p.payout_status, failure = NULL,
          updated_at = now()
      FROM paid p WHERE l.reward_task_id = p.reward_task_id AND l.status <> 'succeeded'
      RETURNING l.reward_task_id, l.pool_id, l.cost
    ), booked AS (
      INSERT INTO reward_budget (pool_id, period, spent)
      SELECT pool_id, 'all', sum(cost) FROM moved WHERE pool_id IS NOT NULL GROUP BY pool_id ORDER BY pool_id
      ON CONFLICT (pool_id, period) DO UPDATE
      SET spent = reward_budget.spent + EXCLUDED.spent, updated_at = now()
    ), done AS (
      DELETE FROM reward_outbox o USING paid p WHERE o.reward_task_id = p.reward_task_id
    )
    SELECT reward_task_id FROM moved`
}

/** Books final failures, of those still claimed by the caller: a zombie's verdict must not end a task that another pays. */
export function failedStatement(failed: readonly Extract<Settlement, { kind: 'failed' }>[]): SQLQuery {
  return sql`
    WITH failed AS (
      SELECT * FROM unnest(
        ${failed.map((f) => f.taskId)}::text[], ${failed.map((f) => f.claim)}::bigint[],
        ${failed.map((f) => f.reason)}::text[]
      ) AS f(reward_task_id, claim, failure)
    ), done AS (
      DELETE FROM reward_outbox o USING failed f
      WHERE o.reward_task_id = f.reward_task_id AND o.claim = f.claim
      RETURNING o.reward_task_id, f.failure
    ), moved AS (
      UPDATE reward_ledger l SET status = 'failed', failure = d.failure, updated_at = now()
      FROM done d WHERE l.reward_task_id = d.reward_task_id AND l.status = 'pending'
      RETURNING l.reward_task_id
    )
    SELECT reward_task_id FROM moved`
}

/** Frees claimed tasks for a later try. Only the holder of the claim may: its lease may have ended meanwhile. */
export function retryStatement(retries: readonly Extract<Settlement, { kind: 'retry' }>[]): SQLQuery {
  return sql`
    WITH retries AS (
      SELECT * FROM unnest(
        ${retries.map((r) => r.taskId)}::text[], ${retries.map((r) => r.claim)}::bigint[],
        ${retries.map((r) => r.delayMs)}::float8[], ${retries.map((r) => r.reason)}::text[]
      ) AS r(reward_task_id, claim, delay_ms, reason)
    ), freed AS (
      UPDATE reward_outbox o
      SET attempts = o.attempts + 1, claim = NULL, claimed_by = NULL, last_failure = r.reason,
          available_at = now() + r.delay_ms * interval '1 millisecond'
      FROM retries r WHERE o.reward_task_id = r.reward_task_id AND o.claim = r.claim
      RETURNING o.reward_task_id
    )
    SELECT reward_task_id FROM freed`
}

/** Gives claimed tasks back at once, without counting a try: for a sink that stops. */
export function releasedStatement(released: readonly Extract<Settlement, { kind: 'released' }>[]): SQLQuery {
  return sql`
    WITH released AS (
      SELECT * FROM unnest(
        ${released.map((r) => r.taskId)}::text[], ${released.map((r) => r.claim)}::bigint[]
      ) AS r(reward_task_id, claim)
    ), freed AS (
      UPDATE reward_outbox o SET claim = NULL, claimed_by = NULL, available_at = now()
      FROM released r WHERE o.reward_task_id = r.reward_task_id AND o.claim = r.claim
      RETURNING o.reward_task_id
    )
    SELECT reward_task_id FROM freed`
}

export const OUTSTANDING = sql`SELECT count(*)::int AS count FROM reward_outbox`

export const TOTALS = sql`
  SELECT status, count(*)::int AS count, sum(cost) AS cost FROM reward_ledger GROUP BY status ORDER BY status`

export const BUDGETS = sql`SELECT pool_id, period, budget, spent FROM reward_budget ORDER BY pool_id, period`

export function latestStatement(limit: number): SQLQuery {
  return sql`
    SELECT reward_task_id, user_id, pool_id, type, value, currency, cost, status, payout_id, failure, updated_at
    FROM reward_ledger ORDER BY updated_at DESC, id DESC LIMIT ${limit}`
}
