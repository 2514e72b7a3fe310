/** The rows of reward_budget: how they come to be, and how a call has them for itself while it decides. */
import { type SQLQuery, sql } from '@databases/pg'
import { assert } from '../../core/assert.ts'
import { OncewardError } from '../../core/errors.ts'
import { CENTS_MAX, type Cents, formatMoney } from '../../core/money.ts'
import type { Admission, Admit, LedgerTask, PoolFacts, PoolTerms } from '../../core/ports/ledger.ts'
import type { Transaction } from './database.ts'
import { type PoolRow, poolRowOf } from './rows.ts'

export interface PoolKey {
  readonly poolId: string
  readonly poolPeriod: string
}

/** A pool's period as a task knows it; `terms` null: not declared. */
export interface PoolDeclaration extends PoolKey {
  readonly terms: PoolTerms | null
}

/** Locked pools, with what the call has reserved of them so far counted in. */
export interface LockedPools {
  has(key: PoolKey): boolean
  /** Undefined where the row is not there. */
  facts(key: PoolKey): PoolFacts | undefined
  /**
   * Asks `admit` and counts what it reserves. What it answers is all there is to be done: the ledger's triggers move the
   * budget when the row is moved. Throws ONCEWARD_E_TASK_MALFORMED where the pool's sum would leave NUMERIC(18,2).
   */
  admit(task: LedgerTask, admit: Admit): Admission
}

const keyText = ({ poolId, poolPeriod }: PoolKey): string => JSON.stringify([poolId, poolPeriod])

/** Each pool once, in the order in which all of Onceward locks them; of several terms the latest. */
export function distinctPools(
  tasks: Iterable<{ readonly poolId: string | null; readonly poolPeriod: string; readonly terms?: PoolTerms | null }>,
): PoolDeclaration[] {
  const pools = new Map<string, PoolDeclaration>()
  for (const { poolId, poolPeriod, terms = null } of tasks) {
    if (poolId === null) continue
    const key = keyText({ poolId, poolPeriod })
    const known = pools.get(key)?.terms ?? null
    const newer = known === null || (terms !== null && terms.since > known.since)
    pools.set(key, { poolId, poolPeriod, terms: newer ? terms : known })
  }
  return [...pools.values()]
}

/**
 * Makes rows that are missing, empty, and brings terms up to date where those given are of a later event time. In a
 * transaction of its own, before the one that locks: so that a transaction takes its locks on pools in one statement, in
 * one order. Idempotent.
 */
export function declarePoolsStatement(pools: readonly PoolDeclaration[]): SQLQuery {
  const money = (read: (terms: PoolTerms) => Cents | null): (string | null)[] =>
    pools.map(({ terms }) => {
      const cents = terms === null ? null : read(terms)
      return cents === null ? null : formatMoney(cents)
    })
  return sql`
    INSERT INTO reward_budget AS b
      (pool_id, period, budget, soft_cap, large_prize, breaker_percent, when_closed, terms_since)
    SELECT * FROM unnest(
      ${pools.map((p) => p.poolId)}::text[], ${pools.map((p) => p.poolPeriod)}::text[],
      ${money((t) => t.budget)}::numeric[], ${money((t) => t.softCap)}::numeric[], ${money((t) => t.largePrize)}::numeric[],
      ${pools.map((p) => p.terms?.breakerPercent ?? 90)}::smallint[],
      ${pools.map((p) => p.terms?.whenClosed ?? 'hold')}::text[], ${pools.map((p) => p.terms?.since ?? null)}::bigint[]
    ) AS p(pool_id, period, budget, soft_cap, large_prize, breaker_percent, when_closed, terms_since)
    ORDER BY pool_id COLLATE "C", period COLLATE "C"
    ON CONFLICT (pool_id, period) DO UPDATE SET
      budget = EXCLUDED.budget, soft_cap = EXCLUDED.soft_cap, large_prize = EXCLUDED.large_prize,
      breaker_percent = EXCLUDED.breaker_percent, when_closed = EXCLUDED.when_closed,
      terms_since = EXCLUDED.terms_since, updated_at = now()
    WHERE EXCLUDED.terms_since IS NOT NULL AND (b.terms_since IS NULL OR b.terms_since < EXCLUDED.terms_since)`
}

/** Locks pool rows until the transaction ends, always in the same order, so that no two transactions wait for each other. */
function lockStatement(pools: readonly PoolKey[]): SQLQuery {
  return sql`
    SELECT pool_id, period, budget, soft_cap, large_prize, breaker_percent, when_closed, terms_since, spent, reserved
    FROM reward_budget
    WHERE (pool_id, period) IN (
      SELECT * FROM unnest(${pools.map((p) => p.poolId)}::text[], ${pools.map((p) => p.poolPeriod)}::text[])
    )
    ORDER BY pool_id COLLATE "C", period COLLATE "C" FOR UPDATE`
}

/**
 * Locks those of `pools` whose rows are there. To be a transaction's first lock: nothing else of a ledger is waited for
 * before it. `undeclared`: rows that are missing or whose terms are older than those given; see declarePoolsStatement.
 */
export async function lockPools(
  run: Transaction,
  pools: readonly PoolDeclaration[],
): Promise<{ readonly pools: LockedPools; readonly undeclared: readonly PoolDeclaration[] }> {
  const rows = pools.length === 0 ? [] : (await run(lockStatement(pools))).map(poolRowOf)
  const byKey = new Map(rows.map((row) => [keyText(row), row]))
  const undeclared = pools.filter((pool) => {
    const row = byKey.get(keyText(pool))
    return row === undefined || (pool.terms !== null && (row.terms === null || row.terms.since < pool.terms.since))
  })
  return { pools: lockedPools(byKey), undeclared }
}

function lockedPools(rows: ReadonlyMap<string, PoolRow>): LockedPools {
  const reserved = new Map<string, Cents>()
  const facts = (key: PoolKey): PoolFacts | undefined => {
    const row = rows.get(keyText(key))
    if (row === undefined) return undefined
    return { terms: row.terms, spent: row.spent, reserved: row.reserved + (reserved.get(keyText(key)) ?? 0n) }
  }
  return {
    has: (key) => rows.has(keyText(key)),
    facts,
    admit(task, admit) {
      const { poolId, poolPeriod, cost } = task
      if (poolId === null) return admitted(task, admit(task, undefined))
      const key = { poolId, poolPeriod }
      const before = facts(key)
      assert(before !== undefined, `the pool ${poolId} is locked while a task of it is admitted`)
      const admission = admitted(task, admit(task, before))
      if (admission.kind !== 'reserve') return admission
      if (before.spent + before.reserved + cost > CENTS_MAX) throw beyondMoney(task)
      reserved.set(keyText(key), (reserved.get(keyText(key)) ?? 0n) + cost)
      return admission
    },
  }
}

function admitted(task: LedgerTask, admission: Admission): Admission {
  assert(
    admission.kind !== 'reserve' || task.partner !== null,
    `${task.taskId} is reserved and so has a partner that pays it`,
  )
  return admission
}

function beyondMoney({ taskId, poolId, cost }: LedgerTask): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_TASK_MALFORMED',
    `${taskId} costs ${formatMoney(cost)}, and with it the sum of the pool ${poolId} would be above ` +
      `${formatMoney(CENTS_MAX)}, the most that the ledger can hold; lower its cost, or give it another pool`,
  )
}
