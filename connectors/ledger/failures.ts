import { isSQLError } from '@databases/pg'
import { messageOf, OncewardError } from '../../core/errors.ts'

/**
 * SQLSTATE classes and codes where the same statement may succeed later: connection (08), rollback for serialization or
 * deadlock (40), resources (53), operator intervention such as a restart (57), system error (58), and a lock that was
 * not available (55P03). Source: PostgreSQL's appendix A.
 */
const RETRY = /^(?:08|40|53|57|58)|^55P03$/

/** Data exception (22) and program limit exceeded (54): the row is at fault, whoever sends it. */
const ROW = /^(?:22|54)/

/** What the ledger's callers get for whatever the driver threw. Failures without a SQLSTATE are of the connection. */
export function ledgerError(error: unknown): OncewardError {
  if (error instanceof OncewardError) return error
  const state: string | undefined = isSQLError(error) ? error.code : undefined
  const message = messageOf(error).trim()
  if (state === undefined || !/^[0-9A-Z]{5}$/.test(state) || RETRY.test(state)) {
    return new OncewardError('ONCEWARD_E_LEDGER_UNAVAILABLE', `Postgres did not answer: ${message}`, { cause: error })
  }
  const code = ROW.test(state) ? 'ONCEWARD_E_TASK_MALFORMED' : 'ONCEWARD_E_LEDGER_REFUSED'
  return new OncewardError(code, `Postgres refused (SQLSTATE ${state}): ${message}`, {
    cause: error,
  })
}
