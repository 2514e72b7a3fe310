/**
 * How a reward that is in the ledger moves on, whoever moves it: the sink when it books and thaws, a person in the back
 * office. One statement keeps the row and all that stands beside it (outbox, hold, freeze) in line; the triggers write the
 * history and move the budget, and refuse what is no move. The caller has locked the row and, where something is reserved,
 * its pool (lockPools), and has decided.
 */
import { type SQLQuery, sql } from '@databases/pg'
import type { FreezeReason } from '../../core/gates.ts'
import { BUDGET_CLOSED, type HoldReason } from '../../core/model/reward.ts'
import { assert } from '../../core/assert.ts'
import type { Admission } from '../../core/ports/ledger.ts'
import type { StoredReward } from './rows.ts'

export interface Move {
  readonly ledgerId: bigint
  readonly to: 'reserved' | 'held' | 'frozen' | 'failed' | 'voided' | 'expired'
  /** Whether its cost is reserved afterwards: always of `reserved`; of `frozen` and `failed`: it may have been paid. */
  readonly reserves: boolean
  /** For the history. */
  readonly reason: string | null
  /** `sink`, or a person's name. */
  readonly actor: string
  /** Why it failed; null otherwise. */
  readonly failure: string | null
  /** Why it is held; null where it is not. */
  readonly holds: readonly HoldReason[] | null
  /** Of a reward that somebody freezes; null otherwise. */
  readonly freeze: { readonly by: 'sink' | 'manual'; readonly reasons: readonly FreezeReason[] } | null
  /** Who is to pay it from now on; null: as before. Never to be changed of one that may have been sent. */
  readonly route: { readonly partner: string; readonly ordered: boolean } | null
}

/** What an admission makes of a reward. */
export function admissionMove(
  ledgerId: bigint,
  admission: Admission,
  { actor, reason }: { readonly actor: string; readonly reason: string | null },
): Move {
  const move = { ledgerId, actor, reason, reserves: false, failure: null, holds: null, freeze: null, route: null }
  if (admission.kind === 'reserve') return { ...move, to: 'reserved', reserves: true }
  if (admission.kind === 'hold')
    return { ...move, to: 'held', holds: admission.reasons, reason: holdText(admission.reasons) }
  const failure = refusalText(admission.detail)
  return { ...move, to: 'failed', failure, reason: failure }
}

/** One that is in doubt was admitted before it was sent, and its reservation stands: it is not asked for a second time. */
export function needsAdmission({ reserves }: Pick<StoredReward, 'reserves'>): boolean {
  return !reserves
}

export function refusalText(detail: string): string {
  return `${BUDGET_CLOSED}: ${detail}`
}

/** The detail of a refusal by the pool; undefined where `failure` is another one, or none. */
export function refusalDetail(failure: string | null): string | undefined {
  return failure?.startsWith(`${BUDGET_CLOSED}: `) === true ? failure.slice(BUDGET_CLOSED.length + 2) : undefined
}

export function holdText(reasons: readonly HoldReason[]): string {
  return reasons.map(({ by, detail }) => `${by}: ${detail}`).join('; ')
}

/**
 * Carries out moves, each of another reward. Ids of what was moved. An open hold of a reward that leaves `held` is closed as
 * `ended` here; who decides one closes it first.
 */
export function moveStatement(moves: readonly Move[]): SQLQuery {
  for (const move of moves) {
    assert(move.to !== 'reserved' || move.reserves, `${move.ledgerId} is reserved with a reservation`)
    assert((move.to === 'held') === (move.holds !== null), `${move.ledgerId} is held exactly for a reason`)
    assert((move.to === 'frozen') === (move.freeze !== null), `${move.ledgerId} is frozen exactly by somebody`)
  }
  const column = <T>(read: (move: Move) => T): T[] => moves.map(read)
  return sql`
    WITH moves AS MATERIALIZED (
      SELECT * FROM unnest(
        ${column((m) => m.ledgerId)}::bigint[], ${column((m) => m.to)}::text[], ${column((m) => m.reserves)}::boolean[],
        ${column((m) => m.reason)}::text[], ${column((m) => m.actor)}::text[], ${column((m) => m.failure)}::text[],
        ${column((m) => (m.holds === null ? null : JSON.stringify(m.holds)))}::text[],
        ${column((m) => m.freeze?.by ?? null)}::text[],
        ${column((m) => (m.freeze === null ? null : JSON.stringify(m.freeze.reasons)))}::text[],
        ${column((m) => m.route?.partner ?? null)}::text[], ${column((m) => m.route?.ordered ?? null)}::boolean[]
      ) AS m(id, status, reserves, reason, actor, failure, holds, frozen_by, freeze_reasons, partner, ordered)
    ), moved AS (
      UPDATE reward_ledger l
      SET status = m.status, reserves = m.reserves, reason = m.reason, actor = m.actor, failure = m.failure,
          partner = COALESCE(m.partner, l.partner), ordered = COALESCE(m.ordered, l.ordered)
      FROM moves m WHERE l.id = m.id
      RETURNING l.id, l.user_id, l.partner, l.ordered, l.approvals, m.status, m.actor, m.holds, m.frozen_by, m.freeze_reasons
    ), queued AS (
      INSERT INTO reward_outbox (ledger_id, partner, user_id, ordered)
      SELECT id, partner, user_id, ordered FROM moved WHERE status = 'reserved' ORDER BY id
    ), unqueued AS (
      DELETE FROM reward_outbox o USING moved m WHERE o.ledger_id = m.id AND m.status <> 'reserved'
    ), ended AS (
      UPDATE reward_hold h SET decision = 'ended', decided_at = now(), decided_by = m.actor
      FROM moved m WHERE h.ledger_id = m.id AND h.decision IS NULL AND m.status <> 'held'
    ), held AS (
      INSERT INTO reward_hold (ledger_id, reasons, approvals)
      SELECT id, holds::jsonb, approvals FROM moved WHERE status = 'held' ORDER BY id
    ), thawed AS (
      DELETE FROM reward_freeze f USING moved m WHERE f.ledger_id = m.id AND m.status <> 'frozen'
    ), frozen AS (
      INSERT INTO reward_freeze (ledger_id, user_id, frozen_by, reasons)
      SELECT id, user_id, frozen_by, freeze_reasons::jsonb FROM moved WHERE status = 'frozen' ORDER BY id
    )
    SELECT id FROM moved`
}

/** Everything of rewards that `admit` is asked about again. For use in the SELECT list and FROM of a statement over `l`. */
export const STORED_COLUMNS = sql`
  l.id, l.reward_task_id, l.user_id, l.status, l.reserves, l.pool_id, l.pool_period, l.type, l.value, l.currency, l.cost,
  l.rule_id, l.rule_version, l.threshold::float8 AS threshold, l.period, l.event_id, l.soft_cap, l.kyc_required, l.kyc_unknown,
  l.approvals, l.partner, l.ordered, l.payer, l.origin, l.issued_at, t.reward, t.guardrails, t.source, t.task`

/**
 * Locks rewards by task id, in the order in which all of Onceward locks them, the outbox's rows first. Where something is to
 * be reserved, lockPools goes before; where not, the pools are left to the triggers, for a sink that settles has a reward
 * and waits for its pool. See storedOf.
 */
export function lockRewardsStatement(taskIds: readonly string[]): SQLQuery {
  return sql`
    WITH queued AS MATERIALIZED (
      SELECT o.ledger_id
      FROM reward_outbox o JOIN reward_ledger l ON l.id = o.ledger_id
      WHERE l.reward_task_id = ANY(${taskIds}::text[]) ORDER BY o.ledger_id FOR UPDATE OF o
    )
    SELECT ${STORED_COLUMNS}
    FROM reward_ledger l JOIN reward_task t ON t.ledger_id = l.id LEFT JOIN queued q ON q.ledger_id = l.id
    WHERE l.reward_task_id = ANY(${taskIds}::text[])
    ORDER BY l.id FOR UPDATE OF l`
}

/** The same without a lock: for finding out which pools are to be locked. */
export function findRewardsStatement(taskIds: readonly string[]): SQLQuery {
  return sql`
    SELECT ${STORED_COLUMNS}
    FROM reward_ledger l JOIN reward_task t ON t.ledger_id = l.id
    WHERE l.reward_task_id = ANY(${taskIds}::text[]) ORDER BY l.id`
}
