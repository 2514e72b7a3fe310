/** The codec of the driver's rows: the only casts of the ledger, each for a column of a statement beside it. */
import { parseMoney } from '../../core/money.ts'
import type { BudgetRow, ClaimedTask, LedgerRow, LedgerTask, LedgerTotal } from '../../core/ports/ledger.ts'

export type Row = Readonly<Record<string, unknown>>

export function countOf(rows: readonly Row[]): number {
  return rows[0]?.['count'] as number
}

/** The server's settings that decide whether it may forget what it acknowledged; the session's own needs no reading. */
export interface Durability {
  readonly fsync: string
  readonly fullPageWrites: string
}

export function durabilityOf(rows: readonly Row[]): Durability {
  return { fsync: rows[0]?.['fsync'] as string, fullPageWrites: rows[0]?.['full_page_writes'] as string }
}

export function taskIdOf(row: Row): string {
  return row['reward_task_id'] as string
}

export function claimedOf(row: Row): ClaimedTask {
  const taskId = row['reward_task_id'] as string
  return {
    taskId,
    claim: row['claim'] as bigint,
    attempts: row['attempts'] as number,
    task: {
      taskId,
      userId: row['user_id'] as string,
      eventId: row['event_id'] as string | null,
      ruleId: row['rule_id'] as string,
      threshold: row['threshold'] as number | null,
      reward: row['reward'] as LedgerTask['reward'],
      guardrails: row['guardrails'] as LedgerTask['guardrails'],
      source: row['source'] as LedgerTask['source'],
      raw: row['task'] as string,
    },
  }
}

export function totalOf(row: Row): LedgerTotal {
  return {
    status: row['status'] as LedgerTotal['status'],
    count: row['count'] as number,
    cost: parseMoney(row['cost'] as string),
  }
}

export function budgetOf(row: Row): BudgetRow {
  return {
    poolId: row['pool_id'] as string,
    period: row['period'] as string,
    budget: row['budget'] === null ? null : parseMoney(row['budget'] as string),
    spent: parseMoney(row['spent'] as string),
  }
}

export function rowOf(row: Row): LedgerRow {
  return {
    taskId: row['reward_task_id'] as string,
    userId: row['user_id'] as string,
    poolId: row['pool_id'] as string | null,
    type: row['type'] as string,
    value: parseMoney(row['value'] as string),
    currency: row['currency'] as string | null,
    cost: parseMoney(row['cost'] as string),
    status: row['status'] as LedgerRow['status'],
    payoutId: row['payout_id'] as string | null,
    failure: row['failure'] as string | null,
    updatedAt: row['updated_at'] as Date,
  }
}
