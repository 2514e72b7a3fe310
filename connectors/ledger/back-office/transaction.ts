import { type ConnectionPool, isSQLError, type Queryable, type SQLQuery } from '@databases/pg'
import { connect } from '@databases/pg-migrations'
import { ledgerError, notDurable } from '../failures.ts'
import { durabilityOf, type Row } from '../rows.ts'
import { DURABILITY } from '../statements.ts'

/** What the statements of one transaction run on. */
export interface Session {
  query(statement: SQLQuery): Promise<Row[]>
}

export interface Connections {
  /** One statement, outside of a transaction. */
  readonly read: (statement: SQLQuery) => Promise<Row[]>
  /** All or none. Runs `work` again where Postgres broke a deadlock with a sink: it has changed nothing then. */
  readonly transaction: <T>(work: (session: Session) => Promise<T>) => Promise<T>
  readonly close: () => Promise<void>
}

export interface ConnectionOptions {
  /** postgres://user:password@host:port/database, with `?sslmode=` as libpq has it. */
  readonly url: string
  /** Also accepts a server whose settings let it forget what it acknowledged; default false. */
  readonly allowNonDurable?: boolean
  /** A statement that takes longer fails as unavailable; default 30,000. */
  readonly statementTimeoutMs?: number
}

/** Sinks lock pools before rewards in some statements and after them in others; who loses the tie tries again. */
const TRIES_MAX = 8
/** serialization_failure, deadlock_detected. Source: PostgreSQL's appendix A. */
const TIES = new Set(['40001', '40P01'])

export function openConnections(options: ConnectionOptions): Connections {
  const timeoutMs = options.statementTimeoutMs ?? 30_000
  const pool: ConnectionPool = connect({
    connectionString: options.url,
    applicationName: 'onceward back office',
    poolSize: 2,
    bigIntMode: 'bigint',
    connectionTimeoutMilliseconds: 10_000,
    statementTimeoutMilliseconds: timeoutMs,
    queryTimeoutMilliseconds: timeoutMs + 5_000,
    // An idle connection that breaks is replaced at the next query.
    onError: () => undefined,
  })
  return {
    read: (statement) => guarded(() => pool.query(statement)),
    transaction: (work) => guarded(() => unlessTied(() => pool.tx((session) => durably(session, options, work)))),
    close: () => pool.dispose(),
  }
}

async function durably<T>(
  session: Queryable,
  { allowNonDurable = false }: ConnectionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const refusal = notDurable(durabilityOf(await session.query(DURABILITY)))
  if (refusal !== undefined && !allowNonDurable) throw refusal
  return work(session)
}

async function unlessTied<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries >= TRIES_MAX || !isSQLError(error) || !TIES.has(String(error.code))) throw error
    }
  }
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw ledgerError(error)
  }
}
