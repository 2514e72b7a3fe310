import type { JsonObject } from '../model/event.ts'

/** The tables of the ledger that are only ever appended to, with a number that rises. */
export const TRAIL_TABLES = ['audit_log', 'reward_history'] as const
export type TrailTable = (typeof TRAIL_TABLES)[number]

export interface TrailRow {
  readonly id: number
  /** Unix milliseconds. */
  readonly at: number
  readonly body: JsonObject
}

/**
 * Reads what the ledger writes down of decisions and commands, and changes nothing. Throws ONCEWARD_E_LEDGER_UNAVAILABLE
 * where trying again may help, ONCEWARD_E_LEDGER_REFUSED where it will not, and ONCEWARD_E_STATE_INPUT_RESET where the
 * table ends before `after`: it is another database, or an older copy of it.
 */
export interface LedgerTrail {
  /**
   * Rows behind the id `after`, in the order of ids, at most `limit`. Only such rows that no lower id can follow any more:
   * transactions commit in another order than they take their ids.
   */
  rows(table: TrailTable, after: number, limit: number): Promise<readonly TrailRow[]>
  close(): Promise<void>
}
