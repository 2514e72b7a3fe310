import { requestIdOf } from '../../core/ids.ts'
import type { RewardStatus } from '../../core/model/reward-status.ts'
import { type Cents, formatMoney, sumMoney } from '../../core/money.ts'
import type { BudgetRow, LedgerRow } from '../../core/ports/ledger.ts'

/** What can be counted when everything stands still, each from where it is kept. */
export interface AuditFacts {
  readonly events: {
    /** Lines that the players sent in this run, acknowledged by the log. */
    readonly sent: number
    /** Events that a run before left unprocessed on the log. */
    readonly carriedOver: number
    readonly unique: number
    readonly duplicates: number
    /** On the DLQ topic since the start of this run, without failed payments. */
    readonly deadLetters: number
  }
  readonly tasks: {
    /** Earned when this run began. */
    readonly before: number
    /** As counted by the workers in this run. */
    readonly created: number
    /** The ids on the topic, one for each record that tells of a reward for the first time. */
    readonly ids: readonly string[]
  }
  readonly ledger: {
    readonly rows: readonly Pick<LedgerRow, 'taskId' | 'poolId' | 'cost' | 'status'>[]
    readonly budgets: readonly Pick<BudgetRow, 'poolId' | 'period' | 'budget' | 'spent' | 'reserved' | 'overrun'>[]
    /** False: the sink was stopped before it had read all tasks. */
    readonly caughtUp: boolean
  }
  readonly wallet: {
    /** Request ids paid, ever. */
    readonly paid: readonly string[]
    /** Repeats of a request that said something else than the first. */
    readonly differingRepeats: number
  }
}

/** Answers a sentence for each count that does not add up; none where all do. */
export function audit(facts: AuditFacts): readonly string[] {
  return [...auditEvents(facts), ...auditTasks(facts), ...auditBudgets(facts), ...auditWallet(facts)]
}

function auditEvents({ events }: AuditFacts): string[] {
  const came = events.sent + events.carriedOver
  const accounted = events.unique + events.duplicates + events.deadLetters
  if (came === accounted) return []
  return [
    `${came} events came in, but ${events.unique} unique + ${events.duplicates} duplicates + ${events.deadLetters} dead letters make ${accounted}`,
  ]
}

function auditTasks({ tasks, ledger }: AuditFacts): string[] {
  const findings: string[] = []
  const emitted = new Set(tasks.ids)
  if (emitted.size !== tasks.ids.length) {
    findings.push(`${tasks.ids.length - emitted.size} reward tasks stand on the log twice`)
  }
  if (tasks.ids.length - tasks.before !== tasks.created) {
    findings.push(
      `the workers created ${tasks.created} reward tasks, but ${tasks.ids.length - tasks.before} came onto the log`,
    )
  }
  const booked = new Set(ledger.rows.map(({ taskId }) => taskId))
  const missing = [...emitted].filter((id) => !booked.has(id))
  if (ledger.caughtUp && missing.length > 0) findings.push(`the ledger lacks ${rewardTasks(missing)}`)
  const unknown = [...booked].filter((id) => !emitted.has(id))
  if (unknown.length > 0) findings.push(`the ledger holds ${rewardTasks(unknown)} that nobody created`)
  if (booked.size !== ledger.rows.length) findings.push('the ledger holds a reward task twice')
  return findings
}

function auditBudgets({ ledger }: AuditFacts): string[] {
  const spent = new Map<string, Cents>()
  const reserved = new Map<string, Cents>()
  for (const row of ledger.budgets) {
    spent.set(row.poolId, (spent.get(row.poolId) ?? 0n) + row.spent)
    reserved.set(row.poolId, (reserved.get(row.poolId) ?? 0n) + row.reserved)
  }
  const paid = costByPool(ledger.rows, ['succeeded'])
  const open = costByPool(ledger.rows, ['reserved', 'sent'])
  // What failed in doubt, or was stopped between two calls, may have been paid: its money stays set aside.
  const most = costByPool(ledger.rows, ['reserved', 'sent', 'failed', 'frozen'])
  const pools = new Set([...paid.keys(), ...most.keys(), ...spent.keys()])
  return [...pools]
    .flatMap((pool) => [
      ...differs(`pool ${pool}`, { booked: spent.get(pool) ?? 0n, sum: paid.get(pool) ?? 0n }),
      ...outOf(`pool ${pool}`, {
        booked: reserved.get(pool) ?? 0n,
        least: open.get(pool) ?? 0n,
        most: most.get(pool) ?? 0n,
      }),
    ])
    .concat(ledger.budgets.flatMap(overBudget))
}

function differs(pool: string, { booked, sum }: { readonly booked: Cents; readonly sum: Cents }): string[] {
  if (sum === booked) return []
  return [`${pool}: ${formatMoney(booked)} is booked as spent, but the paid rewards cost ${formatMoney(sum)}`]
}

function outOf(
  pool: string,
  { booked, least, most }: { readonly booked: Cents; readonly least: Cents; readonly most: Cents },
): string[] {
  if (booked >= least && booked <= most) return []
  const range = `${formatMoney(least)} to ${formatMoney(most)}`
  return [`${pool}: ${formatMoney(booked)} is set aside, but the rewards that are still to be paid cost ${range}`]
}

function overBudget({
  poolId,
  period,
  budget,
  spent,
  reserved,
  overrun,
}: AuditFacts['ledger']['budgets'][number]): string[] {
  if (budget === null || spent + reserved <= budget + overrun) return []
  return [`pool ${poolId} (${period}) gives ${formatMoney(spent + reserved)} of ${formatMoney(budget)}`]
}

/** What the rewards of each pool in these states cost together. */
function costByPool(rows: AuditFacts['ledger']['rows'], statuses: readonly RewardStatus[]): ReadonlyMap<string, Cents> {
  const costs = new Map<string, Cents[]>()
  for (const { poolId, cost, status } of rows) {
    if (poolId === null || !statuses.includes(status)) continue
    const known = costs.get(poolId)
    if (known === undefined) costs.set(poolId, [cost])
    else known.push(cost)
  }
  return new Map([...costs].map(([pool, each]) => [pool, sumMoney(each)]))
}

/** A reward that is not booked as paid may still be: the wallet's answer can be lost, and no try may have followed. */
function auditWallet({ ledger, wallet }: AuditFacts): string[] {
  const findings: string[] = []
  const paid = new Set(wallet.paid)
  if (paid.size !== wallet.paid.length) findings.push('the wallet paid a request id twice')
  const unpaid = ledger.rows.filter(({ taskId, status }) => status === 'succeeded' && !paid.has(requestIdOf(taskId)))
  if (unpaid.length > 0) {
    findings.push(`the ledger says paid of ${rewardTasks(unpaid.map(({ taskId }) => taskId))}, the wallet does not`)
  }
  const booked = new Set(ledger.rows.map(({ taskId }) => requestIdOf(taskId)))
  const strange = wallet.paid.filter((id) => !booked.has(id))
  if (strange.length > 0) findings.push(`the wallet paid ${requests(strange)} that the ledger does not know`)
  if (wallet.differingRepeats > 0) {
    findings.push(`${wallet.differingRepeats} repeated requests to the wallet said something else than the first`)
  }
  return findings
}

function rewardTasks(ids: readonly string[]): string {
  const shown = ids.slice(0, 3).join(', ')
  return `${ids.length} reward tasks (${shown}${ids.length > 3 ? ', ...' : ''})`
}

function requests(ids: readonly string[]): string {
  return rewardTasks(ids).replace('reward tasks', 'request ids')
}
