/**
 * The ledger on Postgres. What it holds at every commit:
 * I1  a task has one row in reward_ledger, whatever is delivered how often;
 * I2  a task is in reward_outbox exactly while its row is `reserved` or `sent`;
 * I3  reward_budget.spent is the sum of cost over the pool's `succeeded` rows, reserved over those that reserve; and their
 *     sum is never above budget + overrun by anything that was reserved;
 * I4  of several claims of one task, at most one is valid, the newest;
 * I5  each move of a reward is in reward_history, with who and why.
 * I3 and I5 are kept by triggers (migrations/0002-payout.sql), whichever statement moves a reward.
 */
import type { ClaimRef, Clearance, Ledger } from '../../core/ports/ledger.ts'
import { book } from './book.ts'
import { type Database, type DatabaseOptions, openDatabase } from './database.ts'
import { claimStatement, claimTurnStatement, clearStatement, rerouteStatement } from './pay-statements.ts'
import { playersStatement } from './protection.ts'
import { BUDGETS, latestStatement, OUTSTANDING, TOTALS, WAITING } from './read-statements.ts'
import { budgetOf, claimedOf, clearanceOf, countOf, rowOf, totalOf, waitingOf } from './rows.ts'
import { settle } from './settle.ts'
import { thaw } from './thaw.ts'

export { createDatabase } from './database.ts'
export type PostgresLedgerOptions = DatabaseOptions

/**
 * Connects lazily: a database that is not there shows at the first call, as ONCEWARD_E_LEDGER_UNAVAILABLE. What changes
 * something throws ONCEWARD_E_LEDGER_NOT_DURABLE where the server may forget what it acknowledged.
 */
export function openPostgresLedger(options: PostgresLedgerOptions): Ledger {
  const database = openDatabase(options)
  return {
    migrate: () => database.migrate(),
    book: (arrivals, admit) => book(database, arrivals, admit),
    async players(changes) {
      if (changes.length > 0) await database.write((run) => run(playersStatement(changes)))
    },
    claim: async (request) =>
      (
        await database.write(async (run) => {
          await run(claimTurnStatement(request.partner))
          return run(claimStatement(request))
        })
      ).map(claimedOf),
    clear: (claims) => clear(database, claims),
    settle: (settlements) => settle(database, settlements),
    thaw: (admit, limit) => thaw(database, admit, limit),
    async reroute(which, route) {
      const routes = [...route].map(([type, { partner, ordered }]) => ({ type, partner, ordered }))
      return countOf(await database.write((run) => run(rerouteStatement(which, routes))))
    },
    outstanding: async () => countOf(await database.read(OUTSTANDING)),
    waiting: async () => (await database.read(WAITING)).map(waitingOf),
    totals: async () => (await database.read(TOTALS)).map(totalOf),
    budgets: async () => (await database.read(BUDGETS)).map(budgetOf),
    latest: async (limit) => (await database.read(latestStatement(limit))).map(rowOf),
    close: () => database.close(),
  }
}

/** What is not among the rows is lost: the claim is another one's now, or the task has left the outbox. */
async function clear(database: Database, claims: readonly ClaimRef[]): Promise<ReadonlyMap<string, Clearance>> {
  const clearances = new Map<string, Clearance>(claims.map(({ taskId }) => [taskId, { kind: 'lost' }]))
  if (claims.length === 0) return clearances
  for (const row of await database.write((run) => run(clearStatement(claims)))) clearances.set(...clearanceOf(row))
  return clearances
}
