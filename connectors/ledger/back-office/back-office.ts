import { sql } from '@databases/pg'
import { OncewardError } from '../../../core/errors.ts'
import { type BackOffice, COMMAND_TARGETS_MAX, type Mandate } from '../../../core/ports/back-office.ts'
import { budgetViewOf, BUDGETS, costs, costViewOf } from './budget-list.ts'
import { carryOutCommand, forecastCommand } from './commands.ts'
import { holdViewOf, matchingRewards, openReviewIds, openReviews } from './hold-list.ts'
import { carryOutIssue, forecastIssue } from './issue.ts'
import { readReward } from './reward-view.ts'
import { text } from './rows.ts'
import { type ConnectionOptions, openConnections } from './transaction.ts'

/**
 * The back office on the ledger's tables, which a sink has created. Connects lazily: a database that is not there shows at
 * the first call, as ONCEWARD_E_LEDGER_UNAVAILABLE.
 */
export function openPostgresBackOffice(options: ConnectionOptions): BackOffice {
  const connections = openConnections(options)
  const { read, transaction } = connections
  const ids = (rows: readonly Readonly<Record<string, unknown>>[]): string[] =>
    rows.map((row) => text(row, 'reward_task_id'))
  return {
    holds: async (filter, limit) => (await read(openReviews(filter, limit))).map(holdViewOf),
    heldIds: async (filter) => ids(await read(openReviewIds(filter))),
    reward: (id) => readReward({ query: read }, id),
    rewardIds: async (filter) => ids(await read(matchingRewards(filter))),
    async forecast(command, taskIds, positions) {
      bounded(taskIds)
      return forecastCommand({ query: read }, command, taskIds, positions)
    },
    async carryOut(command, taskIds) {
      bounded(taskIds)
      signed(command)
      return transaction((session) => carryOutCommand(session, command, taskIds))
    },
    async forecastIssue(mandate, rewards, positions) {
      bounded(rewards)
      return forecastIssue({ query: read }, mandate, rewards, positions)
    },
    async issue(mandate, rewards) {
      bounded(rewards)
      signed(mandate)
      return transaction((session) => carryOutIssue(session, mandate, rewards))
    },
    periodsOf: async (poolId) => {
      const rows = await read(sql`SELECT period FROM reward_budget WHERE pool_id = ${poolId} ORDER BY period`)
      return rows.map((row) => text(row, 'period'))
    },
    budgets: async () => (await read(BUDGETS)).map(budgetViewOf),
    costs: async (question) => (await read(costs(question))).map(costViewOf),
    close: connections.close,
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
