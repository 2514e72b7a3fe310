import { OncewardError } from '../../../core/errors.ts'
import { type BackOffice, COMMAND_TARGETS_MAX, type Mandate } from '../../../core/ports/back-office.ts'
import type { DatabaseOptions, Transaction } from '../database.ts'
import { declarePoolsStatement, distinctPools } from '../pools.ts'
import { taskIdOf } from '../rows.ts'
import { BUDGETS, budgetViewOf, costs, costViewOf, periodsOf } from './budget-list.ts'
import { carryOutCommand, forecastCommand } from './commands.ts'
import { holdViewOf, matchingRewards, openReviewIds, openReviews } from './hold-list.ts'
import { carryOutIssue, forecastIssue } from './issue.ts'
import { readReward } from './reward-view.ts'
import { text } from './rows.ts'
import { openOfficeDatabase } from './transaction.ts'

/**
 * The back office on the ledger's tables, which a sink has created. Connects lazily: a database that is not there shows at
 * the first call, as ONCEWARD_E_LEDGER_UNAVAILABLE.
 */
export function openPostgresBackOffice(options: DatabaseOptions): BackOffice {
  const database = openOfficeDatabase(options)
  const read: Transaction = (statement) => database.read(statement)
  return {
    holds: async (filter, limit) => (await read(openReviews(filter, limit))).map(holdViewOf),
    heldIds: async (filter) => (await read(openReviewIds(filter))).map(taskIdOf),
    reward: (id) => readReward(read, id),
    rewardIds: async (filter) => (await read(matchingRewards(filter))).map(taskIdOf),
    async forecast(command, taskIds, positions) {
      bounded(taskIds)
      return forecastCommand(read, { command, taskIds, positions })
    },
    async carryOut(command, taskIds) {
      bounded(taskIds)
      signed(command)
      return database.write((run) => carryOutCommand(run, command, taskIds))
    },
    async forecastIssue(mandate, rewards, positions) {
      bounded(rewards)
      return forecastIssue(read, { mandate, rewards, positions })
    },
    async issue(mandate, rewards) {
      bounded(rewards)
      signed(mandate)
      const pools = distinctPools(rewards)
      // Before the transaction that locks them (see declarePoolsStatement).
      if (pools.length > 0) await database.write((run) => run(declarePoolsStatement(pools)))
      return database.write((run) => carryOutIssue(run, mandate, rewards))
    },
    periodsOf: async (poolId) => (await read(periodsOf(poolId))).map((row) => text(row, 'period')),
    budgets: async () => (await read(BUDGETS)).map(budgetViewOf),
    costs: async (question) => (await read(costs(question))).map(costViewOf),
    close: () => database.close(),
  }
}

function bounded(targets: readonly unknown[]): void {
  if (targets.length <= COMMAND_TARGETS_MAX) return
  const message = `${targets.length} rewards in one transaction are too many; ${COMMAND_TARGETS_MAX} are allowed`
  throw new OncewardError('ONCEWARD_E_INTERNAL', message)
}

/** Nothing is done in nobody's name or for no reason. */
function signed({ actor, reason }: Mandate): void {
  if (actor.trim() !== '' && reason.trim() !== '') return
  throw new OncewardError('ONCEWARD_E_USAGE', 'a command needs who gives it and why; write --as and --reason')
}
