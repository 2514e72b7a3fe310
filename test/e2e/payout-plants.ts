/** Twenty differences, planted where they come about: in the ledger past its triggers, in the statement, on the topic. */
import { type SQLQuery, sql } from '@databases/pg'
import { requestIdOf } from '../../core/ids.ts'
import type { DifferenceKind } from '../../pipeline/reconcile/difference.ts'
import { type Expected, POOL } from './payout-tasks.ts'

export interface Plants {
  /** By legal moves, with the triggers on. */
  readonly moves: readonly SQLQuery[]
  /** Past the triggers. */
  readonly edits: readonly SQLQuery[]
  readonly statement: string
  /** Rewards whose record comes again with another amount. */
  readonly again: readonly Expected[]
  /** `KIND TASK`, or the request id or the pool where no task is known. */
  readonly expected: readonly string[]
}

type Line = Record<(typeof COLUMNS)[number], string>
const COLUMNS = ['payout_id', 'request_id', 'user_id', 'type', 'amount', 'currency', 'status', 'paid_at'] as const

export function plant(rewards: readonly Expected[], statement: string): Plants {
  const of = (fate: Expected['fate']): readonly Expected[] => rewards.filter((reward) => reward.fate === fate)
  const [paid, held, frozen] = [of('paid'), of('held'), of('frozen')]
  // Spread over all of them.
  const at = (n: number): Expected => some(paid[Math.floor((paid.length * (n + 0.5)) / 20)])
  const inLedger = ledgerPlants(at, { held, frozen })
  const inStatement = statementPlants(at, statement)
  return {
    moves: inLedger.moves,
    edits: inLedger.edits,
    statement: inStatement.statement,
    again: [{ ...at(17), cents: at(17).cents + 1 }],
    expected: [...inLedger.expected, ...inStatement.expected, named('topic_twice', at(17))],
  }
}

function named(kind: DifferenceKind, { taskId }: Pick<Expected, 'taskId'>): string {
  return `${kind} ${taskId}`
}

function ledgerPlants(
  at: (n: number) => Expected,
  { held, frozen }: { readonly held: readonly Expected[]; readonly frozen: readonly Expected[] },
): Pick<Plants, 'moves' | 'edits' | 'expected'> {
  const [approved, stopped, unasked] = [some(held[0]), some(held[1]), some(held[2])]
  const unfrozen = some(frozen[0])
  const edit = (set: SQLQuery, { taskId }: Expected): SQLQuery =>
    sql`UPDATE reward_ledger SET ${set} WHERE reward_task_id = ${taskId}`
  const id = ({ taskId }: Expected): SQLQuery => sql`(SELECT id FROM reward_ledger WHERE reward_task_id = ${taskId})`
  const decided = sql`decision = 'approved', decided_at = now(), decided_by = 'ann'`
  return {
    moves: [
      // Approved, and never queued.
      edit(sql`status = 'reserved', reserves = true, actor = 'ann'`, approved),
      sql`UPDATE reward_hold SET ${decided} WHERE ledger_id = ${id(approved)}`,
      // Frozen in the name of a stream that has said nothing of the kind.
      edit(sql`status = 'frozen', actor = 'sink'`, stopped),
      sql`UPDATE reward_hold SET ${decided} WHERE ledger_id = ${id(stopped)}`,
      sql`INSERT INTO reward_freeze (ledger_id, user_id, frozen_by, reasons) VALUES (${id(stopped)}, 'u', 'stream', '[]')`,
    ],
    edits: [
      sql`DELETE FROM reward_ledger WHERE reward_task_id = ${at(0).taskId}`,
      sql`
        INSERT INTO reward_ledger (reward_task_id, user_id, pool_id, type, value, currency, cost, status, payout_id, rule_id, issued_at)
        VALUES ('rt_forged', 'u_1', ${POOL}, 'cash', 9, 'EUR', 9, 'succeeded', 'p_forged', 'r', now())`,
      edit(sql`value = value + 1`, at(1)),
      edit(sql`cost = cost + 0.07`, at(2)),
      edit(sql`status = 'failed', payout_id = NULL`, at(3)),
      sql`DELETE FROM reward_history WHERE ledger_id = ${id(at(4))} AND move = 2`,
      sql`UPDATE reward_budget SET spent = spent + 1234.56 WHERE pool_id = ${POOL}`,
      sql`UPDATE reward_hold SET decision = 'ended', decided_at = now(), decided_by = 'x' WHERE ledger_id = ${id(unasked)}`,
      sql`DELETE FROM reward_freeze WHERE ledger_id = ${id(unfrozen)}`,
    ],
    expected: [
      named('topic_not_in_ledger', at(0)),
      named('ledger_not_in_topic', { taskId: 'rt_forged' }),
      named('topic_other_content', at(1)),
      named('topic_other_content', at(2)),
      named('history_status', at(3)),
      named('history_gap', at(4)),
      `budget_spent ${POOL}`,
      named('hold_missing', unasked),
      named('freeze_missing', unfrozen),
      named('outbox_missing', approved),
      named('topic_other_state', stopped),
    ],
  }
}

/** The amounts of the edited rewards stay what the topic says, so that these are differences of the statement alone. */
function statementPlants(at: (n: number) => Expected, text: string): Pick<Plants, 'statement' | 'expected'> {
  const lines = new Map(linesOf(text).map((line) => [line.request_id, line]))
  const line = ({ taskId }: Expected): Line => some(lines.get(requestIdOf(taskId)))
  lines.delete(requestIdOf(at(10).taskId))
  line(at(11)).amount = '77777.77'
  line(at(12)).currency = 'TRY'
  line(at(13)).user_id = 'u_other'
  line(at(14)).payout_id = 'p_other'
  line(at(15)).status = 'failed'
  const more = [
    { ...line(at(16)), payout_id: 'p_again' },
    { ...line(at(16)), request_id: 'rid_stray', payout_id: 'p_stray' },
  ]
  const all = [...lines.values(), ...more]
  return {
    statement: `${[COLUMNS.join(','), ...all.map((one) => COLUMNS.map((name) => one[name]).join(','))].join('\n')}\n`,
    expected: [
      named('not_in_statement', at(10)),
      named('other_amount', at(11)),
      named('other_currency', at(12)),
      named('other_user', at(13)),
      named('other_payout_id', at(14)),
      named('other_state', at(15)),
      named('paid_twice', at(16)),
      'statement_not_in_ledger rid_stray',
    ],
  }
}

export function linesOf(statement: string): Line[] {
  const [header = '', ...rows] = statement.trim().split('\n')
  const names = header.split(',')
  return rows.map((row) => {
    const fields = row.split(',')
    const of = (name: string): string => fields[names.indexOf(name)] ?? ''
    const line = Object.fromEntries(COLUMNS.map((name) => [name, of(name)]))
    return line as Line
  })
}

function some<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('there are enough rewards to plant in')
  return value
}
