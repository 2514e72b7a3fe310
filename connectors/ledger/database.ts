/** The connection to Postgres under the ledger, and what every transaction that changes something begins with. */
import { fileURLToPath } from 'node:url'
import { type ConnectionPool, type Queryable, type SQLQuery, sql } from '@databases/pg'
import { applyMigrations, connect } from '@databases/pg-migrations'
import { InvariantError } from '../../core/assert.ts'
import { type Logger, silentLogger } from '../../core/ports/logger.ts'
import { ledgerError, notDurable } from './failures.ts'
import { durabilityOf, type Row } from './rows.ts'

export interface DatabaseOptions {
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

/** One transaction's connection: statements one after the other. */
export type Transaction = (statement: SQLQuery) => Promise<readonly Row[]>

/** Every method throws the coded errors of ./failures.ts. */
export interface Database {
  /**
   * Runs `work` in one transaction (READ COMMITTED: each statement sees what was committed when it began), all or none.
   * Refuses a server that may forget what it acknowledged. `work` may run again: it must change nothing but the database.
   */
  write<T>(work: (run: Transaction) => Promise<T>): Promise<T>
  /** One statement that changes nothing. */
  read(statement: SQLQuery): Promise<readonly Row[]>
  migrate(): Promise<void>
  close(): Promise<void>
}

/** Any number, the same for all Onceward processes: the lock under which the schema is migrated. */
const MIGRATION_LOCK = sql`SELECT pg_advisory_lock(7236142001)`
const MIGRATION_UNLOCK = sql`SELECT pg_advisory_unlock(7236142001)`

/**
 * Makes the session wait for its commits to reach the disk, where server, database or role are set not to (`off`); the
 * other values wait for that at least, and standbys may depend on them. And asks for what only the server's own
 * configuration can set: without fsync a commit may be lost, without full_page_writes a torn page is not mended.
 */
const DURABILITY = sql`
  SELECT
    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
    CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END`

/**
 * Connects lazily: a database that is not there shows at the first call, as ONCEWARD_E_LEDGER_UNAVAILABLE. What changes
 * something throws ONCEWARD_E_LEDGER_NOT_DURABLE where the server may forget what it acknowledged.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = openPool(options)
  const write = <T>(work: (run: Transaction) => Promise<T>): Promise<T> =>
    guarded(() =>
      pool.tx(async (connection) => {
        await requireDurability(connection, options)
        return work((statement) => connection.query(statement))
      }),
    )
  return {
    write,
    read: (statement) => guarded(() => pool.query(statement)),
    // Refused before there is a table.
    migrate: () => write(() => Promise.resolve()).then(() => guarded(() => migrate(pool))),
    close: () => pool.dispose(),
  }
}

/**
 * On the same connection as what follows, each time: so it holds for the session and the server that commit it, whatever
 * was restarted or configured meanwhile.
 */
async function requireDurability(connection: Queryable, { allowNonDurable = false }: DatabaseOptions): Promise<void> {
  const refusal = notDurable(durabilityOf(await connection.query(DURABILITY)))
  if (refusal !== undefined && !allowNonDurable) throw refusal
}

function openPool(options: DatabaseOptions): ConnectionPool {
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
    // A process that is stopped in the middle of a transaction (SIGSTOP, a paused machine) must not keep a pool's row locked.
    idleInTransactionSessionTimeoutMilliseconds: statementTimeoutMilliseconds,
    // An idle connection that breaks is replaced at the next query, so it is no error yet.
    onError: (error) => logger.debug({ error: error.message }, 'an idle connection to Postgres was lost'),
  })
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    // A bug of ours is no failure of Postgres, and nobody shall try it again.
    if (error instanceof InvariantError) throw error
    throw ledgerError(error)
  }
}

/**
 * The lock is of the session, so that one connection holds it while the migrations run on others. It is freed with the
 * session where the process dies.
 */
async function migrate(pool: ConnectionPool): Promise<void> {
  await pool.task(async (connection) => {
    await connection.query(MIGRATION_LOCK)
    try {
      await applyMigrations({
        connection: pool,
        migrationsDirectory: fileURLToPath(new URL('./migrations', import.meta.url)),
        versionTableName: 'onceward_schema_version',
        appliedMigrationsTableName: 'onceward_schema_migrations',
      })
    } finally {
      await connection.query(MIGRATION_UNLOCK)
    }
  })
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
