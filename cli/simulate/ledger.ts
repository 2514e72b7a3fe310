import { OncewardError } from '../../core/errors.ts'
import { CENTS_MAX, type Cents } from '../../core/money.ts'
import type {
  BudgetRow,
  ClaimedTask,
  Ledger,
  LedgerRow,
  LedgerTask,
  LedgerTotal,
  Settlement,
} from '../../core/ports/ledger.ts'
import type { SimulatedProcess } from './process.ts'
import type { VirtualClock } from './virtual-clock.ts'

interface Entry {
  readonly task: LedgerTask
  status: 'pending' | 'succeeded' | 'failed'
  payoutId: string | null
  failure: string | null
  updatedAt: number
}

interface Queued {
  attempts: number
  availableAt: number
  claim: bigint | undefined
}

/** The book of rewards in memory, with the rules of connectors/ledger: one row a task, queued exactly while pending. */
export class MemoryLedger implements Ledger {
  readonly rows = new Map<string, Entry>()
  readonly outbox = new Map<string, Queued>()
  readonly pools = new Map<string, { budget: Cents | null; spent: Cents }>()
  readonly #clock: VirtualClock
  #claims = 0n

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  async migrate(): Promise<void> {}

  async record(tasks: readonly LedgerTask[]): Promise<{ recorded: number; known: number }> {
    let recorded = 0
    for (const task of tasks) if (task.cost > CENTS_MAX) throw malformed(task)
    for (const task of tasks) {
      if (task.poolId !== null) {
        const pool = this.pools.get(task.poolId) ?? { budget: null, spent: 0n }
        pool.budget ??= task.softCap
        this.pools.set(task.poolId, pool)
      }
      if (this.rows.has(task.taskId)) continue
      recorded++
      this.rows.set(task.taskId, {
        task,
        status: 'pending',
        payoutId: null,
        failure: null,
        updatedAt: this.#clock.now(),
      })
      this.outbox.set(task.taskId, { attempts: 0, availableAt: this.#clock.now(), claim: undefined })
    }
    return { recorded, known: tasks.length - recorded }
  }

  async claim({ limit, leaseMs }: { owner: string; limit: number; leaseMs: number }): Promise<readonly ClaimedTask[]> {
    const now = this.#clock.now()
    const due = [...this.outbox].filter(([, queued]) => queued.availableAt <= now)
    due.sort(([, a], [, b]) => a.availableAt - b.availableAt)
    return due.slice(0, limit).flatMap(([taskId, queued]) => {
      const row = this.rows.get(taskId)
      if (row === undefined) return []
      queued.claim = ++this.#claims
      queued.availableAt = now + leaseMs
      return [{ taskId, claim: queued.claim, attempts: queued.attempts, task: row.task }]
    })
  }

  async settle(settlements: readonly Settlement[]): Promise<ReadonlySet<string>> {
    const changed = new Set<string>()
    for (const settlement of settlements) if (this.#settle(settlement)) changed.add(settlement.taskId)
    return changed
  }

  async outstanding(): Promise<number> {
    return this.outbox.size
  }

  async totals(): Promise<readonly LedgerTotal[]> {
    return (['failed', 'pending', 'succeeded'] as const).flatMap((status) => {
      const rows = [...this.rows.values()].filter((row) => row.status === status)
      const cost = rows.reduce((sum, { task }) => sum + task.cost, 0n)
      return rows.length === 0 ? [] : [{ status, count: rows.length, cost }]
    })
  }

  async budgets(): Promise<readonly BudgetRow[]> {
    return [...this.pools].map(([poolId, pool]) => ({ poolId, period: 'all', ...pool }))
  }

  async latest(limit: number): Promise<readonly LedgerRow[]> {
    const rows = [...this.rows.values()].sort((a, b) => b.updatedAt - a.updatedAt).slice(0, limit)
    return rows.map(({ task, status, payoutId, failure, updatedAt }) => {
      const { taskId, userId, poolId, type, value, currency, cost } = task
      const updated = new Date(updatedAt)
      return { taskId, userId, poolId, type, value, currency, cost, status, payoutId, failure, updatedAt: updated }
    })
  }

  async close(): Promise<void> {}

  #settle(settlement: Settlement): boolean {
    const { taskId } = settlement
    const row = this.rows.get(taskId)
    const queued = this.outbox.get(taskId)
    if (settlement.kind === 'succeeded') {
      this.outbox.delete(taskId)
      if (row === undefined || row.status === 'succeeded') return false
      this.#move(row, 'succeeded', settlement.payoutId)
      const pool = row.task.poolId === null ? undefined : this.pools.get(row.task.poolId)
      if (pool !== undefined) pool.spent += row.task.cost
      return true
    }
    if (queued === undefined || queued.claim !== settlement.claim) return false
    if (settlement.kind === 'failed') {
      this.outbox.delete(taskId)
      if (row?.status !== 'pending') return false
      this.#move(row, 'failed', null)
      row.failure = settlement.reason
      return true
    }
    queued.claim = undefined
    queued.availableAt = this.#clock.now() + (settlement.kind === 'retry' ? settlement.delayMs : 0)
    if (settlement.kind === 'retry') queued.attempts++
    return true
  }

  #move(row: Entry, status: Entry['status'], payoutId: string | null): void {
    row.status = status
    row.payoutId = payoutId
    row.failure = null
    row.updatedAt = this.#clock.now()
  }
}

function malformed({ taskId, cost }: LedgerTask): OncewardError {
  return new OncewardError('ONCEWARD_E_TASK_MALFORMED', `the ledger cannot hold ${taskId}: its cost is ${cost} cents`)
}

/** The ledger as one sink reaches it; `down.until` is the virtual time until which it answers nobody. */
export function reachLedger(ledger: Ledger, process: SimulatedProcess, down: { until: number }): Ledger {
  const call = <T>(name: string, run: () => Promise<T>): Promise<T> =>
    process.io(`ledger ${name}`, async () => {
      if (down.until > process.clock.monotonic()) throw unavailable(name)
      if (!process.strikes('ledger-down', `ledger ${name}`)) return run()
      const applied = process.world.chance.is(0.5)
      process.note(`ledger ${name} was ${applied ? '' : 'not '}applied`)
      if (applied) await run()
      throw unavailable(name)
    })
  return {
    migrate: () => call('migrate', () => ledger.migrate()),
    record: (tasks) => call('record', () => ledger.record(tasks)),
    claim: (request) => call('claim', () => ledger.claim(request)),
    settle: (settlements) => call('settle', () => ledger.settle(settlements)),
    outstanding: () => call('outstanding', () => ledger.outstanding()),
    totals: () => call('totals', () => ledger.totals()),
    budgets: () => call('budgets', () => ledger.budgets()),
    latest: (limit) => call('latest', () => ledger.latest(limit)),
    close: () => Promise.resolve(),
  }
}

function unavailable(name: string): OncewardError {
  return new OncewardError('ONCEWARD_E_LEDGER_UNAVAILABLE', `the ledger did not answer ${name} (a simulated fault)`)
}
