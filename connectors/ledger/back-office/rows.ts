/** The codec of the driver's rows: the only casts of the back office, each for a column of a statement beside it. */
import type { FreezeReason } from '../../../core/gates.ts'
import type { Player, Restriction } from '../../../core/model/player.ts'
import type { HoldReason } from '../../../core/model/reward.ts'
import { type Cents, parseMoney } from '../../../core/money.ts'
import type { PoolPosition } from '../../../core/ports/back-office.ts'
import type { PoolTerms } from '../../../core/ports/ledger.ts'
import type { Row } from '../rows.ts'
import type { FreezeFacts, HoldFacts, RewardFacts } from './facts.ts'

export function money(row: Row, column: string): Cents {
  return parseMoney(row[column] as string)
}

export function moneyOrNull(row: Row, column: string): Cents | null {
  return row[column] === null ? null : money(row, column)
}

export function text(row: Row, column: string): string {
  return row[column] as string
}

export function textOrNull(row: Row, column: string): string | null {
  return row[column] as string | null
}

export function date(row: Row, column: string): Date {
  return row[column] as Date
}

export function dateOrNull(row: Row, column: string): Date | null {
  return row[column] as Date | null
}

export function number(row: Row, column: string): number {
  return Number(row[column])
}

export function factsOf(row: Row): RewardFacts {
  return {
    ledgerId: row['id'] as bigint,
    taskId: text(row, 'reward_task_id'),
    userId: text(row, 'user_id'),
    status: row['status'] as RewardFacts['status'],
    poolId: textOrNull(row, 'pool_id'),
    poolPeriod: text(row, 'pool_period'),
    cost: money(row, 'cost'),
    softCap: moneyOrNull(row, 'soft_cap'),
    reserves: row['reserves'] as boolean,
    kycRequired: row['kyc_required'] as number,
    partner: textOrNull(row, 'partner'),
    failure: textOrNull(row, 'failure'),
    payoutId: textOrNull(row, 'payout_id'),
    origin: row['origin'] as RewardFacts['origin'],
    issuer: textOrNull(row, 'issuer'),
    wasReserved: row['was_reserved'] as boolean,
    wasSent: row['was_sent'] as boolean,
    inFlight: row['in_flight'] as boolean,
    taskHolds: (row['reviews'] as HoldReason[] | null) ?? holdsOfTask(textOrNull(row, 'task')),
    approvals: row['people'] as number,
    hold: row['hold_id'] === null ? null : holdOf(row),
    freeze: row['frozen_by'] === null ? null : freezeOf(row),
    player: playerOf(row),
    now: date(row, 'now').getTime(),
  }
}

function holdOf(row: Row): HoldFacts {
  return {
    id: row['hold_id'] as bigint,
    reasons: row['hold_reasons'] as HoldReason[],
    approvals: row['approvals'] as number,
    assignee: textOrNull(row, 'assignee'),
    decision: row['decision'] as HoldFacts['decision'],
    decidedBy: textOrNull(row, 'decided_by'),
    decidedAt: dateOrNull(row, 'decided_at')?.toISOString() ?? null,
    decisionReason: textOrNull(row, 'decision_reason'),
    approvedBy: (row['approved_by'] as string[] | null) ?? [],
  }
}

function freezeOf(row: Row): FreezeFacts {
  return {
    by: text(row, 'frozen_by'),
    reasons: row['freeze_reasons'] as FreezeReason[],
    expiresAt: dateOrNull(row, 'expires_at')?.getTime() ?? null,
  }
}

interface RestrictionRow {
  readonly kind: string
  readonly since: string
  readonly until: string | null
}

/** Of whom no row tells, nothing is known. */
export function playerOf(row: Row): Player {
  const restrictions = (row['restrictions'] as RestrictionRow[] | null) ?? []
  return { kycLevel: row['kyc_level'] as number | null, restrictions: restrictions.map(restrictionOf) }
}

/** An end that cannot be read is none: protection is never lost to a typing error. */
function restrictionOf({ kind, since, until }: RestrictionRow): Restriction {
  const end = until === null ? Number.NaN : Date.parse(until)
  return { kind, since: Date.parse(since), until: Number.isNaN(end) ? null : end }
}

/** What a task brought to be looked at; a task that cannot be read brought nothing. */
function holdsOfTask(task: string | null): readonly HoldReason[] {
  if (task === null) return []
  let read: unknown
  try {
    read = JSON.parse(task)
  } catch {
    return []
  }
  const holds = typeof read === 'object' && read !== null && 'holds' in read ? read.holds : undefined
  return Array.isArray(holds) ? holds.filter(isHoldReason) : []
}

function isHoldReason(value: unknown): value is HoldReason {
  return (
    typeof value === 'object' &&
    value !== null &&
    'by' in value &&
    typeof value.by === 'string' &&
    'detail' in value &&
    typeof value.detail === 'string'
  )
}

export function positionOf(row: Row): PoolPosition {
  return {
    terms: row['budget'] === null ? null : termsOf(row),
    spent: money(row, 'spent'),
    reserved: money(row, 'reserved'),
    overrun: money(row, 'overrun'),
  }
}

function termsOf(row: Row): PoolTerms {
  return {
    budget: money(row, 'budget'),
    softCap: moneyOrNull(row, 'soft_cap'),
    breakerPercent: row['breaker_percent'] as number,
    whenClosed: row['when_closed'] as PoolTerms['whenClosed'],
    largePrize: moneyOrNull(row, 'large_prize'),
    since: number(row, 'terms_since'),
  }
}
