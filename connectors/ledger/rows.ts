/** The codec of the driver's rows: the only casts of the ledger, each for a column of a statement beside it. */
import type { FreezeReason } from '../../core/gates.ts'
import { type Cents, parseMoney } from '../../core/money.ts'
import type { RewardStatus } from '../../core/model/reward-status.ts'
import type {
  BudgetRow,
  ClaimedTask,
  Clearance,
  LedgerRow,
  LedgerTask,
  LedgerTotal,
  PoolTerms,
  Waiting,
} from '../../core/ports/ledger.ts'

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

export function ledgerIdOf(row: Row): bigint {
  return row['id'] as bigint
}

/** A row of reward_budget while it is locked. */
export interface PoolRow {
  readonly poolId: string
  readonly poolPeriod: string
  readonly terms: PoolTerms | null
  readonly spent: Cents
  readonly reserved: Cents
}

export function poolRowOf(row: Row): PoolRow {
  const since = row['terms_since'] as bigint | null
  const budget = moneyOf(row, 'budget')
  return {
    poolId: row['pool_id'] as string,
    poolPeriod: row['period'] as string,
    terms:
      since === null || budget === null
        ? null
        : {
            budget,
            softCap: moneyOf(row, 'soft_cap'),
            breakerPercent: row['breaker_percent'] as number,
            whenClosed: row['when_closed'] as PoolTerms['whenClosed'],
            largePrize: moneyOf(row, 'large_prize'),
            since: Number(since),
          },
    spent: parseMoney(row['spent'] as string),
    reserved: parseMoney(row['reserved'] as string),
  }
}

function moneyOf(row: Row, column: string): Cents | null {
  const text = row[column] as string | null
  return text === null ? null : parseMoney(text)
}

/** What a call has to know of a task that is in the ledger already. */
export interface KnownReward {
  readonly ledgerId: bigint
  readonly taskId: string
  readonly status: RewardStatus
  /** Of a frozen one: who stopped it. */
  readonly frozenBy: 'stream' | 'sink' | 'manual' | null
  readonly failure: string | null
  readonly poolId: string | null
  readonly poolPeriod: string
  readonly cost: Cents
}

export function knownOf(row: Row): KnownReward {
  return {
    ledgerId: ledgerIdOf(row),
    taskId: taskIdOf(row),
    status: row['status'] as RewardStatus,
    frozenBy: row['frozen_by'] as KnownReward['frozenBy'],
    failure: row['failure'] as string | null,
    poolId: row['pool_id'] as string | null,
    poolPeriod: row['pool_period'] as string,
    cost: parseMoney(row['cost'] as string),
  }
}

/** A reward as it stands in the ledger, with what is needed to admit it again. */
export interface StoredReward {
  readonly ledgerId: bigint
  readonly status: RewardStatus
  /** Its cost is reserved; of one that is frozen or failed: it is in doubt. */
  readonly reserves: boolean
  /**
   * The task as `admit` gets it: what its pool is now stands in the facts, so `terms` and `closed` are null; `holds` is
   * empty, because whoever was to look at it when it came has done so.
   */
  readonly task: LedgerTask
}

export function storedOf(row: Row): StoredReward {
  return {
    ledgerId: ledgerIdOf(row),
    status: row['status'] as RewardStatus,
    reserves: row['reserves'] as boolean,
    task: {
      taskId: taskIdOf(row),
      userId: row['user_id'] as string,
      poolId: row['pool_id'] as string | null,
      poolPeriod: row['pool_period'] as string,
      terms: null,
      closed: null,
      type: row['type'] as string,
      value: parseMoney(row['value'] as string),
      currency: row['currency'] as string | null,
      cost: parseMoney(row['cost'] as string),
      ruleId: row['rule_id'] as string,
      ruleVersion: row['rule_version'] as string | null,
      threshold: row['threshold'] as number | null,
      period: row['period'] as string | null,
      eventId: row['event_id'] as string | null,
      reward: row['reward'] as LedgerTask['reward'],
      guardrails: row['guardrails'] as LedgerTask['guardrails'],
      softCap: moneyOf(row, 'soft_cap'),
      kycRequired: row['kyc_required'] as number,
      kycUnknown: row['kyc_unknown'] as number | null,
      holds: [],
      approvals: row['approvals'] as number,
      partner: row['partner'] as string | null,
      ordered: row['ordered'] as boolean,
      payer: row['payer'] as boolean | null,
      origin: row['origin'] as LedgerTask['origin'],
      issuedAt: (row['issued_at'] as Date).toISOString(),
      source: row['source'] as LedgerTask['source'],
      raw: (row['task'] as string | null) ?? '',
    },
  }
}

/** A frozen reward that the sink looks at again. */
export interface ThawableReward extends StoredReward {
  /** The player's protection lets it pass now; if not, its time is up. */
  readonly passes: boolean
}

export function thawableOf(row: Row): ThawableReward {
  return { ...storedOf(row), passes: row['passes'] as boolean }
}

export function claimedOf(row: Row): ClaimedTask {
  const taskId = taskIdOf(row)
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
      raw: (row['task'] as string | null) ?? '',
    },
  }
}

export function clearanceOf(row: Row): readonly [taskId: string, Clearance] {
  const reasons = row['reasons'] as FreezeReason[] | null
  const cleared = { kind: 'send', again: row['again'] as boolean } as const
  return [taskIdOf(row), reasons === null ? cleared : { kind: 'frozen', reasons }]
}

export function paidOf(row: Row): { readonly ledgerId: bigint; readonly taskId: string; readonly queued: boolean } {
  return { ledgerId: ledgerIdOf(row), taskId: taskIdOf(row), queued: row['queued'] as boolean }
}

export function differingOf(row: Row): { readonly taskId: string; readonly first: string; readonly now: string } {
  return { taskId: taskIdOf(row), first: row['first'] as string, now: row['now'] as string }
}

export function totalOf(row: Row): LedgerTotal {
  return {
    status: row['status'] as LedgerTotal['status'],
    count: row['count'] as number,
    cost: parseMoney(row['cost'] as string),
  }
}

export function waitingOf(row: Row): Waiting {
  return {
    partner: row['partner'] as string,
    tasks: row['tasks'] as number,
    longestMs: row['longest_ms'] as number,
  }
}

export function budgetOf(row: Row): BudgetRow {
  return {
    poolId: row['pool_id'] as string,
    period: row['period'] as string,
    budget: moneyOf(row, 'budget'),
    softCap: moneyOf(row, 'soft_cap'),
    spent: parseMoney(row['spent'] as string),
    reserved: parseMoney(row['reserved'] as string),
    overrun: parseMoney(row['overrun'] as string),
  }
}

export function rowOf(row: Row): LedgerRow {
  return {
    taskId: taskIdOf(row),
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
