import { OncewardError } from '../../../core/errors.ts'
import type { JsonObject } from '../../../core/model/event.ts'
import { type LedgerTrail, TRAIL_TABLES, type TrailRow, type TrailTable } from '../../../core/ports/ledger-trail.ts'
import type { Logger } from '../../../core/ports/logger.ts'
import { type Database, openDatabase } from '../database.ts'
import type { Row } from '../rows.ts'
import { newestStatement, rowsStatement, writersStatement } from './statements.ts'

export interface LedgerTrailOptions {
  /** postgres://user:password@host:port/database, of the primary: a standby does not know who writes. */
  readonly url: string
  readonly logger?: Logger
}

/** Up to which id a table is complete, and what is to be waited for until it is complete further. */
interface Horizon {
  complete: number
  next: { readonly id: number; readonly writers: ReadonlySet<string> } | undefined
}

/** Connects lazily. */
export function openLedgerTrail({ url, logger }: LedgerTrailOptions): LedgerTrail {
  const database = openDatabase({ url, connections: 1, ...(logger === undefined ? {} : { logger }) })
  const horizons = new Map<TrailTable, Horizon>(TRAIL_TABLES.map((table) => [table, { complete: 0, next: undefined }]))
  return {
    async rows(table, after, limit) {
      const horizon = horizons.get(table) ?? { complete: 0, next: undefined }
      if (after >= horizon.complete) await advance(database, table, { horizon, after })
      if (after >= horizon.complete) return []
      return (await database.read(rowsStatement(table, { after, upTo: horizon.complete, limit }))).map(rowOf)
    },
    close: () => database.close(),
  }
}

/**
 * 1. The newest row that can be seen has the id N: every id up to N was taken before now.
 * 2. Who writes into the table now: whatever of those ids cannot be seen yet is theirs.
 * 3. Once all of them have ended, every row up to N that will ever be there can be seen.
 */
async function advance(
  database: Database,
  table: TrailTable,
  { horizon, after }: { readonly horizon: Horizon; readonly after: number },
): Promise<void> {
  if (horizon.next === undefined) {
    const id = numberOf((await database.read(newestStatement(table)))[0], 'id')
    if (id < after) throw reset(table, { id, after })
    if (id === horizon.complete) return
    horizon.next = { id, writers: new Set(await writers(database, table)) }
  }
  const { id, writers: before } = horizon.next
  const still = before.size === 0 ? [] : await writers(database, table)
  if (still.some((writer) => before.has(writer))) return
  horizon.complete = id
  horizon.next = undefined
}

async function writers(database: Database, table: TrailTable): Promise<readonly string[]> {
  return (await database.read(writersStatement(table))).map((row) => row['writer'] as string)
}

function rowOf(row: Row): TrailRow {
  const { id, ms, ...body } = row
  return { id: id as number, at: Math.floor(ms as number), body: body as JsonObject }
}

function numberOf(row: Row | undefined, column: string): number {
  return row?.[column] as number
}

function reset(table: TrailTable, { id, after }: { readonly id: number; readonly after: number }): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_STATE_INPUT_RESET',
    `the table ${table} ends with id ${id}, but rows up to ${after} were collected: it is another database, or an older copy; name the right one (--db), or begin a stream of another name`,
  )
}
