/** The codec of the driver's rows: the only casts here, each for a column of a statement beside it. */
import { CASH_TYPES } from '../../../core/cost.ts'
import { type Cents, parseMoney } from '../../../core/money.ts'
import type { BudgetEntry, LedgerEntry, OrphanEntry } from '../../../core/ports/reconciliation.ts'
import type { Row } from '../rows.ts'

export function beginningOf(rows: readonly Row[]): { readonly at: number; readonly rows: number } {
  return { at: rows[0]?.['at'] as number, rows: rows[0]?.['rows'] as number }
}

export function entryOf(row: Row): LedgerEntry {
  return {
    ledgerId: row['id'] as bigint,
    taskId: row['reward_task_id'] as string,
    userId: row['user_id'] as string,
    poolId: row['pool_id'] as string | null,
    poolPeriod: row['pool_period'] as string,
    type: row['type'] as string,
    value: parseMoney(row['value'] as string),
    currency: row['currency'] as string | null,
    cost: parseMoney(row['cost'] as string),
    status: row['status'] as LedgerEntry['status'],
    payoutId: row['payout_id'] as string | null,
    reserves: row['reserves'] as boolean,
    partner: row['partner'] as string | null,
    origin: row['origin'] as LedgerEntry['origin'],
    issuedAt: row['issued_at'] as number,
    movedAt: row['moved_at'] as number,
    sentAt: row['sent_at'] as number | null,
    source: row['source'] as LedgerEntry['source'],
    beside: {
      outbox: row['outbox'] as boolean,
      openHold: row['open_hold'] as boolean,
      frozenBy: row['frozen_by'] as LedgerEntry['beside']['frozenBy'],
    },
    history: {
      status: row['ends'] as LedgerEntry['history']['status'],
      cut: row['cut'] as boolean,
      whole: row['whole'] as boolean,
      byPerson: row['by_person'] as boolean,
    },
  }
}

export function orphanOf(row: Row): OrphanEntry {
  return {
    ledgerId: row['ledger_id'] as bigint,
    ...ofTask(row['task'] as string | null),
    status: row['ends'] as OrphanEntry['status'],
    tables: row['tables'] as string[],
  }
}

export function budgetEntryOf(row: Row): BudgetEntry {
  return {
    poolId: row['pool_id'] as string,
    period: row['period'] as string,
    budget: row['budget'] === null ? null : parseMoney(row['budget'] as string),
    spent: parseMoney(row['spent'] as string),
    reserved: parseMoney(row['reserved'] as string),
    overrun: parseMoney(row['overrun'] as string),
  }
}

/** Whose reward it was, as far as the task as it came tells; what a person wrote may be of any form. */
function ofTask(task: string | null): Pick<OrphanEntry, 'taskId' | 'poolId' | 'cost'> {
  try {
    const { reward_task_id: taskId, pool_id: poolId, cost, reward } = object(JSON.parse(task ?? ''))
    return {
      taskId: typeof taskId === 'string' ? taskId : null,
      poolId: typeof poolId === 'string' ? poolId : null,
      cost: money(cost) ?? costOfReward(reward),
    }
  } catch {
    return { taskId: null, poolId: null, cost: null }
  }
}

function costOfReward(reward: unknown): Cents | null {
  const { type, amount, cost } = object(reward)
  return money(cost) ?? (typeof type === 'string' && CASH_TYPES.has(type) ? money(amount) : null)
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>
  throw new TypeError('not an object')
}

function money(value: unknown): Cents | null {
  return typeof value === 'string' || typeof value === 'number' ? parseMoney(value) : null
}
