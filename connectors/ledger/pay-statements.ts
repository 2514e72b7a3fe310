/**
 * The statements of paying, with their reasoning: claim, clear, and what became of it. Whoever locks rows of the outbox and of
 * the ledger takes the outbox first, and pools last (the triggers do, when a statement ends): so sinks do not wait for each
 * other in a circle, and a hot pool's row is locked for the commit only.
 */
import { type SQLQuery, sql } from '@databases/pg'
import { UNROUTED } from '../../core/model/partner.ts'
import type { ClaimRef, Settlement } from '../../core/ports/ledger.ts'
import { STOP_REASONS } from './protection.ts'

type Of<K extends Settlement['kind']> = Extract<Settlement, { kind: K }>

/**
 * One claimer at a time of a partner that is ordered by player; of others nobody waits. Without it, two who look at the same
 * moment could each take another reward of one player: one that a person let go of late, and a newer one. In a statement
 * of its own, so that the claim sees what the claimer before has committed. And, for this transaction, no bitmap scans: the
 * outbox's index is full of entries of tasks that are done, and only a plain scan marks them so that the next one skips them.
 */
export function claimTurnStatement(partner: string): SQLQuery {
  return sql`
    SELECT set_config('enable_bitmapscan', 'off', true),
      CASE WHEN EXISTS (SELECT FROM reward_outbox WHERE partner = ${partner} AND ordered)
        THEN pg_advisory_xact_lock(723614, hashtext(${partner})) END`
}

/**
 * Takes due tasks. SKIP LOCKED lets several sinks take different rows without waiting for each other; moving
 * available_at to the end of the lease hides the rows until then, and brings them back by itself where the sink dies.
 * The database's clock decides, so that sinks with wrong clocks agree. A new token each time tells the claims apart. Of an
 * ordered partner a player's task is taken only where it is the first in the outbox and no other one is under way.
 */
export function claimStatement(request: {
  readonly owner: string
  readonly partner: string
  readonly limit: number
  readonly leaseMs: number
}): SQLQuery {
  const { owner, partner, limit, leaseMs } = request
  return sql`
    WITH due AS MATERIALIZED (
      SELECT ledger_id FROM reward_outbox o
      WHERE partner = ${partner} AND available_at <= now() AND (NOT ordered OR NOT EXISTS (
        SELECT FROM reward_outbox e
        WHERE e.partner = o.partner AND e.user_id = o.user_id AND e.ordered AND e.ledger_id <> o.ledger_id
          AND (e.ledger_id < o.ledger_id OR (e.claim IS NOT NULL AND e.available_at > now()))
      ))
      ORDER BY available_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    ), taken AS (
      UPDATE reward_outbox o
      SET claim = nextval('reward_claim'), claimed_by = ${owner},
          available_at = now() + ${leaseMs}::float8 * interval '1 millisecond'
      FROM due WHERE o.ledger_id = due.ledger_id
      RETURNING o.ledger_id, o.claim, o.attempts
    )
    SELECT c.claim, c.attempts, l.reward_task_id, l.user_id, l.event_id, l.rule_id, l.threshold::float8 AS threshold,
      t.reward, t.guardrails, t.source, t.task
    FROM taken c JOIN reward_ledger l ON l.id = c.ledger_id JOIN reward_task t ON t.ledger_id = c.ledger_id
    ORDER BY c.ledger_id`
}

/**
 * Asks for protection at the moment of the call, and books the answer. A reward that was sent before stays `sent` without
 * a move. One that is stopped keeps its reservation where it may have been paid: the history knows of a moment when it was
 * sent, by this claim or long ago, or a call of it was booked as failed.
 */
export function clearStatement(claims: readonly ClaimRef[]): SQLQuery {
  return sql`
    WITH asked AS MATERIALIZED (
      SELECT o.ledger_id, o.attempts
      FROM unnest(${claims.map((c) => c.taskId)}::text[], ${claims.map((c) => c.claim)}::bigint[]) AS a(reward_task_id, claim)
      JOIN reward_ledger l USING (reward_task_id)
      JOIN reward_outbox o ON o.ledger_id = l.id AND o.claim = a.claim
      ORDER BY o.ledger_id FOR UPDATE OF o
    ), judged AS MATERIALIZED (
      SELECT
        a.ledger_id, l.reward_task_id, l.status, ${STOP_REASONS} AS reasons,
        -- A reward that begins as reserved has made two moves: most need no look into the history.
        a.attempts > 0 OR l.status = 'sent' OR (l.moves > 2 AND EXISTS (
          SELECT FROM reward_history h WHERE h.ledger_id = l.id AND h.to_status = 'sent'
        )) AS again
      FROM asked a JOIN reward_ledger l ON l.id = a.ledger_id LEFT JOIN player_state p ON p.user_id = l.user_id
    ), sent AS (
      UPDATE reward_ledger l SET status = 'sent', reason = NULL, actor = 'sink'
      FROM judged j WHERE l.id = j.ledger_id AND j.reasons IS NULL AND l.status = 'reserved'
    ), stopped AS (
      UPDATE reward_ledger l
      SET status = 'frozen', actor = 'sink', reason = 'the player is protected at the moment of the call',
          reserves = j.again
      FROM judged j WHERE l.id = j.ledger_id AND j.reasons IS NOT NULL
      RETURNING l.id, l.user_id, j.reasons
    ), unqueued AS (
      DELETE FROM reward_outbox o USING stopped s WHERE o.ledger_id = s.id
    ), frozen AS (
      INSERT INTO reward_freeze (ledger_id, user_id, frozen_by, reasons, expires_at)
      SELECT s.id, s.user_id, 'sink', s.reasons, now() + ${EXPIRY_MS} * interval '1 millisecond'
      FROM stopped s JOIN reward_task t ON t.ledger_id = s.id
    )
    SELECT reward_task_id, reasons, again FROM judged`
}

/** The rule's frozen_expiry in ms, from whatever the task has there: null where it is none, or beyond 300 years. */
const EXPIRY_MS = sql`
  CASE WHEN jsonb_typeof(t.guardrails->'frozen_expiry_ms') = 'number'
      AND (t.guardrails->>'frozen_expiry_ms')::numeric BETWEEN 0 AND 10000000000000
    THEN (t.guardrails->>'frozen_expiry_ms')::float8 END`

/**
 * Locks the pools of rewards in the order of ./pools.ts. Only for a transaction of which two statements move pools, each in
 * order: two of such would wait for each other in a circle where each has one pool and wants the other's.
 */
export function poolsOfStatement(taskIds: readonly string[]): SQLQuery {
  return sql`
    SELECT pool_id FROM reward_budget
    WHERE (pool_id, period) IN (
      SELECT pool_id, pool_period FROM reward_ledger WHERE reward_task_id = ANY(${taskIds}::text[]) AND pool_id IS NOT NULL
    )
    ORDER BY pool_id COLLATE "C", period COLLATE "C" FOR UPDATE`
}

/**
 * Books payments. The condition on the status makes it idempotent: of two sinks that both saw the wallet's answer, the
 * second waits for the row, sees it succeeded and moves nothing, so the budget is charged once. It asks for no claim,
 * because a payment is a fact whoever saw it; that is also why it may follow on any other state. `queued`: it came the
 * usual way, out of the outbox, so nothing else stands beside it.
 */
export function succeededStatement(paid: readonly Of<'succeeded'>[]): SQLQuery {
  return sql`
    WITH paid AS MATERIALIZED (
      SELECT l.id, p.payout_id, p.payout_status
      FROM unnest(
        ${paid.map((p) => p.taskId)}::text[], ${paid.map((p) => p.payoutId)}::text[],
        ${paid.map((p) => p.payoutStatus)}::text[]
      ) AS p(reward_task_id, payout_id, payout_status) JOIN reward_ledger l USING (reward_task_id)
    ), done AS (
      DELETE FROM reward_outbox o USING paid p WHERE o.ledger_id = p.id RETURNING o.ledger_id
    ), moved AS (
      UPDATE reward_ledger l
      SET status = 'succeeded', payout_id = p.payout_id, payout_status = p.payout_status, failure = NULL,
          reserves = false, reason = NULL, actor = 'sink'
      FROM paid p LEFT JOIN done d ON d.ledger_id = p.id
      WHERE l.id = p.id AND l.status <> 'succeeded'
      RETURNING l.id, l.reward_task_id, d.ledger_id IS NOT NULL AS queued
    )
    SELECT id, reward_task_id, queued FROM moved`
}

/** What stands beside rewards that were paid although they were not under way: a review that is pointless now, a freeze. */
export function overtakenStatement(ledgerIds: readonly bigint[]): SQLQuery {
  return sql`
    WITH ended AS (
      UPDATE reward_hold SET decision = 'ended', decided_at = now(), decided_by = 'sink', decision_reason = 'it was paid'
      WHERE ledger_id = ANY(${ledgerIds}::bigint[]) AND decision IS NULL
    )
    DELETE FROM reward_freeze WHERE ledger_id = ANY(${ledgerIds}::bigint[])`
}

/**
 * Of payments that moved nothing: those whose first answer was another one. Each such answer is an alarm in the audit log,
 * once however often it is repeated; the lock makes it once also where two sinks tell of it together.
 */
export function differingStatement(paid: readonly Of<'succeeded'>[]): SQLQuery {
  return sql`
    SELECT l.reward_task_id, l.payout_id || ' (' || COALESCE(l.payout_status, '') || ')' AS first,
      p.payout_id || ' (' || p.payout_status || ')' AS now
    FROM unnest(
      ${paid.map((p) => p.taskId)}::text[], ${paid.map((p) => p.payoutId)}::text[],
      ${paid.map((p) => p.payoutStatus)}::text[]
    ) AS p(reward_task_id, payout_id, payout_status) JOIN reward_ledger l USING (reward_task_id)
    WHERE l.status = 'succeeded' AND (l.payout_id <> p.payout_id OR l.payout_status IS DISTINCT FROM p.payout_status)
    ORDER BY l.id FOR UPDATE OF l`
}

export function alarmStatement(differing: readonly { taskId: string; first: string; now: string }[]): SQLQuery {
  return sql`
    INSERT INTO audit_log (actor, action, subject, reason, detail)
    SELECT 'sink', 'alarm.answer_differs', d.subject, 'the partner answered one request id in two ways',
      jsonb_build_object('first', d.first, 'now', d.now)
    FROM unnest(
      ${differing.map((d) => d.taskId)}::text[], ${differing.map((d) => d.first)}::text[],
      ${differing.map((d) => d.now)}::text[]
    ) AS d(subject, first, now)
    WHERE NOT EXISTS (
      SELECT FROM audit_log a
      WHERE a.subject = d.subject AND a.action = 'alarm.answer_differs' AND a.detail->>'now' = d.now
    )`
}

/**
 * Books final failures, of those still claimed by the caller: a zombie's verdict must not end a task that another pays. One
 * that is in doubt keeps its reservation: until somebody has looked, its money may be gone.
 */
export function failedStatement(failed: readonly Of<'failed'>[]): SQLQuery {
  return sql`
    WITH done AS (
      DELETE FROM reward_outbox o
      USING unnest(
        ${failed.map((f) => f.taskId)}::text[], ${failed.map((f) => f.claim)}::bigint[],
        ${failed.map((f) => f.reason)}::text[], ${failed.map((f) => f.inDoubt)}::boolean[]
      ) AS f(reward_task_id, claim, failure, in_doubt)
      JOIN reward_ledger l USING (reward_task_id)
      WHERE o.ledger_id = l.id AND o.claim = f.claim
      RETURNING o.ledger_id, f.failure, f.in_doubt
    )
    UPDATE reward_ledger l
    SET status = 'failed', failure = d.failure, reason = d.failure, actor = 'sink', reserves = d.in_doubt
    FROM done d WHERE l.id = d.ledger_id
    RETURNING l.reward_task_id`
}

/** Frees claimed tasks for a later try. Only the holder of the claim may: its lease may have ended meanwhile. */
export function retryStatement(retries: readonly Of<'retry'>[]): SQLQuery {
  return sql`
    UPDATE reward_outbox o
    SET attempts = o.attempts + 1, claim = NULL, claimed_by = NULL, last_failure = r.reason,
        available_at = now() + r.delay_ms * interval '1 millisecond'
    FROM unnest(
      ${retries.map((r) => r.taskId)}::text[], ${retries.map((r) => r.claim)}::bigint[],
      ${retries.map((r) => r.delayMs)}::float8[], ${retries.map((r) => r.reason)}::text[]
    ) AS r(reward_task_id, claim, delay_ms, reason) JOIN reward_ledger l USING (reward_task_id)
    WHERE o.ledger_id = l.id AND o.claim = r.claim
    RETURNING r.reward_task_id`
}

/** Gives claimed tasks back at once, without counting a try: for a sink that stops. */
export function releasedStatement(released: readonly Of<'released'>[]): SQLQuery {
  return sql`
    UPDATE reward_outbox o SET claim = NULL, claimed_by = NULL, available_at = now()
    FROM unnest(${released.map((r) => r.taskId)}::text[], ${released.map((r) => r.claim)}::bigint[])
      AS r(reward_task_id, claim) JOIN reward_ledger l USING (reward_task_id)
    WHERE o.ledger_id = l.id AND o.claim = r.claim
    RETURNING r.reward_task_id`
}

/**
 * Gives tasks of partners that are no longer configured, or of none yet, to the partner of their type. Never one that may have been sent: the
 * new partner has not seen its request id and would pay it again. Such a one stays with its old partner until that one is
 * configured again, or a person has looked. Whoever holds a claim of a task that is given away finds it lost.
 */
export function rerouteStatement(
  which: 'unrouted' | { readonly known: readonly string[] },
  routes: readonly { readonly type: string; readonly partner: string; readonly ordered: boolean }[],
): SQLQuery {
  const strangers = which === 'unrouted' ? sql`o.partner = ${UNROUTED}` : sql`o.partner <> ALL(${which.known}::text[])`
  return sql`
    WITH routes AS (
      SELECT * FROM unnest(
        ${routes.map((r) => r.type)}::text[], ${routes.map((r) => r.partner)}::text[],
        ${routes.map((r) => r.ordered)}::boolean[]
      ) AS r(type, partner, ordered)
    ), unsent AS MATERIALIZED (
      SELECT l.id, r.partner, r.ordered
      FROM reward_outbox o JOIN reward_ledger l ON l.id = o.ledger_id
      JOIN routes r ON r.type = l.type
        OR (r.type = '*' AND NOT EXISTS (SELECT FROM routes named WHERE named.type = l.type))
      WHERE ${strangers} AND o.attempts = 0 AND l.status = 'reserved'
        AND NOT EXISTS (SELECT FROM reward_history h WHERE h.ledger_id = l.id AND h.to_status = 'sent')
      ORDER BY l.id FOR UPDATE OF o, l
    ), given AS (
      UPDATE reward_outbox o
      SET partner = u.partner, ordered = u.ordered, claim = NULL, claimed_by = NULL, available_at = now()
      FROM unsent u WHERE o.ledger_id = u.id
      RETURNING o.ledger_id, o.partner, o.ordered
    ), told AS (
      UPDATE reward_ledger l SET partner = g.partner, ordered = g.ordered FROM given g WHERE l.id = g.ledger_id
    )
    SELECT count(*)::int AS count FROM given`
}
