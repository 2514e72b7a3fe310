import { type Cents, formatMoney } from '../../core/money.ts'
import type { Difference, DifferenceKind } from './difference.ts'
import type { Group } from './sides.ts'

export interface Said {
  readonly says: Readonly<Record<string, string>>
  readonly cause: string
  /** A move that a person may make with `onceward rewards`. */
  readonly command?: 'resend' | 'void' | 'release'
  /** Any other command. */
  readonly fix?: string
  readonly payoutId?: string | null
}

/** A difference about one reward, with every id that a side knows of it. */
export function differenceOf(kind: DifferenceKind, group: Group, said: Said): Difference {
  const { requestId, ledger, orphan, statement } = group
  const [entry] = group.topic
  const [line] = statement
  const taskId = ledger?.taskId ?? entry?.taskId ?? orphan?.taskId ?? null
  const command = said.command === undefined || taskId === null ? null : rewardsCommand(said.command, taskId, kind)
  return {
    kind,
    task_id: taskId,
    request_id: requestId === '' ? null : requestId,
    payout_id: said.payoutId ?? ledger?.payoutId ?? line?.payoutId ?? null,
    user_id: ledger?.userId ?? entry?.userId ?? line?.userId ?? null,
    pool_id: ledger?.poolId ?? entry?.poolId ?? null,
    period: null,
    says: said.says,
    cause: said.cause,
    fix: said.fix ?? command,
  }
}

function rewardsCommand(command: string, taskId: string, kind: DifferenceKind): string {
  return `onceward rewards ${command} --task ${taskId} --reason "reconcile: ${kind}"`
}

export function money(cents: Cents, currency: string | null): string {
  return `${formatMoney(cents)}${currency === null ? '' : ` ${currency}`}`
}
