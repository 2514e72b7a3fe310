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
    /** On the topic of reward tasks when this run began. */
    readonly before: number
    /** As counted by the workers in this run. */
    readonly created: number
    /** The ids on the topic, one for each record. */
    readonly ids: readonly string[]
  }
  readonly ledger: {
    readonly rows: readonly Pick<LedgerRow, 'taskId' | 'poolId' | 'cost' | 'status'>[]
    readonly budgets: readonly Pick<BudgetRow, 'poolId' | 'spent'>[]
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
  const paid = paidByPool(ledger.rows)
  const spent = new Map<string, Cents>()
  for (const row of ledger.budgets) spent.set(row.poolId, (spent.get(row.poolId) ?? 0n) + row.spent)
  return [...new Set([...paid.keys(), ...spent.keys()])].flatMap((pool) => {
    const sum = paid.get(pool) ?? 0n
    const booked = spent.get(pool) ?? 0n
    if (sum === booked) return []
    return [`pool ${pool}: ${formatMoney(booked)} is booked as spent, but the paid rewards cost ${formatMoney(sum)}`]
  })
}

/** The cost of the paid rewards of each pool. */
export function paidByPool(rows: AuditFacts['ledger']['rows']): ReadonlyMap<string, Cents> {
  const costs = new Map<string, Cents[]>()
  for (const { poolId, cost, status } of rows) {
    if (poolId === null || status !== 'succeeded') continue
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
  const unpaid = ledger.rows.filter(({ taskId, status }) => status === 'succeeded' && !paid.has(taskId))
  if (unpaid.length > 0) {
    findings.push(`the ledger says paid of ${rewardTasks(unpaid.map(({ taskId }) => taskId))}, the wallet does not`)
  }
  const booked = new Set(ledger.rows.map(({ taskId }) => taskId))
  const strange = wallet.paid.filter((id) => !booked.has(id))
  if (strange.length > 0) findings.push(`the wallet paid ${rewardTasks(strange)} that the ledger does not know`)
  if (wallet.differingRepeats > 0) {
    findings.push(`${wallet.differingRepeats} repeated requests to the wallet said something else than the first`)
  }
  return findings
}

function rewardTasks(ids: readonly string[]): string {
  const shown = ids.slice(0, 3).join(', ')
  return `${ids.length} reward tasks (${shown}${ids.length > 3 ? ', ...' : ''})`
}
