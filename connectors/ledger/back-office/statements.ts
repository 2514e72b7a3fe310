/**
 * The statements by which people's commands are carried out, beside those of ../move-statements.ts. Pools are locked before
 * rewards, in the order of ../pools.ts; what was locked is read by a later statement, which sees what the locks waited for.
 */
import { type SQLQuery, sql } from '@databases/pg'
import { UNROUTED } from '../../../core/model/partner.ts'
import { formatMoney } from '../../../core/money.ts'
import type { ManualReward, Mandate } from '../../../core/ports/back-office.ts'
import type { Change, RewardFacts } from './facts.ts'

/** Any number: people's issuing goes one after the other, so that one reference is never booked by two at once. */
export const ISSUE_LOCK = sql`SELECT pg_advisory_xact_lock(7236142002)`

/** Who locks both takes the queue first, as sinks do when they pay. */
export function lockQueue(taskIds: readonly string[]): SQLQuery {
  return sql`
    SELECT o.ledger_id FROM reward_outbox o JOIN reward_ledger l ON l.id = o.ledger_id
    WHERE l.reward_task_id = ANY(${[...taskIds]}::text[]) ORDER BY o.ledger_id FOR UPDATE OF o`
}

export function lockRewards(taskIds: readonly string[]): SQLQuery {
  return sql`SELECT id FROM reward_ledger WHERE reward_task_id = ANY(${[...taskIds]}::text[]) ORDER BY id FOR UPDATE`
}

/**
 * What decisions are made from. Each part is looked up by the reward: the history in one pass and not by EXISTS, which
 * Postgres would answer by reading all of it; `id + 0` keeps it from walking all holds backwards by their ids.
 */
export function rewardFacts(taskIds: readonly string[]): SQLQuery {
  return sql`
    SELECT
      l.id, l.reward_task_id, l.user_id, l.status, l.pool_id, l.pool_period, l.cost, l.soft_cap, l.reserves,
      l.kyc_required, l.payout_id, l.origin, l.partner, l.failure, l.type, l.value, l.currency,
      CASE WHEN l.origin = 'manual' THEN m.beginner END AS issuer, m.was_reserved, m.was_sent,
      COALESCE(o.claim IS NOT NULL AND o.available_at > clock_timestamp(), false) AS in_flight,
      t.task, t.reviews, l.approvals AS people,
      h.id AS hold_id, h.reasons AS hold_reasons, h.approvals, h.assignee, h.decision, h.decided_by, h.decided_at,
      h.decision_reason,
      (SELECT array_agg(actor ORDER BY at, actor) FROM reward_approval WHERE hold_id = h.id) AS approved_by,
      f.frozen_by, f.reasons AS freeze_reasons, f.expires_at,
      p.kyc_level, p.restrictions,
      clock_timestamp() AS now
    FROM reward_ledger l
    LEFT JOIN reward_outbox o ON o.ledger_id = l.id
    LEFT JOIN reward_task t ON t.ledger_id = l.id
    CROSS JOIN LATERAL (
      SELECT max(actor) FILTER (WHERE move = 1) AS beginner, bool_or(to_status = 'reserved') AS was_reserved,
        bool_or(to_status = 'sent') AS was_sent
      FROM reward_history WHERE ledger_id = l.id
    ) m
    LEFT JOIN LATERAL (SELECT * FROM reward_hold WHERE ledger_id = l.id ORDER BY id + 0 DESC LIMIT 1) h ON true
    LEFT JOIN reward_freeze f ON f.ledger_id = l.id
    LEFT JOIN player_state p ON p.user_id = l.user_id
    WHERE l.reward_task_id = ANY(${[...taskIds]}::text[])`
}

export function players(userIds: readonly string[]): SQLQuery {
  return sql`
    SELECT u.user_id, p.kyc_level, p.restrictions, clock_timestamp() AS now
    FROM unnest(${[...userIds]}::text[]) AS u(user_id) LEFT JOIN player_state p USING (user_id)`
}

export interface PoolId {
  readonly poolId: string
  readonly period: string
}

/** `lock`: nobody else moves them until the transaction ends. */
export function pools(ids: readonly PoolId[], lock: boolean): SQLQuery {
  return sql`
    SELECT b.* FROM reward_budget b
    JOIN unnest(${ids.map((id) => id.poolId)}::text[], ${ids.map((id) => id.period)}::text[]) AS w(pool_id, period)
      ON w.pool_id = b.pool_id AND w.period = b.period
    ORDER BY b.pool_id COLLATE "C", b.period COLLATE "C" ${lock ? sql`FOR UPDATE OF b` : sql``}`
}

/** A change with what it is done to. */
export interface Deed {
  readonly facts: Pick<
    RewardFacts,
    | 'ledgerId'
    | 'taskId'
    | 'userId'
    | 'status'
    | 'poolId'
    | 'poolPeriod'
    | 'cost'
    | 'reserves'
    | 'kycRequired'
    | 'failure'
    | 'partner'
  > & {
    readonly hold: { readonly id: bigint } | null
  }
  readonly change: Change
  readonly reason: string
}

/** What an override or a person's pricing changes of a reward, while nothing is reserved for it. Goes before its move. */
export function changeTerms(deeds: readonly Deed[]): SQLQuery {
  return sql`
    UPDATE reward_ledger l SET cost = c.cost, kyc_required = c.kyc_required
    FROM unnest(
      ${deeds.map((d) => d.facts.ledgerId)}::bigint[], ${deeds.map((d) => formatMoney(d.change.cost))}::numeric[],
      ${deeds.map((d) => d.change.kycRequired)}::smallint[]
    ) AS c(id, cost, kyc_required)
    WHERE l.id = c.id`
}

/** What is permitted above a budget, before the ledger's triggers reserve it; they move everything else of a pool. */
export function permitOverruns(overruns: readonly (PoolId & { readonly overrun: bigint })[]): SQLQuery {
  return sql`
    UPDATE reward_budget b SET overrun = b.overrun + o.overrun, updated_at = now()
    FROM unnest(
      ${overruns.map((o) => o.poolId)}::text[], ${overruns.map((o) => o.period)}::text[],
      ${overruns.map((o) => formatMoney(o.overrun))}::numeric[]
    ) AS o(pool_id, period, overrun)
    WHERE b.pool_id = o.pool_id AND b.period = o.period`
}

/** A reward that the gates have frozen is a person's from here on; its reasons and its end stay. */
export function takeOverFreezes(ledgerIds: readonly bigint[]): SQLQuery {
  return sql`UPDATE reward_freeze SET frozen_by = 'manual' WHERE ledger_id = ANY(${[...ledgerIds]}::bigint[])`
}

export function approveHolds(deeds: readonly Deed[], actor: string): SQLQuery {
  return sql`
    INSERT INTO reward_approval (hold_id, actor, reason)
    SELECT id, ${actor}, reason FROM unnest(
      ${deeds.map(holdId)}::bigint[], ${deeds.map((d) => d.reason)}::text[]
    ) AS a(id, reason)`
}

export function closeHolds(deeds: readonly Deed[], actor: string): SQLQuery {
  return sql`
    UPDATE reward_hold h
    SET decision = c.decision, decided_at = clock_timestamp(), decided_by = ${actor}, decision_reason = c.reason
    FROM unnest(
      ${deeds.map(holdId)}::bigint[],
      ${deeds.map(({ change: { hold } }) => (hold.kind === 'close' ? hold.decision : null))}::text[],
      ${deeds.map((d) => d.reason)}::text[]
    ) AS c(id, decision, reason)
    WHERE h.id = c.id AND h.decision IS NULL`
}

export function assignHolds(deeds: readonly Deed[]): SQLQuery {
  return sql`
    UPDATE reward_hold h SET assignee = a.assignee
    FROM unnest(
      ${deeds.map(holdId)}::bigint[],
      ${deeds.map(({ change: { hold } }) => (hold.kind === 'assign' ? hold.to : null))}::text[]
    ) AS a(id, assignee)
    WHERE h.id = a.id`
}

function holdId({ facts }: Deed): bigint | null {
  return facts.hold === null ? null : facts.hold.id
}

export function audit(deeds: readonly Deed[], mandate: Mandate): SQLQuery {
  return sql`
    INSERT INTO audit_log (actor, action, subject, reason, detail)
    SELECT ${mandate.actor}, action, subject, reason, detail::jsonb FROM unnest(
      ${deeds.map((d) => d.change.action)}::text[], ${deeds.map((d) => d.facts.taskId)}::text[],
      ${deeds.map((d) => d.reason)}::text[], ${deeds.map((d) => JSON.stringify(auditDetail(d)))}::text[]
    ) AS a(action, subject, reason, detail)`
}

function auditDetail({ facts, change }: Deed): Record<string, unknown> {
  const { hold } = change
  return {
    from: facts.status,
    to: change.to,
    cost: formatMoney(change.cost),
    ...(facts.poolId === null ? {} : { pool: facts.poolId, period: facts.poolPeriod }),
    ...(hold.kind === 'assign' ? { assignee: hold.to } : {}),
    ...(hold.kind === 'open' ? { holds: hold.reasons } : {}),
    ...(change.overrun === 0n ? {} : { overrun: formatMoney(change.overrun) }),
    ...(change.passed.length === 0 ? {} : { override: change.passed }),
  }
}

/** Booked as `pending`, as everything begins; the move that follows says what came of it. */
export function issueRewards(rewards: readonly ManualReward[], actor: string): SQLQuery {
  const column = <T>(read: (reward: ManualReward) => T): T[] => rewards.map(read)
  return sql`
    WITH given AS (
      SELECT * FROM unnest(
        ${column((r) => r.taskId)}::text[], ${column((r) => r.userId)}::text[], ${column((r) => r.poolId)}::text[],
        ${column((r) => r.poolPeriod)}::text[], ${column((r) => r.reward.type)}::text[],
        ${column((r) => formatMoney(r.value))}::numeric[], ${column((r) => r.reward.currency ?? null)}::text[],
        ${column((r) => formatMoney(r.cost))}::numeric[], ${column((r) => r.reference)}::text[],
        ${column((r) => r.kycRequired)}::smallint[], ${column((r) => r.approvals)}::smallint[], ${column((r) => r.issuedAt)}::timestamptz[],
        ${column((r) => JSON.stringify(r.reward))}::text[], ${column((r) => JSON.stringify(guardrailsOf(r)))}::text[],
        ${column((r) => JSON.stringify(taskOf(r)))}::text[]
      ) WITH ORDINALITY AS g(
        reward_task_id, user_id, pool_id, pool_period, type, value, currency, cost, reference, kyc_required, approvals, issued_at,
        reward, guardrails, task, ordinal
      )
    ), booked AS (
      INSERT INTO reward_ledger (
        reward_task_id, user_id, pool_id, pool_period, type, value, currency, cost, rule_id, event_id, kyc_required,
        approvals, issued_at, origin, partner, actor
      )
      SELECT
        reward_task_id, user_id, pool_id, pool_period, type, value, currency, cost, 'manual', reference, kyc_required,
        approvals, issued_at, 'manual', ${UNROUTED}, ${actor}
      FROM given ORDER BY ordinal
      RETURNING id, reward_task_id
    ), content AS (
      INSERT INTO reward_task (ledger_id, reward, guardrails, task)
      SELECT b.id, g.reward::jsonb, g.guardrails::jsonb, g.task FROM given g JOIN booked b USING (reward_task_id)
    )
    SELECT id, reward_task_id FROM booked`
}

function guardrailsOf({ kycRequired, poolId }: ManualReward): Record<string, unknown> {
  return { kyc_min_level: kycRequired, ...(poolId === null ? {} : { budget_pool: poolId }) }
}

/** As a task on the log would say it (SPEC S12), for whoever reads the ledger. */
function taskOf(reward: ManualReward): Record<string, unknown> {
  return {
    type: 'reward_task.created',
    reward_task_id: reward.taskId,
    user_id: reward.userId,
    origin: { rule_id: 'manual', reference: reward.reference, reason: reward.reason },
    reward: reward.reward,
    pool_id: reward.poolId,
    guardrails: guardrailsOf(reward),
    cost: formatMoney(reward.cost),
    holds: reward.holds,
    status: 'pending',
    created_at: reward.issuedAt,
  }
}
