import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import { decideGates, type FreezeReason } from '../../core/gates.ts'
import { UNROUTED } from '../../core/model/partner.ts'
import { UNKNOWN_PLAYER } from '../../core/model/player.ts'
import { MOVES, REWARD_STATUSES, type RewardStatus } from '../../core/model/reward-status.ts'
import { CENTS_MAX } from '../../core/money.ts'
import type {
  Admit,
  Arrival,
  Booked,
  BudgetRow,
  ClaimedTask,
  ClaimRef,
  Clearance,
  Ledger,
  LedgerRow,
  LedgerTask,
  LedgerTotal,
  PlayerChange,
  Settled,
  Settlement,
  Waiting,
} from '../../core/ports/ledger.ts'
import { Hearing } from './hearing.ts'
import { MemoryPools } from './ledger-pools.ts'

/** A reward as it stands. */
export interface Entry {
  /** In the order of booking. */
  readonly number: number
  readonly task: LedgerTask
  status: RewardStatus
  /** Its cost stands in its pool's `reserved`. */
  reserves: boolean
  /** It was `sent` once: a call may have been made. */
  sentBefore: boolean
  freeze: {
    readonly by: 'stream' | 'sink'
    readonly reasons: readonly FreezeReason[]
    readonly endsAt: number | null
  } | null
  payout: { readonly id: string; readonly status: string } | null
  failure: string | null
  updatedAt: number
}

interface Queued {
  partner: string
  ordered: boolean
  attempts: number
  availableAt: number
  claim: bigint | undefined
}

const REFUSED = 'budget_closed'

/**
 * The book of rewards in memory, by the contract of core/ports/ledger.ts: one row a reward, in the outbox exactly while it
 * is reserved or sent. Each method runs in one turn, so it is a transaction by itself.
 */
export class MemoryLedger implements Ledger {
  readonly rows = new Map<string, Entry>()
  readonly outbox = new Map<string, Queued>()
  readonly pools = new MemoryPools()
  /** Rewards that were frozen at the moment of their call. */
  readonly stopped = new Set<string>()
  readonly #players = new Map<string, PlayerChange>()
  readonly hearing = new Hearing()
  readonly #clock: Clock
  #claims = 0n

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async migrate(): Promise<void> {}

  async book(arrivals: readonly Arrival[], admit: Admit): Promise<Booked> {
    for (const { task } of arrivals) if (task.cost > CENTS_MAX) throw malformed(task)
    const tally = newTally()
    for (const arrival of arrivals) {
      const known = this.rows.get(arrival.task.taskId)
      if (known === undefined) this.#begin(arrival, admit, tally)
      else this.#goOn(known, arrival, admit, tally)
    }
    return tally
  }

  async players(changes: readonly PlayerChange[]): Promise<void> {
    for (const change of changes) {
      const known = this.#players.get(change.userId)
      if (known === undefined || isLater(change, known)) this.#players.set(change.userId, change)
      this.hearing.add(change, this.#clock.now())
    }
  }

  /** By user: which change of the player counts, by its number. */
  known(): Map<string, number> {
    return new Map([...this.#players].map(([user, { seq }]) => [user, seq]))
  }

  async claim(request: { partner: string; limit: number; leaseMs: number }): Promise<readonly ClaimedTask[]> {
    const now = this.#clock.now()
    const due = [...this.outbox]
      .map(([taskId, queued]) => ({ row: this.#row(taskId), queued }))
      .filter(({ queued }) => queued.partner === request.partner && queued.availableAt <= now)
      .filter(({ row, queued }) => !queued.ordered || this.#isFirst(row, queued))
      .sort((a, b) => a.queued.availableAt - b.queued.availableAt || a.row.number - b.row.number)
    return due.slice(0, request.limit).map(({ row: { task }, queued }) => {
      queued.claim = ++this.#claims
      queued.availableAt = now + request.leaseMs
      return { taskId: task.taskId, claim: queued.claim, attempts: queued.attempts, task }
    })
  }

  async clear(claims: readonly ClaimRef[]): Promise<ReadonlyMap<string, Clearance>> {
    return new Map(claims.map((claim) => [claim.taskId, this.#clear(claim)]))
  }

  async settle(settlements: readonly Settlement[]): Promise<Settled> {
    const changed = new Set<string>()
    const differing: Settled['differing'][number][] = []
    for (const settlement of settlements) {
      if (settlement.kind === 'succeeded') {
        const other = this.#succeeded(settlement, changed)
        if (other !== undefined) differing.push(other)
      } else if (this.#ended(settlement)) changed.add(settlement.taskId)
    }
    return { changed, differing }
  }

  /** How many the sinks have frozen and have to let go, or to let expire. */
  toThaw(): number {
    const now = this.#clock.now()
    return [...this.rows.values()].filter((row) => {
      if (row.freeze?.by !== 'sink') return false
      const isOver = row.freeze.endsAt !== null && row.freeze.endsAt <= now && !row.reserves
      return isOver || this.#stopped(row).length === 0
    }).length
  }

  async thaw(admit: Admit, limit: number): Promise<Booked> {
    const tally = newTally()
    for (const row of this.rows.values()) {
      if (tally.known >= limit) break
      // What the stream has frozen, the stream lets go: it goes by event time.
      if (row.freeze?.by !== 'sink') continue
      const { endsAt } = row.freeze
      if (this.#stopped(row).length === 0) this.#thaw(row, admit, tally)
      // One that may have been paid never expires.
      else if (endsAt !== null && endsAt <= this.#clock.now() && !row.reserves) this.#move(row, 'expired')
      else continue
      tally.known++
    }
    return tally
  }

  async reroute(
    which: 'unrouted' | { readonly known: readonly string[] },
    route: ReadonlyMap<string, { partner: string; ordered: boolean }>,
  ): Promise<number> {
    let moved = 0
    for (const [taskId, queued] of this.outbox) {
      const { task, sentBefore } = this.#row(taskId)
      const to = route.get(task.type) ?? route.get('*')
      // One that may have been sent stays: another partner does not know its request id and would pay it again.
      const stays = which === 'unrouted' ? queued.partner !== UNROUTED : which.known.includes(queued.partner)
      if (stays || to === undefined || sentBefore) continue
      Object.assign(queued, to)
      moved++
    }
    return moved
  }

  async waiting(): Promise<readonly Waiting[]> {
    const now = this.#clock.now()
    const waiting = new Map<string, Waiting>()
    for (const { partner, availableAt } of this.outbox.values()) {
      if (availableAt > now) continue
      const { tasks, longestMs } = waiting.get(partner) ?? { tasks: 0, longestMs: 0 }
      waiting.set(partner, { partner, tasks: tasks + 1, longestMs: Math.max(longestMs, now - availableAt) })
    }
    return [...waiting.values()]
  }

  async outstanding(): Promise<number> {
    return this.outbox.size
  }

  async totals(): Promise<readonly LedgerTotal[]> {
    return REWARD_STATUSES.toSorted().flatMap((status) => {
      const rows = [...this.rows.values()].filter((row) => row.status === status)
      const cost = rows.reduce((sum, { task }) => sum + task.cost, 0n)
      return rows.length === 0 ? [] : [{ status, count: rows.length, cost }]
    })
  }

  async budgets(): Promise<readonly BudgetRow[]> {
    return this.pools.rows()
  }

  async latest(limit: number): Promise<readonly LedgerRow[]> {
    const rows = [...this.rows.values()].sort((a, b) => b.updatedAt - a.updatedAt).slice(0, limit)
    return rows.map(({ task, status, payout, failure, updatedAt }) => {
      const { taskId, userId, poolId, type, value, currency, cost } = task
      const row = { taskId, userId, poolId, type, value, currency, cost, status, failure }
      return { ...row, payoutId: payout?.id ?? null, updatedAt: new Date(updatedAt) }
    })
  }

  async close(): Promise<void> {}

  #begin(arrival: Arrival, admit: Admit, tally: Tally): void {
    const { task } = arrival
    const row: Entry = {
      number: this.rows.size,
      task,
      status: 'pending',
      reserves: false,
      sentBefore: false,
      freeze: null,
      payout: null,
      failure: null,
      updatedAt: this.#clock.now(),
    }
    this.pools.declare(task)
    this.rows.set(task.taskId, row)
    tally.recorded++
    if (arrival.kind === 'created') this.#admit(row, task, admit, tally)
    else if (arrival.kind === 'expired') this.#move(row, 'expired')
    else {
      this.#move(row, 'frozen')
      const { reasons, expiresAt } = arrival
      row.freeze = { by: 'stream', reasons, endsAt: expiresAt === null ? null : Date.parse(expiresAt) }
      tally.frozen++
    }
  }

  #goOn(row: Entry, arrival: Arrival, admit: Admit, tally: Tally): void {
    const waits = row.status === 'frozen' && row.freeze?.by === 'stream'
    if (waits && arrival.kind === 'created') {
      row.freeze = null
      this.#admit(row, arrival.task, admit, tally)
    } else if (waits && arrival.kind === 'expired') {
      this.#move(row, 'expired')
    } else if (arrival.kind === 'created' && row.status === 'failed' && row.failure?.startsWith(REFUSED) === true) {
      tally.refused.push({ taskId: row.task.taskId, detail: row.failure.slice(REFUSED.length + 2) })
    }
    tally.known++
  }

  #admit(row: Entry, task: LedgerTask, admit: Admit, tally: Tally): void {
    const pool = this.pools.of(task)
    const admission = admit(task, pool)
    if (admission.kind === 'reserve') {
      pool?.reserve(task.cost)
      row.reserves = true
      this.#queue(row)
    } else if (admission.kind === 'hold') {
      this.#move(row, 'held')
      tally.held++
    } else {
      this.#move(row, 'failed')
      row.failure = `${REFUSED}: ${admission.detail}`
      tally.refused.push({ taskId: task.taskId, detail: admission.detail })
    }
  }

  #queue(row: Entry): void {
    const { partner, ordered, taskId } = row.task
    if (partner === null) throw refused(`${taskId} has no partner to be paid by`)
    this.#move(row, 'reserved')
    this.outbox.set(taskId, { partner, ordered, attempts: 0, availableAt: this.#clock.now(), claim: undefined })
  }

  /** None of its player's that was booked before it is still to be paid by the same partner. */
  #isFirst(row: Entry, { partner }: Queued): boolean {
    for (const [taskId, other] of this.outbox) {
      const { task, number } = this.#row(taskId)
      if (other.partner === partner && task.userId === row.task.userId && number < row.number) return false
    }
    return true
  }

  #clear({ taskId, claim }: ClaimRef): Clearance {
    const row = this.rows.get(taskId)
    if (row === undefined || this.outbox.get(taskId)?.claim !== claim) return { kind: 'lost' }
    const reasons = this.#stopped(row)
    if (reasons.length === 0) {
      const again = row.sentBefore
      if (row.status === 'reserved') this.#move(row, 'sent')
      row.sentBefore = true
      return { kind: 'send', again }
    }
    this.stopped.add(taskId)
    this.outbox.delete(taskId)
    this.#move(row, 'frozen')
    const expiryMs = row.task.guardrails.frozen_expiry_ms
    row.freeze = { by: 'sink', reasons, endsAt: expiryMs === undefined ? null : this.#clock.now() + expiryMs }
    // What was sent may be paid: then its money stays set aside.
    if (!row.sentBefore) this.#giveBack(row)
    return { kind: 'frozen', reasons }
  }

  #stopped({ task: { userId, kycRequired, kycUnknown: unknown } }: Entry): readonly FreezeReason[] {
    const player = this.#players.get(userId)?.player ?? UNKNOWN_PLAYER
    // Whose level nobody has told was judged when the task was made, by what the policy says of unknown players.
    const kycUnknown = unknown ?? Number.POSITIVE_INFINITY
    const decision = decideGates({ player, kycRequired, kycUnknown, at: this.#clock.now() })
    return decision.kind === 'pass' ? [] : decision.reasons
  }

  #thaw(row: Entry, admit: Admit, tally: Tally): void {
    row.freeze = null
    // In doubt: its money is still set aside. Otherwise whoever had to look at it has done so before it was queued first.
    if (row.reserves) this.#queue(row)
    else this.#admit(row, { ...row.task, holds: [] }, admit, tally)
  }

  #succeeded(
    { taskId, payoutId, payoutStatus }: Extract<Settlement, { kind: 'succeeded' }>,
    changed: Set<string>,
  ): Settled['differing'][number] | undefined {
    const row = this.rows.get(taskId)
    this.outbox.delete(taskId)
    if (row === undefined) return undefined
    if (row.payout !== null) {
      const [first, now] = [`${row.payout.id} ${row.payout.status}`, `${payoutId} ${payoutStatus}`]
      return first === now ? undefined : { taskId, first, now }
    }
    this.#move(row, 'succeeded')
    row.payout = { id: payoutId, status: payoutStatus }
    this.pools.of(row.task)?.spend(row.task.cost, row.reserves)
    row.reserves = false
    changed.add(taskId)
    return undefined
  }

  #ended(settlement: Exclude<Settlement, { kind: 'succeeded' }>): boolean {
    const queued = this.outbox.get(settlement.taskId)
    if (queued === undefined || queued.claim !== settlement.claim) return false
    if (settlement.kind === 'failed') {
      const row = this.#row(settlement.taskId)
      this.outbox.delete(settlement.taskId)
      this.#move(row, 'failed')
      row.failure = settlement.reason
      if (!settlement.inDoubt) this.#giveBack(row)
      return true
    }
    queued.claim = undefined
    queued.availableAt = this.#clock.now() + (settlement.kind === 'retry' ? settlement.delayMs : 0)
    if (settlement.kind === 'retry') queued.attempts++
    return true
  }

  #giveBack(row: Entry): void {
    if (row.reserves) this.pools.of(row.task)?.giveBack(row.task.cost)
    row.reserves = false
  }

  #move(row: Entry, status: RewardStatus): void {
    if (!MOVES[row.status].includes(status)) {
      throw refused(`reward ${row.task.taskId} cannot move from ${row.status} to ${status}`)
    }
    row.status = status
    row.failure = null
    if (status !== 'frozen') row.freeze = null
    row.updatedAt = this.#clock.now()
  }

  #row(taskId: string): Entry {
    const row = this.rows.get(taskId)
    if (row === undefined) throw refused(`there is no reward ${taskId}`)
    return row
  }
}

interface Tally extends Booked {
  recorded: number
  known: number
  held: number
  frozen: number
  readonly refused: { taskId: string; detail: string }[]
}

const newTally = (): Tally => ({ recorded: 0, known: 0, held: 0, frozen: 0, refused: [] })

function isLater(change: PlayerChange, known: PlayerChange): boolean {
  const ahead = Date.parse(change.asOf) - Date.parse(known.asOf)
  return ahead > 0 || (ahead === 0 && change.seq > known.seq)
}

function malformed({ taskId, cost }: LedgerTask): OncewardError {
  return new OncewardError('ONCEWARD_E_TASK_MALFORMED', `the ledger cannot hold ${taskId}: its cost is ${cost} cents`)
}

function refused(message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_LEDGER_REFUSED', message)
}
