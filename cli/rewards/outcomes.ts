import { formatMoney } from '../../core/money.ts'
import { type Outcome, type PoolPositions, poolKey } from '../../core/ports/back-office.ts'
import { textTable } from '../text-table.ts'

/** Lines of a table; the others are counted. --json prints all. */
const LISTED_MAX = 50

export interface PoolLine {
  readonly pool: string
  readonly period: string
  /** What its reservations grow by; below zero: they shrink. */
  readonly reserves: string
  /** Null: nothing bounds it. */
  readonly left: string | null
}

/** Counts outcomes, and keeps as many as are shown. */
export class OutcomeTally {
  done = 0
  unchanged = 0
  refused = 0
  overrun = 0n
  private readonly shown: Outcome[] = []
  private readonly reserved = new Map<string, { pool: string; period: string; cents: bigint }>()

  get seen(): number {
    return this.done + this.unchanged + this.refused
  }

  add(outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes) {
      this[outcome.kind]++
      if (this.shown.length < LISTED_MAX) this.shown.push(outcome)
      if (outcome.kind === 'done') this.count(outcome)
    }
  }

  private count({ poolId, poolPeriod, reserved, overrun }: Extract<Outcome, { kind: 'done' }>): void {
    this.overrun += overrun
    if (poolId === null) return
    const key = poolKey(poolId, poolPeriod)
    const before = this.reserved.get(key)?.cents ?? 0n
    this.reserved.set(key, { pool: poolId, period: poolPeriod, cents: before + reserved })
  }

  /** The pools that it concerns, with what is left of them after all of it. */
  pools(positions: PoolPositions): PoolLine[] {
    return [...this.reserved].map(([key, { pool, period, cents }]) => {
      const position = positions.get(key)
      const terms = position?.terms ?? null
      const left =
        position === undefined || terms === null ? null : formatMoney(terms.budget - position.spent - position.reserved)
      return { pool, period, reserves: formatMoney(cents), left }
    })
  }

  table(): string {
    const rows = this.shown.map(rowOf)
    const more = this.seen - this.shown.length
    const rest = more > 0 ? `… and ${more} more; --json prints all\n` : ''
    return `${textTable([['REWARD', 'PLAYER', 'FROM', 'TO', 'COST', 'POOL', ''], ...rows], 'texts')}${rest}`
  }

  json(): Record<string, unknown> {
    const { done, unchanged, refused, overrun } = this
    return { rewards: this.seen, done, unchanged, refused, overrun: formatMoney(overrun) }
  }
}

function rowOf(outcome: Outcome): string[] {
  const id = oneLine(outcome.taskId)
  if (outcome.kind === 'refused') return [id, '', '', 'refused', '', '', oneLine(outcome.detail)]
  if (outcome.kind === 'unchanged') return [id, '', '', 'unchanged', '', '', oneLine(outcome.detail)]
  const { userId, from, to, cost, poolId, notes } = outcome
  return [id, oneLine(userId), from ?? '-', to, formatMoney(cost), oneLine(poolId ?? '-'), oneLine(notes.join('; '))]
}

/** What players and partners wrote cannot break a table, or tell a terminal what to do. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD')
}

export function jsonOf(outcome: Outcome): Record<string, unknown> {
  if (outcome.kind !== 'done') {
    const { kind, taskId, detail } = outcome
    return { kind, id: taskId, ...(outcome.kind === 'refused' ? { code: outcome.code } : {}), detail }
  }
  const { kind, taskId, userId, from, to, poolId, poolPeriod, cost, reserved, overrun, notes } = outcome
  return {
    kind,
    id: taskId,
    user: userId,
    from,
    to,
    pool: poolId,
    period: poolPeriod,
    cost: formatMoney(cost),
    reserved: formatMoney(reserved),
    overrun: formatMoney(overrun),
    notes,
  }
}
