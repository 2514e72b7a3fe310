/** A small world in which topic, ledger, budgets and statement agree, and the ways to spoil it. */
import { requestIdOf } from '../../core/ids.ts'
import type { RewardStatus } from '../../core/model/reward-status.ts'
import type { BudgetEntry, LedgerEntry, OrphanEntry, StatementLine } from '../../core/ports/reconciliation.ts'
import { createBudgetTally } from '../../pipeline/reconcile/budgets.ts'
import { compareGroup } from '../../pipeline/reconcile/compare.ts'
import type { Difference, NoteKind } from '../../pipeline/reconcile/difference.ts'
import type { Group, Terms, TopicEntry } from '../../pipeline/reconcile/sides.ts'

export const AT = Date.parse('2025-11-20T12:00:00Z')
export const EARNED = Date.parse('2025-11-19T10:00:00Z')
const MINUTE = 60_000

export const TERMS: Terms = {
  at: AT,
  topic: { topic: 'reward.tasks', earliest: [0], end: [100_000], booked: [90_000] },
  statement: true,
  partners: [],
  period: undefined,
  stuckAfterMs: 24 * 3_600_000,
}

export type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** One reward on all sides. */
export interface Account {
  readonly taskId: string
  topic: Mutable<TopicEntry>[]
  ledger: Mutable<LedgerEntry> | undefined
  orphan: OrphanEntry | undefined
  statement: Mutable<StatementLine>[]
}

export interface World {
  readonly accounts: Account[]
  budgets: Mutable<BudgetEntry>[]
}

export const LIVES = [
  'succeeded',
  'reserved',
  'sent',
  'held',
  'frozen',
  'failed',
  'voided',
  'expired',
  'manual',
] as const
export type Life = (typeof LIVES)[number]

export function account(n: number, life: Life, pool: string | null = 'nov'): Account {
  const taskId = `rt_${n}`
  const cents = BigInt(100 + n)
  const status: RewardStatus = life === 'manual' ? 'succeeded' : life
  const paid = status === 'succeeded'
  const origin = life === 'manual' ? 'manual' : 'stream'
  const same = {
    taskId,
    userId: `u_${n % 7}`,
    poolId: pool,
    type: 'bonus_cash',
    value: cents,
    currency: 'EUR',
    cost: cents,
  }
  const said = { ...same, partition: 0, writtenAt: AT - 40 * MINUTE, issuedAt: EARNED }
  const first = status === 'frozen' || status === 'expired' ? 'frozen' : 'created'
  const records: TopicEntry[] = [
    { ...said, said: first, offset: 10 * n },
    ...(status === 'expired' ? [{ ...said, said: 'expired' as const, offset: 10 * n + 1 }] : []),
  ]
  const ledger: LedgerEntry = {
    ledgerId: BigInt(n + 1),
    ...same,
    poolPeriod: 'all',
    status,
    payoutId: paid ? `p_${n}` : null,
    reserves: status === 'reserved' || status === 'sent',
    partner: 'wallet',
    origin,
    issuedAt: EARNED,
    movedAt: AT - 30 * MINUTE,
    sentAt: paid || status === 'sent' || status === 'failed' ? AT - 31 * MINUTE : null,
    source: origin === 'manual' ? null : { topic: 'reward.tasks', partition: 0, offset: 10 * n },
    beside: {
      outbox: status === 'reserved' || status === 'sent',
      openHold: status === 'held',
      frozenBy: status === 'frozen' ? 'stream' : null,
    },
    history: { status, cut: false, whole: true, byPerson: status === 'voided' || origin === 'manual' },
  }
  const line = { ...lineFor(ledger), state: 'paid' as const }
  const statement = paid ? [line] : status === 'failed' ? [{ ...line, state: 'failed' as const }] : []
  return { taskId, topic: origin === 'manual' ? [] : records, ledger, orphan: undefined, statement }
}

export function lineFor(ledger: LedgerEntry): StatementLine {
  return {
    place: `statement.csv:${ledger.ledgerId + 1n}`,
    requestId: requestIdOf(ledger.taskId),
    payoutId: `p_${ledger.ledgerId - 1n}`,
    userId: ledger.userId,
    type: ledger.type,
    amount: ledger.value,
    currency: ledger.currency,
    state: 'paid',
    paidAt: ledger.movedAt,
  }
}

export function worldOf(accounts: Account[]): World {
  const pools = new Map<string, Mutable<BudgetEntry>>()
  for (const { ledger } of accounts) {
    if (ledger === undefined || ledger.poolId === null) continue
    const { poolId, poolPeriod: period } = ledger
    const row = pools.get(poolId) ?? { poolId, period, budget: 10_000_000n, spent: 0n, reserved: 0n, overrun: 0n }
    if (ledger.status === 'succeeded') row.spent += ledger.cost
    if (ledger.reserves) row.reserved += ledger.cost
    pools.set(poolId, row)
  }
  return { accounts, budgets: [...pools.values()] }
}

export interface Outcome {
  readonly differences: readonly Difference[]
  readonly notes: readonly NoteKind[]
}

export function groupOf({ taskId, topic, ledger, orphan, statement }: Account): Group {
  return { requestId: requestIdOf(taskId), topic, ledger, orphan, statement }
}

export function compareWorld(world: World, terms: Terms = TERMS): Outcome {
  const tally = createBudgetTally()
  const differences: Difference[] = []
  const notes: NoteKind[] = []
  for (const each of world.accounts) {
    const compared = compareGroup(groupOf(each), terms)
    differences.push(...compared.differences)
    notes.push(...compared.notes)
    tally.correct(compared.corrections)
    if (each.ledger !== undefined) tally.add(each.ledger)
  }
  return { differences: [...differences, ...tally.differences(world.budgets)], notes }
}
