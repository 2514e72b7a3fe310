/** Books accounts of a world in a real ledger, by legal moves; and what a test plants there, past the triggers. */
import { type ConnectionPool, type SQLQuery, sql } from '@databases/pg'
import { connect } from '@databases/pg-migrations'
import { formatMoney } from '../../core/money.ts'
import type { OutRecord } from '../../core/ports/log.ts'
import type { TopicEntry } from '../../pipeline/reconcile/sides.ts'
import type { Account } from './world.ts'

export type Database = ConnectionPool

export function openDatabase(url: string): Database {
  return connect({ connectionString: url, poolSize: 1, bigIntMode: 'bigint' })
}

/** The moves that lead to where an account stands. */
const PATHS: Readonly<Record<string, readonly string[]>> = {
  succeeded: ['reserved', 'sent', 'succeeded'],
  failed: ['reserved', 'sent', 'failed'],
  sent: ['reserved', 'sent'],
  reserved: ['reserved'],
  held: ['held'],
  frozen: ['frozen'],
  voided: ['held', 'voided'],
  expired: ['frozen', 'expired'],
}

export async function bookAccounts(
  database: Database,
  accounts: readonly Account[],
  offsets: ReadonlyMap<string, number>,
): Promise<void> {
  await database.query(
    sql`INSERT INTO reward_budget (pool_id, budget) VALUES ('nov', 1000000), ('dec', 1000000) ON CONFLICT DO NOTHING`,
  )
  for (const each of accounts) await book(database, each, offsets.get(each.taskId) ?? null)
  await database.query(sql`
    UPDATE reward_budget b SET
      spent = (SELECT coalesce(sum(cost), 0) FROM reward_ledger l WHERE l.pool_id = b.pool_id AND status = 'succeeded'),
      reserved = (SELECT coalesce(sum(cost), 0) FROM reward_ledger l WHERE l.pool_id = b.pool_id AND reserves)`)
}

async function book(database: Database, { ledger, topic }: Account, offset: number | null): Promise<void> {
  if (ledger === undefined) return
  const [first = '', ...moves] = PATHS[ledger.status] ?? []
  const reserves = (status: string): boolean => status === 'reserved' || status === 'sent'
  const issued = new Date(ledger.issuedAt).toISOString()
  const [row] = (await database.query(sql`
    INSERT INTO reward_ledger (reward_task_id, user_id, pool_id, type, value, currency, cost, status, reserves, rule_id, issued_at, partner, origin)
    VALUES (${ledger.taskId}, ${ledger.userId}, ${ledger.poolId}, ${ledger.type}, ${formatMoney(ledger.value)}, ${ledger.currency},
      ${formatMoney(ledger.cost)}, ${first}, ${reserves(first)}, 'r', ${issued}, ${ledger.partner}, ${ledger.origin})
    RETURNING id`)) as { id: bigint }[]
  const id = row?.id ?? 0n
  for (const status of moves) {
    const payout = status === 'succeeded' ? ledger.payoutId : null
    await database.query(
      sql`UPDATE reward_ledger SET status = ${status}, reserves = ${reserves(status)}, payout_id = ${payout}, actor = ${status === 'voided' ? 'ann' : 'sink'} WHERE id = ${id}`,
    )
  }
  const task =
    topic[0] === undefined ? JSON.stringify(valueOf({ ...ledger, said: 'created' })) : JSON.stringify(valueOf(topic[0]))
  const source = offset === null ? null : JSON.stringify({ topic: 'reward.tasks', partition: 0, offset })
  await database.query(sql`
    INSERT INTO reward_task (ledger_id, reward, guardrails, task, source) VALUES (${id}, '{}', '{}', ${task}, ${source}::jsonb)`)
  await database.query([...beside(ledger.status, { id, userId: ledger.userId })])
}

function beside(status: string, { id, userId }: { readonly id: bigint; readonly userId: string }): SQLQuery[] {
  if (status === 'reserved' || status === 'sent')
    return [
      sql`INSERT INTO reward_outbox (ledger_id, partner, user_id, ordered) VALUES (${id}, 'wallet', ${userId}, false)`,
    ]
  if (status === 'held') return [sql`INSERT INTO reward_hold (ledger_id, reasons) VALUES (${id}, '[]')`]
  if (status === 'frozen')
    return [
      sql`INSERT INTO reward_freeze (ledger_id, user_id, frozen_by, reasons) VALUES (${id}, ${userId}, 'stream', '[]')`,
    ]
  return []
}

type Said = Pick<
  TopicEntry,
  'said' | 'taskId' | 'userId' | 'poolId' | 'type' | 'value' | 'currency' | 'cost' | 'issuedAt'
>

/** The value of a record on reward.tasks. */
export function valueOf({ said, taskId, userId, poolId, type, value, currency, cost, issuedAt }: Said): object {
  return {
    type: `reward_task.${said}`,
    reward_task_id: taskId,
    user_id: userId,
    origin: { rule_id: 'r', rule_version: '1', threshold: 1, period: 'all', event_id: `e_${taskId}` },
    reward: { type, amount: Number(formatMoney(value)), ...(currency === null ? {} : { currency }) },
    pool_id: poolId,
    guardrails: {},
    ...(cost === null ? {} : { cost: formatMoney(cost) }),
    status: said === 'created' ? 'pending' : said,
    ...(said === 'frozen' ? { reasons: [{ gate: 'rg', restriction: 'cool_off', until: null }] } : {}),
    created_at: new Date(issuedAt).toISOString(),
  }
}

export function recordOf(entry: Said, timestamp: number): OutRecord {
  return { topic: 'reward.tasks', partition: 0, key: entry.userId, value: JSON.stringify(valueOf(entry)), timestamp }
}

/** Runs statements as somebody does who goes past what guards the ledger. */
export async function pastTheTriggers(database: Database, statements: readonly SQLQuery[]): Promise<void> {
  const tables = ['reward_ledger', 'reward_history', 'reward_budget'].map((name) => sql.ident(name))
  await database.tx(async (connection) => {
    for (const table of tables) await connection.query(sql`ALTER TABLE ${table} DISABLE TRIGGER USER`)
    for (const statement of statements) await connection.query(statement)
    for (const table of tables) await connection.query(sql`ALTER TABLE ${table} ENABLE TRIGGER USER`)
  })
}
