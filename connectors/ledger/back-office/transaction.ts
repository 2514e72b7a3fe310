import { isSQLError } from '@databases/pg'
import { OncewardError } from '../../../core/errors.ts'
import { type Database, type DatabaseOptions, openDatabase } from '../database.ts'

/** Everybody locks pools before rewards; should two transactions wait for each other all the same, one begins again. */
const TRIES_MAX = 8
/** serialization_failure, deadlock_detected: nothing was changed. Source: PostgreSQL's appendix A. */
const TIES: ReadonlySet<string> = new Set(['40001', '40P01'])

export function openOfficeDatabase(options: DatabaseOptions): Database {
  const database = openDatabase({ connections: 2, ...options })
  return { ...database, write: (work) => unlessTied(() => database.write(work)) }
}

async function unlessTied<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries >= TRIES_MAX || !isTie(error)) throw error
    }
  }
}

function isTie(error: unknown): boolean {
  const cause = error instanceof OncewardError ? error.cause : undefined
  return isSQLError(cause) && TIES.has(cause.code)
}
