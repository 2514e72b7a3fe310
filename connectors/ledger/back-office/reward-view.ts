import { sql } from '@databases/pg'
import { OncewardError } from '../../../core/errors.ts'
import { requestIdOf } from '../../../core/ids.ts'
import type { AuditEntry, RewardView } from '../../../core/ports/back-office.ts'
import type { Transaction } from '../database.ts'
import type { Row } from '../rows.ts'
import { budgetViewOf } from './budget-list.ts'
import { date, dateOrNull, money, number, playerOf, text, textOrNull } from './rows.ts'

/** Everything about one reward. Throws ONCEWARD_E_REWARD_UNKNOWN. */
export async function readReward(read: Transaction, id: string): Promise<RewardView> {
  const taskId = id.startsWith('rid_') ? await taskOfRequest(read, id) : id
  const [row] = taskId === undefined ? [] : await read(rewardRow(taskId))
  if (row === undefined) {
    const hint = /^(rt|rid)_/.test(id) ? '' : '; a task id begins with rt_, a request id with rid_'
    throw new OncewardError('ONCEWARD_E_REWARD_UNKNOWN', `there is no reward ${id} in this ledger${hint}`)
  }
  const ledgerId = row['id']
  const history = await read(sql`SELECT * FROM reward_history WHERE ledger_id = ${ledgerId} ORDER BY move`)
  const holds = await read(sql`SELECT * FROM reward_hold WHERE ledger_id = ${ledgerId} ORDER BY id`)
  const approvals = await read(sql`
    SELECT a.* FROM reward_approval a JOIN reward_hold h ON h.id = a.hold_id WHERE h.ledger_id = ${ledgerId} ORDER BY a.at`)
  const [pool] = await read(sql`
    SELECT *, now() AS now FROM reward_budget WHERE pool_id = ${row['pool_id']} AND period = ${row['pool_period']}`)
  const audit = await read(auditOf(text(row, 'reward_task_id')))
  return {
    ...contentOf(row),
    history: history.map(moveOf),
    holds: holds.map((hold) => ({
      ...reviewOf(hold),
      approvedBy: approvals
        .filter((approval) => approval['hold_id'] === hold['id'])
        .map((a) => ({ actor: text(a, 'actor'), reason: text(a, 'reason'), at: date(a, 'at') })),
    })),
    pool: pool === undefined ? null : budgetViewOf(pool),
    audit: audit.map(auditEntryOf),
  }
}

/** There is no index of request ids: they are worked out (core/ids.ts) for each reward, a second or so for a million. */
async function taskOfRequest(read: Transaction, requestId: string): Promise<string | undefined> {
  const [row] = await read(sql`
    SELECT reward_task_id FROM reward_ledger
    WHERE ${requestId} = 'rid_' || left(
      encode(sha256(convert_to('["request",' || to_json(reward_task_id)::text || ']', 'UTF8')), 'hex'), 32)
    LIMIT 1`)
  return row === undefined ? undefined : text(row, 'reward_task_id')
}

function rewardRow(taskId: string) {
  return sql`
    SELECT
      l.*, t.reward, f.frozen_by, f.reasons AS freeze_reasons, f.expires_at, f.frozen_at,
      o.ledger_id AS queued, o.attempts, o.available_at, o.last_failure,
      p.user_id AS known_player, p.kyc_level, p.restrictions
    FROM reward_ledger l
    LEFT JOIN reward_task t ON t.ledger_id = l.id
    LEFT JOIN reward_freeze f ON f.ledger_id = l.id
    LEFT JOIN reward_outbox o ON o.ledger_id = l.id
    LEFT JOIN player_state p ON p.user_id = l.user_id
    WHERE l.reward_task_id = ${taskId}`
}

function auditOf(subject: string) {
  return sql`SELECT at, actor, action, subject, reason, detail::text FROM audit_log WHERE subject = ${subject} ORDER BY id`
}

function contentOf(row: Row): Omit<RewardView, 'history' | 'holds' | 'pool' | 'audit'> {
  const taskId = text(row, 'reward_task_id')
  return {
    taskId,
    requestId: requestIdOf(taskId),
    userId: text(row, 'user_id'),
    status: row['status'] as RewardView['status'],
    poolId: textOrNull(row, 'pool_id'),
    poolPeriod: text(row, 'pool_period'),
    type: text(row, 'type'),
    value: money(row, 'value'),
    currency: textOrNull(row, 'currency'),
    cost: money(row, 'cost'),
    reserves: row['reserves'] as boolean,
    kycRequired: number(row, 'kyc_required'),
    partner: textOrNull(row, 'partner'),
    origin: row['origin'] as RewardView['origin'],
    ruleId: text(row, 'rule_id'),
    ruleVersion: textOrNull(row, 'rule_version'),
    threshold: textOrNull(row, 'threshold'),
    eventId: textOrNull(row, 'event_id'),
    payoutId: textOrNull(row, 'payout_id'),
    failure: textOrNull(row, 'failure'),
    reward: row['reward'] as RewardView['reward'],
    issuedAt: date(row, 'issued_at'),
    updatedAt: date(row, 'updated_at'),
    freeze: row['frozen_by'] === null ? null : freezeViewOf(row),
    queue: row['queued'] === null ? null : queueViewOf(row),
    player: row['known_player'] === null ? null : playerOf(row),
  }
}

function freezeViewOf(row: Row): NonNullable<RewardView['freeze']> {
  return {
    by: text(row, 'frozen_by'),
    reasons: row['freeze_reasons'] as NonNullable<RewardView['freeze']>['reasons'],
    expiresAt: dateOrNull(row, 'expires_at'),
    frozenAt: date(row, 'frozen_at'),
  }
}

function queueViewOf(row: Row): NonNullable<RewardView['queue']> {
  return {
    attempts: number(row, 'attempts'),
    nextAt: date(row, 'available_at'),
    lastFailure: textOrNull(row, 'last_failure'),
  }
}

function moveOf(row: Row): RewardView['history'][number] {
  return {
    from: row['from_status'] as RewardView['history'][number]['from'],
    to: row['to_status'] as RewardView['history'][number]['to'],
    reason: textOrNull(row, 'reason'),
    actor: text(row, 'actor'),
    at: date(row, 'at'),
  }
}

function reviewOf(row: Row): Omit<RewardView['holds'][number], 'approvedBy'> {
  return {
    reasons: row['reasons'] as RewardView['holds'][number]['reasons'],
    approvals: number(row, 'approvals'),
    assignee: textOrNull(row, 'assignee'),
    openedAt: date(row, 'opened_at'),
    decision: textOrNull(row, 'decision'),
    decidedBy: textOrNull(row, 'decided_by'),
    decidedAt: dateOrNull(row, 'decided_at'),
    decisionReason: textOrNull(row, 'decision_reason'),
  }
}

function auditEntryOf(row: Row): AuditEntry {
  return {
    at: date(row, 'at'),
    actor: text(row, 'actor'),
    action: text(row, 'action'),
    subject: text(row, 'subject'),
    reason: textOrNull(row, 'reason'),
    detail: textOrNull(row, 'detail'),
  }
}
