/** A ledger with rewards in any state, made by plain SQL as the triggers allow it, and what to look at afterwards. */
import { connect } from '@databases/pg-migrations'
import { type ConnectionPool, sql } from '@databases/pg'
import { openPostgresBackOffice } from '../../connectors/ledger/back-office/back-office.ts'
import { openDatabase } from '../../connectors/ledger/database.ts'
import type { HoldReason } from '../../core/model/reward.ts'
import type { RewardStatus } from '../../core/model/reward-status.ts'
import type { BackOffice, Command, CommandName, ManualReward, Mandate } from '../../core/ports/back-office.ts'
import { manualTaskId } from '../../core/ids.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

export interface Office {
  readonly url: string
  readonly office: BackOffice
  readonly database: ConnectionPool
  /** Another one on the same ledger, with connections of its own. */
  another(): BackOffice
  close(): Promise<void>
}

export async function startOffices(): Promise<{ open(): Promise<Office>; stop(): Promise<void> }> {
  const postgres: TestPostgres = await startTestPostgres()
  // Migrated once; a copy of the files is faster than the migrations.
  const template = await postgres.freshDatabase()
  const schema = openDatabase({ url: template, allowNonDurable: true })
  await schema.migrate()
  await schema.close()
  const server = connect({ connectionString: at(template, 'postgres'), bigIntMode: 'number', poolSize: 1 })
  let offices = 0
  return {
    async open() {
      const name = `office_${++offices}`
      const source = new URL(template).pathname.slice(1)
      await server.query(sql`CREATE DATABASE ${sql.ident(name)} TEMPLATE ${sql.ident(source)} STRATEGY file_copy`)
      const url = at(template, name)
      const database = connect({ connectionString: url, bigIntMode: 'number', poolSize: 2 })
      const opened: BackOffice[] = []
      const another = (): BackOffice => {
        const office = openPostgresBackOffice({ url, allowNonDurable: true })
        opened.push(office)
        return office
      }
      return {
        url,
        database,
        office: another(),
        another,
        async close() {
          await Promise.all(opened.map((office) => office.close()))
          await database.dispose()
        },
      }
    },
    async stop() {
      await server.dispose()
      await postgres.stop()
    },
  }
}

function at(url: string, database: string): string {
  const other = new URL(url)
  other.pathname = `/${database}`
  return other.href
}

export interface Given {
  readonly id: string
  readonly status: RewardStatus
  readonly user?: string
  /** Default: season. */
  readonly pool?: string | null
  /** Default: 10.00. */
  readonly cost?: string
  readonly type?: string
  readonly kyc?: number
  /** It was sent before, and its reservation stays where it is frozen or failed. */
  readonly inDoubt?: boolean
  readonly approvals?: number
  readonly holds?: readonly HoldReason[]
  readonly frozenBy?: 'stream' | 'sink' | 'manual'
  readonly claimed?: boolean
  readonly payer?: boolean
  readonly rule?: string
  readonly issuedAt?: string
}

/** The way to each state, from `pending`. */
function wayTo({ status, inDoubt = false }: Given): RewardStatus[] {
  if (status === 'pending') return []
  if (status === 'sent' || status === 'succeeded') return ['reserved', 'sent', ...(status === 'sent' ? [] : [status])]
  if (status === 'failed') return ['reserved', 'sent', 'failed']
  if (status === 'frozen' && inDoubt) return ['reserved', 'sent', 'frozen']
  if (status === 'reserved' && inDoubt) return ['reserved', 'sent', 'failed', 'reserved']
  return [status]
}

export async function pool(
  { database }: Office,
  poolId = 'season',
  terms: { budget?: string | null; softCap?: string; largePrize?: string; whenClosed?: string; period?: string } = {},
): Promise<void> {
  const { budget = '1000.00', softCap = null, largePrize = null, whenClosed = 'hold', period = 'all' } = terms
  await database.query(sql`
    INSERT INTO reward_budget (pool_id, period, budget, soft_cap, large_prize, when_closed, terms_since)
    VALUES (${poolId}, ${period}, ${budget}, ${softCap}, ${largePrize}, ${whenClosed}, ${budget === null ? null : 0})
    ON CONFLICT DO NOTHING`)
}

export async function give(office: Office, given: Given): Promise<void> {
  const { database } = office
  const { id, user = 'u_1', cost = '10.00', type = 'cash', kyc = 0, approvals = 1, rule = 'r_test' } = given
  const { pool: poolId = 'season', payer = null, issuedAt = '2025-11-03T00:00:00Z' } = given
  if (poolId !== null) await pool(office, poolId)
  const rows = (await database.query(sql`
    INSERT INTO reward_ledger (reward_task_id, user_id, pool_id, type, value, currency, cost, rule_id, kyc_required, approvals,
      issued_at, partner, payer)
    VALUES (${id}, ${user}, ${poolId}, ${type}, ${cost}, 'EUR', ${cost}, ${rule}, ${kyc}, ${approvals}, ${issuedAt}, 'wallet',
      ${payer})
    RETURNING id`)) as { id: number }[]
  const ledgerId = rows[0]?.id ?? 0
  await database.query(sql`
    INSERT INTO reward_task (ledger_id, reward, guardrails, task) VALUES (${ledgerId}, '{"type":"cash"}', '{}', '{}')`)
  for (const step of wayTo(given)) {
    const reserves =
      step === 'reserved' || step === 'sent' || ((step === 'failed' || step === 'frozen') && given.inDoubt === true)
    await database.query(sql`
      UPDATE reward_ledger SET status = ${step}, reserves = ${reserves}, payout_id = ${step === 'succeeded' ? 'p_1' : null}
      WHERE id = ${ledgerId}`)
  }
  const { status, frozenBy = 'manual', claimed = false } = given
  if (status === 'reserved' || status === 'sent') {
    await database.query(sql`
      INSERT INTO reward_outbox (ledger_id, partner, user_id, ordered, claim, available_at)
      VALUES (${ledgerId}, 'wallet', ${user}, false, ${claimed ? 7 : null}, now() + interval '1 minute')`)
  }
  if (status === 'held') {
    const holds = given.holds ?? [{ by: 'large_prize', detail: 'it is large' }]
    await database.query(sql`
      INSERT INTO reward_hold (ledger_id, reasons, approvals) VALUES (${ledgerId}, ${JSON.stringify(holds)}, ${approvals})`)
  }
  if (status === 'frozen') {
    await database.query(sql`
      INSERT INTO reward_freeze (ledger_id, user_id, frozen_by, reasons) VALUES (${ledgerId}, ${user}, ${frozenBy}, '[]')`)
  }
}

export interface Restriction {
  readonly kind: string
  readonly since: string
  readonly until: string | null
}

export async function player(
  { database }: Office,
  user: string,
  { kyc = null, restrictions = [] }: { kyc?: number | null; restrictions?: readonly Restriction[] },
): Promise<void> {
  await database.query(sql`
    INSERT INTO player_state (user_id, kyc_level, restrictions, as_of, seq)
    VALUES (${user}, ${kyc}, ${JSON.stringify(restrictions)}, now(), 1)
    ON CONFLICT (user_id) DO UPDATE SET kyc_level = EXCLUDED.kyc_level, restrictions = EXCLUDED.restrictions`)
}

export const ANN: Mandate = { actor: 'ann', reason: 'looked at it', override: false, kycUnknown: 0, reviewFrom: null }
export const BOB: Mandate = { ...ANN, actor: 'bob' }
export const EXCLUDED: Restriction = { kind: 'self_exclusion', since: '2025-01-01T00:00:00Z', until: null }

export function command(name: CommandName, mandate: Mandate = ANN, more: { notPaid?: boolean } = {}): Command {
  if (name === 'assign') return { ...mandate, name, to: 'carol' }
  if (name === 'void') return { ...mandate, name, notPaid: more.notPaid ?? false }
  return { ...mandate, name }
}

export function manual(reference: string, change: Partial<ManualReward> = {}): ManualReward {
  const userId = change.userId ?? 'u_1'
  return {
    taskId: manualTaskId(userId, reference),
    userId,
    reference,
    reason: 'sorry',
    reward: { type: 'cash', amount: 10, currency: 'EUR' },
    value: 1000n,
    cost: 1000n,
    poolId: 'season',
    poolPeriod: 'all',
    terms: null,
    closed: null,
    kycRequired: 0,
    holds: [],
    approvals: 1,
    issuedAt: '2025-11-03T00:00:00.000Z',
    ...change,
  }
}

/** Where a reward and its pool stand, in one line each. */
export async function standing({ database }: Office, id: string): Promise<Record<string, unknown>> {
  const [row] = (await database.query(sql`
    SELECT l.status, l.reserves, l.kyc_required,
      (SELECT count(*)::int FROM reward_outbox WHERE ledger_id = l.id) AS queued,
      (SELECT count(*)::int FROM reward_hold WHERE ledger_id = l.id AND decision IS NULL) AS open,
      (SELECT frozen_by FROM reward_freeze WHERE ledger_id = l.id) AS frozen_by,
      b.reserved, b.spent, b.overrun
    FROM reward_ledger l LEFT JOIN reward_budget b ON b.pool_id = l.pool_id AND b.period = l.pool_period
    WHERE reward_task_id = ${id}`)) as Record<string, unknown>[]
  return row ?? {}
}

export async function audited({ database }: Office): Promise<Record<string, unknown>[]> {
  return (await database.query(
    sql`SELECT actor, action, subject, reason, detail FROM audit_log ORDER BY id`,
  )) as Record<string, unknown>[]
}

/** The budget's own sums against the ledger's: they must agree whatever was done. */
export async function requireBalance({ database }: Office): Promise<void> {
  const wrong: unknown[] = await database.query(sql`
    SELECT b.pool_id, b.reserved, b.spent FROM reward_budget b
    WHERE b.reserved <> COALESCE((SELECT sum(cost) FROM reward_ledger l
        WHERE l.pool_id = b.pool_id AND l.pool_period = b.period AND reserves), 0)
      OR (b.budget IS NOT NULL AND b.spent + b.reserved > b.budget + b.overrun)`)
  if (wrong.length > 0) throw new Error(`a budget and its ledger differ: ${JSON.stringify(wrong)}`)
}
