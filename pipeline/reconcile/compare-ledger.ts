/** The ledger against itself: what must stand beside a row, and nothing else. */
import { formatDuration } from '../../core/durations.ts'
import type { RewardStatus } from '../../core/model/reward-status.ts'
import type { LedgerEntry } from '../../core/ports/reconciliation.ts'
import { differenceOf, type Said } from './about.ts'
import type { Difference, DifferenceKind, Findings } from './difference.ts'
import { type Group, type Terms, WAITING_AFTER_MS } from './sides.ts'

type Booked = Group & { readonly ledger: LedgerEntry }

/** Where its history ends is where the row is, for nothing that was written there is ever changed; unless its end is gone. */
export function trueStatus({ status, history }: LedgerEntry): RewardStatus {
  return history.cut ? status : (history.status ?? status)
}

export function compareHistory(group: Booked): Difference[] {
  const { status, history } = group.ledger
  if (history.status === null) {
    const cause = 'the row was written while the triggers of the ledger were off'
    return [differenceOf('history_gap', group, { says: { ledger: status, history: 'nothing' }, cause })]
  }
  const says = { ledger: status, history: history.status }
  if (history.status !== status && !history.cut) {
    const cause = 'the status was changed while the triggers of the ledger were off; the history says what it was'
    return [differenceOf('history_status', group, { says, cause })]
  }
  if (history.whole) return []
  const cause = 'moves were taken out of the history, which is append-only, or made while its triggers were off'
  return [differenceOf('history_gap', group, { says, cause })]
}

/** `status` is the true one: a row whose status was spoilt is not found again by what stands beside it. */
export function compareBeside(group: Booked, status: RewardStatus, terms: Terms, findings: Findings): void {
  const { outbox, openHold, frozenBy } = group.ledger.beside
  const open = status === 'reserved' || status === 'sent'
  const add = (kind: DifferenceKind, said: Said): void =>
    void findings.differences.push(differenceOf(kind, group, said))
  if (open && !outbox) add('outbox_missing', { says: { ledger: status, outbox: 'nothing' }, ...BESIDE.outbox_missing })
  if (!open && outbox) add('outbox_extra', { says: { ledger: status, outbox: 'a row' }, ...BESIDE.outbox_extra })
  if (status === 'held' && !openHold)
    add('hold_missing', { says: { ledger: status, hold: 'none open' }, ...BESIDE.hold_missing })
  if (status !== 'held' && openHold) add('hold_extra', { says: { ledger: status, hold: 'open' }, ...BESIDE.hold_extra })
  if (status === 'frozen' && frozenBy === null) {
    add('freeze_missing', { says: { ledger: status, freeze: 'nothing' }, ...BESIDE.freeze_missing })
  }
  if (status !== 'frozen' && frozenBy !== null) {
    add('freeze_extra', { says: { ledger: status, freeze: `by ${frozenBy}` }, ...BESIDE.freeze_extra })
  }
  if (status === 'pending' || (open && outbox)) judgeAge(group, status, terms, findings)
}

const BESIDE = {
  outbox_missing: { cause: 'its row was deleted from the outbox, so nobody will pay it', command: 'requeue' },
  outbox_extra: {
    cause: 'a row was put into the outbox by hand; the sinks will not pay it, for they look at the status',
  },
  hold_missing: { cause: 'its review was closed or deleted past the ledger, so nobody is asked to decide' },
  hold_extra: { cause: 'it moved on past the review, or the review was opened by hand' },
  freeze_missing: { cause: 'the row beside it was deleted, so nothing will let it go', command: 'release' },
  freeze_extra: { cause: 'it moved on past the freeze, or the row was written by hand' },
} as const

function judgeAge(group: Booked, status: RewardStatus, terms: Terms, findings: Findings): void {
  const ageMs = terms.at - group.ledger.movedAt
  if (ageMs <= terms.stuckAfterMs) {
    if (ageMs > WAITING_AFTER_MS) findings.notes.push('waiting')
    return
  }
  const paid = group.statement.some(({ state }) => state === 'paid')
  findings.differences.push(
    differenceOf('stuck', group, {
      says: { ledger: `${status} for ${formatDuration(ageMs)}`, ...(paid ? { statement: 'paid' } : {}) },
      cause: paid
        ? 'the wallet has paid and no answer was booked since; no sink seems to run'
        : 'no sink runs for its partner, or the partner has been away for longer than the tries go on',
    }),
  )
}
