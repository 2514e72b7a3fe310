/** Rewards, pools and players as the ledger gets them, without a sink around it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionPool, type SQLQuery, sql } from '@databases/pg'
import { connect } from '@databases/pg-migrations'
import { expect } from 'vitest'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { rewardTaskId } from '../../core/ids.ts'
import type { Player, Restriction } from '../../core/model/player.ts'
import type { RewardStatus } from '../../core/model/reward-status.ts'
import type {
  Admission,
  Admit,
  Arrival,
  ClaimedTask,
  Ledger,
  LedgerTask,
  PlayerChange,
  PoolTerms,
  Settlement,
} from '../../core/ports/ledger.ts'
import type { TestPostgres } from '../support/postgres.ts'

export const POOL = 'nov_season'

export function terms(change: Partial<PoolTerms> = {}): PoolTerms {
  const plain = { budget: 100_000n, softCap: null, breakerPercent: 90, whenClosed: 'hold', largePrize: null, since: 0 }
  return { ...plain, ...change } as PoolTerms
}

/** The `n`th reward: 0.10 of one pool that has 1,000.00, for one of 97 players. */
export function entry(n: number, change: Partial<LedgerTask> = {}): LedgerTask {
  const userId = change.userId ?? `u_${n % 97}`
  return {
    taskId: rewardTaskId(userId, 'r_test', 'all', n),
    userId,
    poolId: POOL,
    poolPeriod: 'all',
    terms: change.poolId === null ? null : terms(),
    closed: null,
    type: 'bonus_cash',
    value: 10n,
    currency: 'EUR',
    cost: 10n,
    ruleId: 'r_test',
    ruleVersion: '1.0',
    threshold: n,
    period: 'all',
    eventId: `e_${n}`,
    reward: { type: 'bonus_cash', amount: 0.1, currency: 'EUR', wagering: 15 },
    guardrails: { kyc_min_level: 2 },
    softCap: null,
    kycRequired: 2,
    kycUnknown: null,
    holds: [],
    approvals: 1,
    partner: 'wallet',
    ordered: false,
    payer: null,
    origin: 'stream',
    issuedAt: '2025-11-03T11:38:30.000Z',
    source: { topic: 'reward.tasks', partition: 0, offset: n },
    raw: `{"n":${n}}`,
    ...change,
  }
}

export const entries = (count: number, change: Partial<LedgerTask> = {}): LedgerTask[] =>
  Array.from({ length: count }, (_, n) => entry(n, change))

export const created = (task: LedgerTask, released = false): Arrival => ({ kind: 'created', task, released })
export const expired = (task: LedgerTask): Arrival => ({ kind: 'expired', task })
export const frozen = (task: LedgerTask, expiresAt: string | null = null): Arrival => ({
  kind: 'frozen',
  task,
  reasons: [{ gate: 'rg', restriction: 'cool_off', until: null }],
  expiresAt,
})

/** The plain rules: task.holds, task.closed and the hard cap. */
export const admit: Admit = (task, facts): Admission => {
  if (task.partner === null) return { kind: 'hold', reasons: [{ by: 'no_partner', detail: 'nobody pays it' }] }
  if (task.holds.length > 0) return { kind: 'hold', reasons: task.holds }
  const budget = facts?.terms?.budget
  const closed =
    task.closed ??
    (budget !== undefined && facts !== undefined && facts.spent + facts.reserved + task.cost > budget
      ? 'no money'
      : null)
  if (closed === null) return { kind: 'reserve' }
  if (facts?.terms?.whenClosed === 'dlq') return { kind: 'refuse', detail: closed }
  return { kind: 'hold', reasons: [{ by: 'closed', detail: closed }] }
}

export const book = (ledger: Ledger, tasks: readonly LedgerTask[], how: Admit = admit): ReturnType<Ledger['book']> =>
  ledger.book(
    tasks.map((task) => created(task)),
    how,
  )

export const claim = (
  ledger: Ledger,
  limit: number,
  { leaseMs = 60_000, partner = 'wallet', owner = 'test' } = {},
): Promise<readonly ClaimedTask[]> => ledger.claim({ owner, partner, limit, leaseMs })

/** Claims and clears: what may be sent now. */
export async function send(ledger: Ledger, limit: number): Promise<readonly ClaimedTask[]> {
  const claimed = await claim(ledger, limit)
  const clearances = await ledger.clear(claimed)
  return claimed.filter(({ taskId }) => clearances.get(taskId)?.kind === 'send')
}

export const paid = (taskId: string, payoutId = `po_${taskId}`, payoutStatus = 'succeeded'): Settlement => ({
  kind: 'succeeded',
  taskId,
  payoutId,
  payoutStatus,
})

export const failure = ({ taskId, claim: token }: ClaimedTask, inDoubt: boolean): Settlement => ({
  kind: 'failed',
  taskId,
  claim: token,
  reason: inDoubt ? 'HTTP 503, for the ninth time' : 'HTTP 422',
  inDoubt,
})

/** What a holder of the claim may say of it, short of a payment: retry, failed, released. */
export function verdicts({ taskId, claim: token }: ClaimedTask): readonly [Settlement, Settlement, Settlement] {
  return [
    { kind: 'retry', taskId, claim: token, delayMs: 0, reason: 'late' },
    { kind: 'failed', taskId, claim: token, reason: 'late', inDoubt: false },
    { kind: 'released', taskId, claim: token },
  ]
}

export function only<T>(list: readonly T[]): T {
  const [first] = list
  if (first === undefined || list.length > 1) throw new Error(`${list.length} where one was expected`)
  return first
}

export function change(userId: string, player: Partial<Player>, seq = 1): PlayerChange {
  return { userId, player: { kycLevel: null, restrictions: [], ...player }, asOf: '2025-11-03T12:00:00.000Z', seq }
}

export const SELF_EXCLUSION: Restriction = { kind: 'self_exclusion', since: 0, until: null }

/** A database, ledgers of as many processes as are opened, and SQL beside them. */
export interface Workbench {
  readonly url: string
  readonly ledger: Ledger
  open(): Ledger
  query(statement: SQLQuery): Promise<Record<string, unknown>[]>
  status(task: Pick<LedgerTask, 'taskId'>): Promise<RewardStatus | undefined>
  history(task: Pick<LedgerTask, 'taskId'>): Promise<string[]>
  close(): Promise<void>
}

export async function openWorkbench(postgres: TestPostgres, { migrate = true } = {}): Promise<Workbench> {
  const url = await postgres.freshDatabase()
  const ledgers: Ledger[] = []
  const open = (): Ledger => {
    const ledger = openPostgresLedger({ url, allowNonDurable: true })
    ledgers.push(ledger)
    return ledger
  }
  const pool: ConnectionPool = connect({ connectionString: url, bigIntMode: 'bigint', onError: () => undefined })
  const query = (statement: SQLQuery): Promise<Record<string, unknown>[]> => pool.query(statement)
  const ledger = open()
  if (migrate) await ledger.migrate()
  return {
    url,
    ledger,
    open,
    query,
    status: async ({ taskId }) =>
      (await query(sql`SELECT status FROM reward_ledger WHERE reward_task_id = ${taskId}`))[0]?.['status'] as
        | RewardStatus
        | undefined,
    history: async ({ taskId }) =>
      (
        await query(sql`
          SELECT h.to_status || ' by ' || h.actor AS told FROM reward_history h JOIN reward_ledger l ON l.id = h.ledger_id
          WHERE l.reward_task_id = ${taskId} ORDER BY h.move`)
      ).map((row) => row['told'] as string),
    async close() {
      for (const one of ledgers) await one.close()
      await pool.dispose()
    },
  }
}

/** I1 to I5 of the ledger, asked of the tables themselves. */
export async function expectInvariants(bench: Pick<Workbench, 'query'>): Promise<void> {
  expect(
    await bench.query(sql`
      SELECT l.reward_task_id, l.status, o.ledger_id IS NOT NULL AS queued FROM reward_ledger l
      FULL JOIN reward_outbox o ON o.ledger_id = l.id
      WHERE (o.ledger_id IS NOT NULL) <> COALESCE(l.status IN ('reserved', 'sent'), false)`),
    'I2: in the outbox exactly while reserved or sent',
  ).toEqual([])
  expect(
    await bench.query(sql`
      SELECT b.* FROM reward_budget b LEFT JOIN (
        SELECT pool_id, pool_period, COALESCE(sum(cost) FILTER (WHERE status = 'succeeded'), 0) AS spent,
          COALESCE(sum(cost) FILTER (WHERE reserves), 0) AS reserved
        FROM reward_ledger GROUP BY pool_id, pool_period
      ) l ON l.pool_id = b.pool_id AND l.pool_period = b.period
      WHERE b.spent <> COALESCE(l.spent, 0) OR b.reserved <> COALESCE(l.reserved, 0)
        OR b.spent + b.reserved > b.budget + b.overrun`),
    'I3: the budget is the sum of the ledger and not above itself',
  ).toEqual([])
  expect(
    await bench.query(sql`
      SELECT l.reward_task_id, l.status, l.moves FROM reward_ledger l
      WHERE l.status <> (SELECT to_status FROM reward_history h WHERE h.ledger_id = l.id ORDER BY move DESC LIMIT 1)
        OR l.moves <> (SELECT count(*) FROM reward_history h WHERE h.ledger_id = l.id)`),
    'I5: the history ends where the row is',
  ).toEqual([])
  expect(
    await bench.query(sql`
      SELECT l.reward_task_id, l.status FROM reward_ledger l
      LEFT JOIN reward_freeze f ON f.ledger_id = l.id
      LEFT JOIN reward_hold h ON h.ledger_id = l.id AND h.decision IS NULL
      WHERE (f.ledger_id IS NOT NULL) <> (l.status = 'frozen') OR (h.id IS NOT NULL) <> (l.status = 'held')`),
    'a freeze stands beside what is frozen, an open hold beside what is held',
  ).toEqual([])
}

/** Waits for a condition, at most `boundMs`. */
export async function eventually(what: string, holds: () => Promise<boolean>, boundMs = 20_000): Promise<void> {
  const end = performance.now() + boundMs
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${boundMs} ms: ${what}`)
    await sleep(10)
  }
}
