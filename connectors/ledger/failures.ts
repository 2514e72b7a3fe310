import { isSQLError } from '@databases/pg'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { Durability } from './rows.ts'

/**
 * SQLSTATE classes and codes where the same statement may succeed later: connection (08), rollback for serialization or
 * deadlock (40), resources (53), operator intervention such as a restart (57), system error (58), and a lock that was
 * not available (55P03), or a transaction that was idle for too long (25P03, 25P04). Source: PostgreSQL's appendix A.
 */
const RETRY = /^(?:08|40|53|57|58)|^55P03$|^25P0[34]$/

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

/** Why a server with these settings must not hold the ledger; undefined where it may. */
export function notDurable({ fsync, fullPageWrites }: Durability): OncewardError | undefined {
  const wrong = [...(fsync === 'on' ? [] : ['fsync']), ...(fullPageWrites === 'on' ? [] : ['full_page_writes'])]
  if (wrong.length === 0) return undefined
  const message =
    `Postgres runs with ${wrong.map((name) => `${name} = off`).join(' and ')}: after a crash it may have forgotten rewards that ` +
    `were paid. Set ${wrong.join(' and ')} to on in postgresql.conf and reload the server; only for a try-out, or where its ` +
    'storage makes up for it, start the sink with --allow-non-durable-db'
  return new OncewardError('ONCEWARD_E_LEDGER_NOT_DURABLE', message)
}
