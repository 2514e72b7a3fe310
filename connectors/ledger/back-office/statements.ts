/**
 * The statements by which people's commands are carried out. Rewards are locked before their pools, both in one order for
 * everybody; what was locked is read by a later statement, which sees what the locks waited for.
 */
import { type SQLQuery, sql } from '@databases/pg'
import { formatMoney } from '../../../core/money.ts'
import type { ManualReward, Mandate } from '../../../core/ports/back-office.ts'
import type { PoolTerms } from '../../../core/ports/ledger.ts'
import type { Change, HoldChange, RewardFacts } from './facts.ts'

/** Stands in the outbox for "whoever pays this type": a sink gives such a row to the partner that its routing names. */
export const UNROUTED = '?'

/** Any number: people's issuing goes one after the other, so that one reference is never booked by two at once. */
export const ISSUE_LOCK = sql`SELECT pg_advisory_xact_lock(7236142002)`

export function lockRewards(taskIds: readonly string[]): SQLQuery {
  return sql`SELECT id FROM reward_ledger WHERE reward_task_id = ANY(${[...taskIds]}::text[]) ORDER BY id FOR UPDATE`
}

export function rewardFacts(taskIds: readonly string[]): SQLQuery {
  return sql`
    SELECT
      l.id, l.reward_task_id, l.user_id, l.status, l.pool_id, l.pool_period, l.cost, l.soft_cap, l.reserves,
      l.kyc_required, l.payout_id, l.origin, l.type, l.value, l.currency,
      CASE WHEN l.origin = 'manual' THEN
        (SELECT actor FROM reward_history WHERE ledger_id = l.id AND move = 1)
      END AS issuer,
      EXISTS (SELECT FROM reward_history WHERE ledger_id = l.id AND to_status = 'reserved') AS was_reserved,
      EXISTS (SELECT FROM reward_history WHERE ledger_id = l.id AND to_status = 'sent') AS was_sent,
      COALESCE(o.claim IS NOT NULL AND o.available_at > clock_timestamp(), false) AS in_flight,
      t.task,
      h.id AS hold_id, h.reasons AS hold_reasons, h.approvals, h.assignee, h.decision, h.decided_by, h.decided_at,
      h.decision_reason,
      (SELECT array_agg(actor ORDER BY at, actor) FROM reward_approval WHERE hold_id = h.id) AS approved_by,
      f.frozen_by, f.reasons AS freeze_reasons, f.expires_at,
      p.kyc_level, p.restrictions,
      clock_timestamp() AS now
    FROM reward_ledger l
    LEFT JOIN reward_outbox o ON o.ledger_id = l.id
    LEFT JOIN reward_task t ON t.ledger_id = l.id
    LEFT JOIN LATERAL (SELECT * FROM reward_hold WHERE ledger_id = l.id ORDER BY id DESC LIMIT 1) h ON true
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
    ORDER BY b.pool_id, b.period ${lock ? sql`FOR UPDATE OF b` : sql``}`
}

/** Rows begin empty; terms that are newer than what the row has replace it, as a sink does with those that a task brings. */
export function declarePools(
  declared: readonly (PoolId & { readonly terms: PoolTerms | null })[],
): readonly SQLQuery[] {
  const known = declared.filter((one): one is PoolId & { terms: PoolTerms } => one.terms !== null)
  const column = <T>(read: (one: PoolId & { terms: PoolTerms }) => T): T[] => known.map(read)
  return [
    sql`
      INSERT INTO reward_budget (pool_id, period)
      SELECT * FROM unnest(${declared.map((d) => d.poolId)}::text[], ${declared.map((d) => d.period)}::text[])
        AS d(pool_id, period) ORDER BY 1, 2
      ON CONFLICT (pool_id, period) DO NOTHING`,
    sql`
      UPDATE reward_budget b
      SET budget = t.budget, soft_cap = t.soft_cap, breaker_percent = t.breaker_percent, when_closed = t.when_closed,
          large_prize = t.large_prize, terms_since = t.since, updated_at = now()
      FROM unnest(
        ${column((d) => d.poolId)}::text[], ${column((d) => d.period)}::text[],
        ${column((d) => formatMoney(d.terms.budget))}::numeric[], ${column((d) => orNull(d.terms.softCap))}::numeric[],
        ${column((d) => d.terms.breakerPercent)}::smallint[], ${column((d) => d.terms.whenClosed)}::text[],
        ${column((d) => orNull(d.terms.largePrize))}::numeric[], ${column((d) => d.terms.since)}::bigint[]
      ) AS t(pool_id, period, budget, soft_cap, breaker_percent, when_closed, large_prize, since)
      WHERE b.pool_id = t.pool_id AND b.period = t.period AND (b.terms_since IS NULL OR b.terms_since < t.since)`,
  ]
}

/** A change with what it is done to. */
export interface Deed {
  readonly facts: Pick<
    RewardFacts,
    'ledgerId' | 'taskId' | 'userId' | 'status' | 'poolId' | 'poolPeriod' | 'cost' | 'reserves'
  > & {
    readonly hold: { readonly id: bigint } | null
  }
  readonly change: Change
  readonly reason: string
}

/** The history's triggers tell each move with the reason and actor that are set here. */
export function moveRewards(deeds: readonly Deed[], actor: string): SQLQuery {
  const column = <T>(read: (deed: Deed) => T): T[] => deeds.map(read)
  return sql`
    UPDATE reward_ledger l
    SET status = m.status, reserves = m.reserves, cost = m.cost, kyc_required = m.kyc_required, reason = m.reason,
        actor = ${actor}, failure = CASE WHEN m.status = 'reserved' THEN NULL ELSE l.failure END
    FROM unnest(
      ${column((d) => d.facts.ledgerId)}::bigint[], ${column((d) => d.change.to)}::text[],
      ${column((d) => d.change.reserves)}::boolean[], ${column((d) => formatMoney(d.change.cost))}::numeric[],
      ${column((d) => d.change.kycRequired)}::smallint[], ${column((d) => d.reason)}::text[]
    ) AS m(id, status, reserves, cost, kyc_required, reason)
    WHERE l.id = m.id`
}

export interface PoolMove extends PoolId {
  readonly reserved: bigint
  readonly overrun: bigint
}

/** One update for each pool, so that the trigger judges the sum. */
export function movePools(moves: readonly PoolMove[]): SQLQuery {
  return sql`
    UPDATE reward_budget b
    SET reserved = b.reserved + m.reserved, overrun = b.overrun + m.overrun, updated_at = now()
    FROM unnest(
      ${moves.map((m) => m.poolId)}::text[], ${moves.map((m) => m.period)}::text[],
      ${moves.map((m) => formatMoney(m.reserved))}::numeric[], ${moves.map((m) => formatMoney(m.overrun))}::numeric[]
    ) AS m(pool_id, period, reserved, overrun)
    WHERE b.pool_id = m.pool_id AND b.period = m.period`
}

export function enqueue(ledgerIds: readonly bigint[]): SQLQuery {
  return sql`
    INSERT INTO reward_outbox (ledger_id, partner, user_id, ordered)
    SELECT id, COALESCE(partner, ${UNROUTED}), user_id, ordered FROM reward_ledger
    WHERE id = ANY(${[...ledgerIds]}::bigint[]) ORDER BY id`
}

/** A call that is under way finds its claim gone when it ends; that it was paid is booked all the same. */
export function dequeue(ledgerIds: readonly bigint[]): SQLQuery {
  return sql`DELETE FROM reward_outbox WHERE ledger_id = ANY(${[...ledgerIds]}::bigint[])`
}

/** What was frozen by the gates keeps its reasons and its end when a person freezes it, too. */
export function freezeRewards(deeds: readonly Deed[]): SQLQuery {
  return sql`
    INSERT INTO reward_freeze (ledger_id, user_id, frozen_by, reasons)
    SELECT id, user_id, frozen_by, reasons::jsonb FROM unnest(
      ${deeds.map((d) => d.facts.ledgerId)}::bigint[], ${deeds.map((d) => d.facts.userId)}::text[],
      ${deeds.map((d) => d.change.freeze.by)}::text[], ${deeds.map((d) => JSON.stringify(d.change.freeze.reasons))}::text[]
    ) AS f(id, user_id, frozen_by, reasons)
    ON CONFLICT (ledger_id) DO UPDATE SET frozen_by = EXCLUDED.frozen_by`
}

export function thawRewards(ledgerIds: readonly bigint[]): SQLQuery {
  return sql`DELETE FROM reward_freeze WHERE ledger_id = ANY(${[...ledgerIds]}::bigint[])`
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

type Opening = Extract<HoldChange, { kind: 'open' }>

export function openHolds(holds: readonly (Opening & { readonly ledgerId: bigint })[]): SQLQuery {
  return sql`
    INSERT INTO reward_hold (ledger_id, reasons, approvals)
    SELECT id, reasons::jsonb, approvals FROM unnest(
      ${holds.map((h) => h.ledgerId)}::bigint[], ${holds.map((h) => JSON.stringify(h.reasons))}::text[],
      ${holds.map((h) => h.approvals)}::smallint[]
    ) AS h(id, reasons, approvals)`
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
        ${column((r) => r.kycRequired)}::smallint[], ${column((r) => r.issuedAt)}::timestamptz[],
        ${column((r) => JSON.stringify(r.reward))}::text[], ${column((r) => JSON.stringify(guardrailsOf(r)))}::text[],
        ${column((r) => JSON.stringify(taskOf(r)))}::text[]
      ) WITH ORDINALITY AS g(
        reward_task_id, user_id, pool_id, pool_period, type, value, currency, cost, reference, kyc_required, issued_at,
        reward, guardrails, task, ordinal
      )
    ), booked AS (
      INSERT INTO reward_ledger (
        reward_task_id, user_id, pool_id, pool_period, type, value, currency, cost, rule_id, event_id, kyc_required,
        issued_at, origin, actor
      )
      SELECT
        reward_task_id, user_id, pool_id, pool_period, type, value, currency, cost, 'manual', reference, kyc_required,
        issued_at, 'manual', ${actor}
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

function orNull(cents: bigint | null): string | null {
  return cents === null ? null : formatMoney(cents)
}
