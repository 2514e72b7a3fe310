/**
 * The ledger on Postgres. What it holds at every commit:
 * I1  a task has one row in reward_ledger, whatever is delivered how often;
 * I2  a task is in reward_outbox exactly while its row is `pending`;
 * I3  reward_budget.spent is the sum of cost over the pool's `succeeded` rows;
 * I4  of several claims of one task, at most one is valid, the newest.
 */
import { fileURLToPath } from 'node:url'
import { type ConnectionPool, type Queryable, type SQLQuery, sql } from '@databases/pg'
import { applyMigrations, connect } from '@databases/pg-migrations'
import type { Ledger, Settlement } from '../../core/ports/ledger.ts'
import { type Logger, silentLogger } from '../../core/ports/logger.ts'
import { ledgerError, notDurable } from './failures.ts'
import { budgetOf, claimedOf, countOf, durabilityOf, type Row, rowOf, taskIdOf, totalOf } from './rows.ts'
import * as statements from './statements.ts'

export interface PostgresLedgerOptions {
  /** postgres://user:password@host:port/database, with `?sslmode=` as libpq has it. */
  readonly url: string
  /** Most connections at once; default 4. */
  readonly connections?: number
  /** A statement that takes longer fails as unavailable, so that a dead connection is noticed; default 30,000. */
  readonly statementTimeoutMs?: number
  /** Also accepts a server whose settings let it forget what it acknowledged; default false. */
  readonly allowNonDurable?: boolean
  readonly logger?: Logger
}

/** Runs statements that change something, all or none; answers the rows of each. */
type Write = (statements: readonly SQLQuery[]) => Promise<Row[][]>

/** Rows in one statement; bounds the memory of a statement, not of a batch. */
const ROWS_MAX = 1_000

/**
 * Connects lazily: a database that is not there shows at the first call, as ONCEWARD_E_LEDGER_UNAVAILABLE. What changes
 * something throws ONCEWARD_E_LEDGER_NOT_DURABLE where the server may forget what it acknowledged.
 */
export function openPostgresLedger(options: PostgresLedgerOptions): Ledger {
  const pool = openPool(options)
  const write = writer(pool, options)
  return {
    migrate: () => guarded(() => migrate(pool, write)),
    async record(tasks) {
      const distinct = [...new Map(tasks.map((task) => [task.taskId, task])).values()]
      const chunks = Array.from({ length: Math.ceil(distinct.length / ROWS_MAX) }, (_, n) =>
        statements.recordStatement(distinct.slice(n * ROWS_MAX, (n + 1) * ROWS_MAX)),
      )
      const recorded = (await guarded(() => write(chunks))).reduce((sum, rows) => sum + countOf(rows), 0)
      return { recorded, known: tasks.length - recorded }
    },
    async claim({ owner, limit, leaseMs }) {
      const results = await guarded(() => write([statements.claimStatement(owner, limit, leaseMs)]))
      return results.flat().map(claimedOf)
    },
    settle: (settlements) => guarded(() => settle(write, settlements)),
    outstanding: async () => countOf(await guarded(() => pool.query(statements.OUTSTANDING))),
    totals: async () => (await guarded(() => pool.query(statements.TOTALS))).map(totalOf),
    budgets: async () => (await guarded(() => pool.query(statements.BUDGETS))).map(budgetOf),
    latest: async (limit) => (await guarded(() => pool.query(statements.latestStatement(limit)))).map(rowOf),
    close: () => pool.dispose(),
  }
}

function openPool(options: PostgresLedgerOptions): ConnectionPool {
  const logger = options.logger ?? silentLogger
  const statementTimeoutMilliseconds = options.statementTimeoutMs ?? 30_000
  return connect({
    connectionString: options.url,
    applicationName: 'onceward',
    poolSize: options.connections ?? 4,
    bigIntMode: 'bigint',
    keepAlive: true,
    connectionTimeoutMilliseconds: 10_000,
    statementTimeoutMilliseconds,
    // The server's own time-out cannot reach us over a dead connection; the client's, a little later, can.
    queryTimeoutMilliseconds: statementTimeoutMilliseconds + 5_000,
    // An idle connection that breaks is replaced at the next query, so it is no error yet.
    onError: (error) => logger.debug({ error: error.message }, 'an idle connection to Postgres was lost'),
  })
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw ledgerError(error)
  }
}

/**
 * Several statements are one transaction; a single one is a transaction of its own, without the round trips of BEGIN and
 * COMMIT. What makes it durable goes first on the same connection, each time: so it holds for the session and the server
 * that commit what follows, whatever was restarted or configured meanwhile.
 */
function writer(pool: ConnectionPool, { allowNonDurable = false }: PostgresLedgerOptions): Write {
  return async (work) => {
    if (work.length === 0) return []
    const run = async (connection: Queryable): Promise<Row[][]> => {
      const refusal = notDurable(durabilityOf(await connection.query(statements.DURABILITY)))
      if (refusal !== undefined && !allowNonDurable) throw refusal
      return connection.query([...work])
    }
    return work.length === 1 ? pool.task(run) : pool.tx(run)
  }
}

/**
 * The lock is of the session, so that one connection holds it while the migrations run on others. It is freed with the
 * session where the process dies.
 */
async function migrate(pool: ConnectionPool, write: Write): Promise<void> {
  // Refused before there is a table.
  await write([statements.NOTHING])
  await pool.task(async (connection) => {
    await connection.query(statements.MIGRATION_LOCK)
    try {
      await applyMigrations({
        connection: pool,
        migrationsDirectory: fileURLToPath(new URL('./migrations', import.meta.url)),
        versionTableName: 'onceward_schema_version',
        appliedMigrationsTableName: 'onceward_schema_migrations',
      })
    } finally {
      await connection.query(statements.MIGRATION_UNLOCK)
    }
  })
}

/** All settlements of the call stand or fall together. Payments go first: they outrank what else is said of a task. */
async function settle(write: Write, settlements: readonly Settlement[]): Promise<ReadonlySet<string>> {
  const of = <K extends Settlement['kind']>(kind: K): Extract<Settlement, { kind: K }>[] =>
    settlements.filter((s): s is Extract<Settlement, { kind: K }> => s.kind === kind)
  const [succeeded, retry, failed, released] = [of('succeeded'), of('retry'), of('failed'), of('released')]
  const work = [
    ...(succeeded.length > 0 ? [statements.succeededStatement(succeeded)] : []),
    ...(retry.length > 0 ? [statements.retryStatement(retry)] : []),
    ...(failed.length > 0 ? [statements.failedStatement(failed)] : []),
    ...(released.length > 0 ? [statements.releasedStatement(released)] : []),
  ]
  return new Set((await write(work)).flatMap((rows) => rows.map(taskIdOf)))
}

/** Runs one statement outside of the ledger's own: `CREATE DATABASE` of the embedded server. */
export async function createDatabase(url: string, database: string): Promise<void> {
  const pool = openPool({ url, connections: 1 })
  try {
    await guarded(async () => {
      const known = await pool.query(sql`SELECT 1 FROM pg_database WHERE datname = ${database}`)
      if (known.length === 0) await pool.query(sql`CREATE DATABASE ${sql.ident(database)}`)
    })
  } finally {
    await pool.dispose()
  }
}
