/**
 * Lets go what the sink has frozen at the moment of the call, in one transaction:
 * 1  find rewards that may go, and lock their pools: pools go first, as in a booking
 * 2  lock those of them that are still so, passing over what others hold: nobody is waited for
 * 3  ask for admission, and move
 * A reward in doubt (it may have been paid, and its reservation stands) goes back under way without a second reservation, and
 * never expires. One whose player is free again goes although its time is up, too: it was late by our doing.
 */
import { type SQLQuery, sql } from '@databases/pg'
import { BUDGET_CLOSED } from '../../core/model/reward.ts'
import { CENTS_MAX } from '../../core/money.ts'
import type { Admit, Booked } from '../../core/ports/ledger.ts'
import type { Database } from './database.ts'
import {
  admissionMove,
  type Move,
  moveStatement,
  needsAdmission,
  refusalDetail,
  STORED_COLUMNS,
} from './move-statements.ts'
import { distinctPools, type LockedPools, lockPools } from './pools.ts'
import { STOPPED } from './protection.ts'
import { type ThawableReward, thawableOf } from './rows.ts'

export function thaw(database: Database, admit: Admit, limit: number): Promise<Booked> {
  return database.write(async (run) => {
    const candidates = (await run(candidatesStatement(limit))).map(thawableOf)
    if (candidates.length === 0) return { recorded: 0, known: 0, refused: [], held: 0, frozen: 0 }
    const { pools } = await lockPools(run, distinctPools(candidates.map(({ task }) => task)))
    const ready = (await run(lockedStatement(candidates.map(({ ledgerId }) => ledgerId)))).map(thawableOf)
    const moves = ready.map((reward) => ({ taskId: reward.task.taskId, move: moveOf(reward, pools, admit) }))
    if (moves.length > 0) await run(moveStatement(moves.map(({ move }) => move)))
    return {
      recorded: 0,
      known: moves.length,
      refused: moves.flatMap(({ taskId, move }) => {
        const detail = refusalDetail(move.failure)
        return detail === undefined ? [] : [{ taskId, detail }]
      }),
      held: moves.filter(({ move }) => move.to === 'held').length,
      frozen: 0,
    }
  })
}

function moveOf(reward: ThawableReward, pools: LockedPools, admit: Admit): Move {
  const { ledgerId, passes, task } = reward
  const told = { actor: 'sink', reason: 'the player is no longer protected' }
  if (!passes) {
    const reason = 'its time was up before the player was free again'
    const move = { ledgerId, to: 'expired', reserves: false, reason, actor: 'sink' } as const
    return { ...move, failure: null, holds: null, freeze: null, route: null }
  }
  if (!needsAdmission(reward)) return admissionMove(ledgerId, { kind: 'reserve' }, told)
  const terms = task.poolId === null ? null : (pools.facts({ ...task, poolId: task.poolId })?.terms ?? null)
  return admissionMove(ledgerId, pools.admit({ ...task, terms }, withinMoney(admit)), told)
}

/** What would take a sum out of NUMERIC(18,2) is a person's matter: there is no record here to be put aside for it. */
function withinMoney(admit: Admit): Admit {
  return (task, facts) => {
    const sum = task.cost + (facts === undefined ? 0n : facts.spent + facts.reserved)
    if (sum <= CENTS_MAX) return admit(task, facts)
    const detail = `with it the sum of pool ${task.poolId} would be more than the ledger can hold`
    return { kind: 'hold', reasons: [{ by: BUDGET_CLOSED, detail }] }
  }
}

const PASSES = sql`NOT ${STOPPED}`
/** A reward that is in doubt does not expire: it may have been paid. */
const OVER = sql`(f.expires_at <= now() AND NOT l.reserves)`

const FROM = sql`
  FROM reward_freeze f
  JOIN reward_ledger l ON l.id = f.ledger_id
  JOIN reward_task t ON t.ledger_id = f.ledger_id
  LEFT JOIN player_state p ON p.user_id = l.user_id
  WHERE f.frozen_by = 'sink' AND l.status = 'frozen' AND (${PASSES} OR ${OVER})`

function candidatesStatement(limit: number): SQLQuery {
  return sql`SELECT ${STORED_COLUMNS}, ${PASSES} AS passes ${FROM} ORDER BY f.ledger_id LIMIT ${limit}`
}

function lockedStatement(ledgerIds: readonly bigint[]): SQLQuery {
  return sql`
    SELECT ${STORED_COLUMNS}, ${PASSES} AS passes ${FROM} AND f.ledger_id = ANY(${ledgerIds}::bigint[])
    ORDER BY f.ledger_id FOR UPDATE OF l, f SKIP LOCKED`
}
