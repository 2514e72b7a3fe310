import { type Cents, formatMoney } from '../../core/money.ts'
import type { Difference, DifferenceKind } from './difference.ts'
import type { Group } from './sides.ts'

export interface Said {
  readonly says: Readonly<Record<string, string>>
  readonly cause: string
  /** A move that a person may make with `onceward rewards`. */
  readonly command?: 'resend' | 'void' | 'release' | 'requeue'
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

/** `requeue`: what is frozen by hand leaves the outbox, and what is released goes into it. */
function rewardsCommand(command: NonNullable<Said['command']>, taskId: string, kind: DifferenceKind): string {
  const of = (verb: string): string => `onceward rewards ${verb} ${quoted(taskId)} --reason "reconcile: ${kind}"`
  return command === 'requeue' ? `${of('freeze')} && ${of('release')}` : of(command)
}

/** An id of somebody else's making is no part of a command that a person copies. */
function quoted(id: string): string {
  return /^\w[\w-]*$/.test(id) ? id : `'${id.replaceAll("'", `'\\''`)}'`
}

export function money(cents: Cents, currency: string | null): string {
  return `${formatMoney(cents)}${currency === null ? '' : ` ${currency}`}`
}
