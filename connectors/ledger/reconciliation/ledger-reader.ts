import { type ConnectionPool, IsolationLevel, type Queryable, type SQLQuery } from '@databases/pg'
import { connect } from '@databases/pg-migrations'
import { assert } from '../../../core/assert.ts'
import type { LedgerReader, LedgerSnapshot } from '../../../core/ports/reconciliation.ts'
import { type Logger, silentLogger } from '../../../core/ports/logger.ts'
import { ledgerError } from '../failures.ts'
import type { Row } from '../rows.ts'
import { beginningOf, budgetEntryOf, entryOf, orphanOf } from './rows.ts'
import { BEGINNING, BUDGETS, entriesStatement, orphansStatement } from './statements.ts'

export interface LedgerReaderOptions {
  /** postgres://user:password@host:port/database, with `?sslmode=` as libpq has it. */
  readonly url: string
  /** Rows that are in memory at once; default 5,000. */
  readonly pageRows?: number
  readonly logger?: Logger
}

const PAGE_ROWS = 5_000
/** A page takes milliseconds; the look for rows that are gone goes through whole tables. */
const STATEMENT_MS_MAX = 600_000

/** One connection, in one read-only REPEATABLE READ transaction for each snapshot. Connects lazily. */
export function openLedgerReader(options: LedgerReaderOptions): LedgerReader {
  const pool = openPool(options)
  const limit = options.pageRows ?? PAGE_ROWS
  return {
    async snapshot<T>(use: (snapshot: LedgerSnapshot) => Promise<T>): Promise<T> {
      // What `use` throws is its own affair: only what the driver throws is a failure of the ledger.
      const ended: { by?: Promise<T> } = {}
      await guarded(() =>
        pool.tx(
          async (connection) => {
            const { at, rows } = beginningOf(await connection.query(BEGINNING))
            ended.by = use(snapshotOn(connection, { at, rows, limit }))
            await ended.by.catch(() => undefined)
          },
          { isolationLevel: IsolationLevel.REPEATABLE_READ, readOnly: true },
        ),
      )
      assert(ended.by !== undefined, 'a transaction that was committed had its snapshot')
      return ended.by
    },
    close: () => pool.dispose(),
  }
}

function snapshotOn(
  connection: Queryable,
  { at, rows, limit }: { readonly at: number; readonly rows: number; readonly limit: number },
): LedgerSnapshot {
  const query = (statement: SQLQuery): Promise<Row[]> => guarded(() => connection.query(statement))
  return {
    at,
    rows,
    async *entries() {
      for (let after = 0n; ; ) {
        const page = (await query(entriesStatement(after, limit))).map(entryOf)
        const last = page.at(-1)
        if (last === undefined) return
        after = last.ledgerId
        yield page
      }
    },
    async *orphans() {
      for (let after = 0n; ; ) {
        const page = (await query(orphansStatement(after, limit))).map(orphanOf)
        const last = page.at(-1)
        if (last === undefined) return
        after = last.ledgerId
        yield page
      }
    },
    budgets: async () => (await query(BUDGETS)).map(budgetEntryOf),
  }
}

function openPool({ url, logger = silentLogger }: LedgerReaderOptions): ConnectionPool {
  return connect({
    connectionString: url,
    applicationName: 'onceward reconcile',
    poolSize: 1,
    bigIntMode: 'bigint',
    keepAlive: true,
    connectionTimeoutMilliseconds: 10_000,
    statementTimeoutMilliseconds: STATEMENT_MS_MAX,
    queryTimeoutMilliseconds: STATEMENT_MS_MAX + 5_000,
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
