import { freezeText } from '../../core/gates.ts'
import { formatMoney } from '../../core/money.ts'
import type { RewardView } from '../../core/ports/back-office.ts'
import type { BudgetRow } from '../../core/ports/ledger.ts'
import type { Context } from '../command.ts'
import { textTable } from '../text-table.ts'
import { type LedgerSettings, withOffice } from './connection.ts'
import { oneLine } from './outcomes.ts'

export interface ShowSettings extends LedgerSettings {
  readonly id: string
  readonly json: boolean
}

/** All that the ledger knows of one reward. */
export async function showReward(context: Context<ShowSettings>): Promise<void> {
  const { settings, terminal } = context
  const view = await withOffice(context, (office) => office.reward(settings.id.trim()))
  await terminal.print(settings.json ? `${JSON.stringify(rewardJson(view))}\n` : rewardText(view))
}

/** Money as decimal text, times as RFC 3339. */
export function rewardJson(view: unknown): unknown {
  if (typeof view === 'bigint') return formatMoney(view)
  if (view instanceof Date) return Number.isNaN(view.getTime()) ? null : view.toISOString()
  if (Array.isArray(view)) return view.map(rewardJson)
  if (typeof view !== 'object' || view === null) return view
  return Object.fromEntries(Object.entries(view).map(([name, value]) => [name, rewardJson(value)]))
}

export function rewardText(view: RewardView): string {
  const parts = [
    textTable(
      factsOf(view).map(([name, value]) => [name, oneLine(value)]),
      'texts',
    ),
    historyText(view),
  ]
  if (view.holds.length > 0) parts.push(holdsText(view))
  const audit = view.audit.map(({ at, actor, action, reason, detail }) => [
    at.toISOString(),
    oneLine(actor),
    action,
    oneLine(reason ?? ''),
    oneLine(detail ?? ''),
  ])
  if (audit.length > 0) parts.push(`Audit\n${indented(audit)}`)
  return parts.join('\n')
}

function factsOf(view: RewardView): [string, string][] {
  const { poolId, threshold, currency, failure, payoutId } = view
  return [
    ['reward', view.taskId],
    ['request id', view.requestId],
    ['status', failure === null ? view.status : `${view.status}: ${failure}`],
    ['player', `${view.userId}, ${playerText(view)}`],
    ['what', `${view.type} ${formatMoney(view.value)}${currency === null ? '' : ` ${currency}`}`],
    ['costs', `${formatMoney(view.cost)}${view.reserves ? ', reserved' : ''}`],
    [
      'pool',
      poolId === null
        ? 'none'
        : `${poolId} (${view.poolPeriod})${view.pool === null ? '' : `: ${poolText(view.pool)}`}`,
    ],
    [
      'because of',
      `${view.ruleId}${threshold === null ? '' : ` at ${threshold} points`}, event ${view.eventId ?? 'unknown'}`,
    ],
    ['issued', view.issuedAt.toISOString()],
    ['paid by', payoutId === null ? (view.partner ?? 'nobody yet') : `${view.partner ?? 'the wallet'}: ${payoutId}`],
    ...frozenFacts(view),
    ...queueFacts(view),
  ]
}

function frozenFacts({ freeze }: RewardView): [string, string][] {
  if (freeze === null) return []
  const reasons = freeze.reasons.map(freezeText).join(', ')
  const until = freeze.expiresAt === null ? '' : `, until ${freeze.expiresAt.toISOString()} at most`
  return [['frozen by', `${freeze.by}${reasons === '' ? '' : `: ${reasons}`}${until}`]]
}

function queueFacts({ queue }: RewardView): [string, string][] {
  if (queue === null) return []
  const last = queue.lastFailure === null ? '' : `; the last one: ${queue.lastFailure}`
  return [['queued', `next try ${queue.nextAt.toISOString()} after ${queue.attempts} that failed${last}`]]
}

function playerText({ player, kycRequired }: RewardView): string {
  const level = `KYC level ${player?.kycLevel ?? 'unknown'} (${kycRequired} is asked)`
  const restrictions = player?.restrictions ?? []
  const texts = restrictions.map(({ kind, until }) => {
    const end = until === null ? null : new Date(until).toISOString()
    return freezeText({ gate: 'rg', restriction: kind, until: end })
  })
  return [level, ...texts].join(', ')
}

export function poolText({ budget, spent, reserved, overrun }: BudgetRow): string {
  const gone = `${formatMoney(spent)} spent, ${formatMoney(reserved)} reserved`
  const over = overrun === 0n ? '' : `, ${formatMoney(overrun)} let through above it`
  return budget === null ? `${gone}, unbounded` : `${gone} of ${formatMoney(budget)}${over}`
}

function historyText({ history }: RewardView): string {
  const rows = history.map(({ at, to, actor, reason }) => [at.toISOString(), to, oneLine(actor), oneLine(reason ?? '')])
  return `History\n${indented(rows)}`
}

function holdsText({ holds }: RewardView): string {
  const rows = holds.flatMap((hold) => {
    const why = hold.reasons.map(({ by, detail }) => `${by}: ${detail}`).join('; ')
    const people = hold.approvals > 1 ? `, needs ${hold.approvals} people` : ''
    const taken = hold.assignee === null ? '' : `, assigned to ${hold.assignee}`
    const votes = hold.approvedBy.map(({ at, actor, reason }) => [
      at.toISOString(),
      'approved by',
      oneLine(actor),
      oneLine(reason),
    ])
    const end =
      hold.decision === null
        ? []
        : [
            [
              hold.decidedAt?.toISOString() ?? '',
              hold.decision,
              oneLine(hold.decidedBy ?? ''),
              oneLine(hold.decisionReason ?? ''),
            ],
          ]
    return [[hold.openedAt.toISOString(), 'opened', '', oneLine(`${why}${people}${taken}`)], ...votes, ...end]
  })
  return `Reviews\n${indented(rows)}`
}

function indented(rows: readonly (readonly string[])[]): string {
  return textTable(rows, 'texts').replaceAll(/^(?=.)/gm, '  ')
}
