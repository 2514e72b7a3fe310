import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { applyMigrations, connect } from '@databases/pg-migrations'
import { sql } from '@databases/pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { admit, book, claim, entry, expectInvariants, openWorkbench, paid, terms, type Workbench } from './fixtures.ts'
import { schemaOf } from './schema.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())

const FIRST = new URL('../../connectors/ledger/migrations/0001-ledger.sql', import.meta.url)

/** A database as the version before reservations left it. */
async function before(bench: Workbench): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'onceward-migrations-'))
  writeFileSync(join(dir, '0001-ledger.sql'), readFileSync(FIRST))
  const pool = connect({ connectionString: bench.url, bigIntMode: 'bigint' })
  await applyMigrations({
    connection: pool,
    migrationsDirectory: dir,
    versionTableName: 'onceward_schema_version',
    appliedMigrationsTableName: 'onceward_schema_migrations',
  })
  await pool.dispose()
  rmSync(dir, { recursive: true, force: true })
}

const NOV: string | null = 'nov'

/** `changed`: how its row of the outbox differs from one that nobody has touched. */
async function reward(
  bench: Workbench,
  id: string,
  { pool = NOV, status = 'pending', changed = sql`attempts = 0` } = {},
): Promise<void> {
  await bench.query(sql`
    WITH booked AS (
      INSERT INTO reward_ledger (reward_task_id, user_id, pool_id, type, value, cost, status, payout_id, rule_id, reward,
        guardrails, issued_at)
      VALUES (${id}, ${`u_${id}`}, ${pool}, 'cash', 3, 3, ${status}, ${status === 'succeeded' ? 'po' : null}, 'r',
        '{"type": "cash", "amount": 3}', '{"kyc_min_level": 2}', now())
    )
    INSERT INTO reward_outbox (reward_task_id, task, source)
    SELECT ${id}, ${`{"id":"${id}"}`}, '{"topic": "t", "partition": 0, "offset": 1}' WHERE ${status} = 'pending'`)
  await bench.query(sql`UPDATE reward_outbox SET ${changed} WHERE reward_task_id = ${id}`)
}

test('a database of the version before goes on, with its sums right and nothing that may have been sent sent again', async () => {
  const bench = await openWorkbench(postgres, { migrate: false })
  await before(bench)
  await bench.query(sql`INSERT INTO reward_budget (pool_id, budget, spent) VALUES ('nov', 500, 6), ('none', NULL, 0)`)
  await reward(bench, 'untouched')
  await reward(bench, 'poolless', { pool: null })
  await reward(bench, 'tried', { changed: sql`attempts = 2, available_at = now() + interval '1 hour'` })
  await reward(bench, 'claimed', { changed: sql`claim = 7, claimed_by = 'x', available_at = now() + interval '1 s'` })
  await reward(bench, 'released', { changed: sql`available_at = now() + interval '1 microsecond'` })
  for (const id of ['paid1', 'paid2']) await reward(bench, id, { status: 'succeeded' })
  await reward(bench, 'refused', { status: 'failed' })
  await bench.ledger.migrate()

  await expectInvariants(bench)
  expect(await bench.ledger.budgets()).toEqual([
    { poolId: 'none', period: 'all', budget: null, softCap: null, spent: 0n, reserved: 0n, overrun: 0n },
    { poolId: 'nov', period: 'all', budget: null, softCap: 50_000n, spent: 600n, reserved: 1_200n, overrun: 0n },
  ])
  const rows = await bench.query(sql`SELECT reward_task_id, status, reserves FROM reward_ledger ORDER BY id`)
  expect(rows.map((row) => Object.values(row).join(' '))).toEqual([
    'untouched reserved true',
    'poolless reserved true',
    'tried failed true',
    'claimed failed true',
    'released failed true',
    'paid1 succeeded false',
    'paid2 succeeded false',
    'refused failed false',
  ])
  const claimed = await claim(bench.ledger, 9)
  expect(claimed.map(({ task }) => [task.taskId, task.raw, task.reward, task.guardrails])).toEqual(
    ['untouched', 'poolless'].map((id) => [id, `{"id":"${id}"}`, { type: 'cash', amount: 3 }, { kyc_min_level: 2 }]),
  )
  expect(await bench.history({ taskId: 'tried' })).toEqual(['failed by migration'])
  await bench.ledger.settle(['untouched', 'poolless', 'tried', 'refused', 'paid1'].map((id) => paid(id, 'po')))
  expect(await bench.ledger.budgets()).toMatchObject([{}, { spent: 1_500n, reserved: 600n }])
  expect(
    await book(bench.ledger, [entry(1, { poolId: 'nov', terms: terms({ budget: 2_150n }) })], admit),
  ).toMatchObject({
    recorded: 1,
  })
  expect(await bench.ledger.budgets()).toMatchObject([{}, { budget: 2_150n, softCap: null, reserved: 610n }])
  await expectInvariants(bench)
  await bench.close()
})

test('the schema is the one that is checked in', async () => {
  const bench = await openWorkbench(postgres)
  const schema = await schemaOf(bench)
  await bench.close()
  await expect(schema).toMatchFileSnapshot('./schema.txt')
})
