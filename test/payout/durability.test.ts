import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionPool, sql } from '@databases/pg'
import { connect } from '@databases/pg-migrations'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../connectors/ledger/embedded-postgres.ts'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import { book, claim, entry, send } from '../ledger/fixtures.ts'

const dir = mkdtempSync(join(tmpdir(), 'onceward-durability-'))
let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startEmbeddedPostgres({ dir, durable: false })
})
afterAll(async () => {
  await server.stop()
  rmSync(dir, { recursive: true, force: true })
})

async function withPool<T>(work: (pool: ConnectionPool) => Promise<T>): Promise<T> {
  const pool = connect({ connectionString: server.url, bigIntMode: 'bigint', onError: () => undefined })
  try {
    return await work(pool)
  } finally {
    await pool.dispose()
  }
}

async function withLedger<T>(allowNonDurable: boolean, work: (ledger: Ledger) => Promise<T>): Promise<T> {
  const ledger = openPostgresLedger({ url: server.url, allowNonDurable })
  try {
    return await work(ledger)
  } finally {
    await ledger.close()
  }
}

const refusal = (...settings: string[]) => ({
  code: 'ONCEWARD_E_LEDGER_NOT_DURABLE',
  message: expect.stringContaining(`Postgres runs with ${settings.map((name) => `${name} = off`).join(' and ')}:`),
})

/** Settings of the server, in force once this resolves. */
async function configure(values: Readonly<Record<string, string>>): Promise<void> {
  await withPool(async (pool) => {
    for (const [name, value] of Object.entries(values)) {
      await pool.query(sql`ALTER SYSTEM SET ${sql.ident(name)} = ${sql.__dangerous__rawValue(`'${value}'`)}`)
    }
    await pool.query(sql`SELECT pg_reload_conf()`)
  })
}

async function restart(signal: 'SIGINT' | 'SIGQUIT', durable: boolean): Promise<void> {
  process.kill(Number(readFileSync(join(dir, 'pgdata', 'postmaster.pid'), 'utf8').split('\n')[0]), signal)
  const port = Number(new URL(server.url).port)
  await server.stop()
  server = await startEmbeddedPostgres({ dir, port, durable })
}

test('a server that may forget what it acknowledged is refused before there is a table, unless that is allowed', async () => {
  await withLedger(false, async (ledger) => {
    await expect(ledger.migrate()).rejects.toMatchObject(refusal('fsync', 'full_page_writes'))
  })
  expect(await withPool((pool) => pool.query(sql`SELECT FROM pg_tables WHERE tablename LIKE 'reward%'`))).toEqual([])
  await withLedger(true, async (ledger) => {
    await ledger.migrate()
    expect(await book(ledger, [entry(1)])).toMatchObject({ recorded: 1, known: 0 })
  })
})

test('one that became so while the sink runs is refused by the next write, which books nothing', async () => {
  await restart('SIGINT', true)
  await withLedger(false, async (ledger) => {
    await ledger.migrate()
    await book(ledger, [entry(2)])
    await restart('SIGINT', false)
    // The pool's connections broke with the server.
    await expect
      .poll(() => book(ledger, [entry(3)]).catch((error: unknown) => error), { timeout: 20_000 })
      .toMatchObject(refusal('fsync', 'full_page_writes'))
    await expect(claim(ledger, 9)).rejects.toMatchObject(refusal('fsync', 'full_page_writes'))
    const paid = { kind: 'succeeded', taskId: entry(2).taskId, payoutId: 'po_2', payoutStatus: 'succeeded' } as const
    const released = { kind: 'released', taskId: entry(2).taskId, claim: 1n } as const
    await expect(ledger.settle([paid])).rejects.toMatchObject(refusal('fsync', 'full_page_writes'))
    await expect(ledger.settle([paid, released])).rejects.toMatchObject(refusal('fsync', 'full_page_writes'))
    expect(await ledger.totals()).toMatchObject([{ status: 'reserved', count: 2 }])
  })
})

test.each([true, false])(
  'where the database does not wait for its commits the ledger does, non-durable servers allowed: %s',
  async (allowed) => {
    await restart('SIGINT', !allowed)
    await withPool(async (pool) => {
      await pool.query(sql`CREATE TABLE IF NOT EXISTS committed (how text)`)
      await pool.query(sql`TRUNCATE committed`)
      await pool.query(sql`
        CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO committed VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$`)
      for (const table of ['reward_ledger', 'reward_outbox']) {
        await pool.query(sql`
          CREATE OR REPLACE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON ${sql.ident(table)}
          FOR EACH STATEMENT EXECUTE FUNCTION note()`)
      }
    })
    for (const [set, held] of [
      ['off', 'on'],
      ['local', 'local'],
      ['remote_apply', 'remote_apply'],
    ] as const) {
      await configure({ synchronous_commit: set })
      await withLedger(allowed, async (ledger) => {
        await book(ledger, [entry(10)])
        const [claimed] = await send(ledger, 1)
        if (claimed === undefined) throw new Error('nothing to claim')
        await ledger.settle([{ kind: 'retry', taskId: claimed.taskId, claim: claimed.claim, delayMs: 0, reason: 'x' }])
      })
      const seen: { how: string }[] = await withPool((pool) => pool.query(sql`DELETE FROM committed RETURNING how`))
      expect(seen.length).toBeGreaterThan(2)
      expect(new Set(seen.map(({ how }) => how))).toEqual(new Set([held]))
    }
    await configure({ synchronous_commit: 'on' })
  },
)

test('the embedded server that is not durable keeps what it acknowledged when its process is killed', async () => {
  await restart('SIGINT', false)
  // So that nobody else writes the log by chance before it is killed.
  await configure({ wal_writer_delay: '10s' })
  await withPool(async (pool) => {
    await pool.query(sql`CREATE TABLE acknowledged (n int)`)
    await pool.query(sql`INSERT INTO acknowledged VALUES (1)`)
    await restart('SIGQUIT', false)
  })
  expect(await withPool((pool) => pool.query(sql`SELECT n FROM acknowledged`))).toEqual([{ n: 1 }])
})
