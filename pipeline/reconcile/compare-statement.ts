import type { RewardStatus } from '../../core/model/reward-status.ts'
import { formatMoney } from '../../core/money.ts'
import type { LedgerEntry, StatementLine } from '../../core/ports/reconciliation.ts'
import { differenceOf, money } from './about.ts'
import type { Difference, DifferenceKind, Findings } from './difference.ts'
import type { Group, Terms, TopicEntry } from './sides.ts'
import { judgeState, stateCause, stateOf } from './statement-state.ts'

/** Of two clocks that are not ours, ms. */
const CLOCKS_APART_MS = 300_000

/**
 * The wallet's statement against the ledger's row, whose status is `status`. `spoilt`: what is known of the row to have been
 * changed (a field of the topic's record that says otherwise): where the statement agrees with that, it is no second finding.
 */
export function compareStatement(
  group: Group & { readonly ledger: LedgerEntry },
  { status, spoilt, terms }: { status: RewardStatus; spoilt: TopicEntry | undefined; terms: Terms },
  findings: Findings,
): void {
  const { ledger, statement } = group
  const state = stateOf(statement)
  if (state === undefined) {
    if (status === 'succeeded') judgeAbsence(group, terms, findings)
    return
  }
  findings.differences.push(...paidTwice(group))
  const line = lineOf(ledger, statement)
  findings.differences.push(
    ...otherFields(group, line, { spoilt, payoutId: status === 'succeeded' ? ledger.payoutId : null }),
  )
  const judged = judgeState(state, status)
  if (judged === 'under_way') findings.notes.push('under_way')
  if (judged === 'differ') {
    const { cause, resend } = stateCause(state, status, ledger.reserves)
    findings.differences.push(
      differenceOf('other_state', group, {
        says: { ledger: status, statement: `${state} (${line.place})` },
        cause,
        ...(resend ? { command: 'resend' } : {}),
      }),
    )
  }
}

/** The one that the ledger knows; otherwise the payment before other states. */
function lineOf(ledger: LedgerEntry, lines: readonly StatementLine[]): StatementLine {
  const paid = lines.filter(({ state }) => state === 'paid')
  const known = lines.find(({ payoutId }) => payoutId !== null && payoutId === ledger.payoutId)
  const line = known ?? paid[0] ?? lines[0]
  if (line === undefined) throw new TypeError('there is a line to look at')
  return line
}

/** Two payments for one request id. */
export function paidTwice(group: Group): Difference[] {
  const paid = group.statement.filter(({ state }) => state === 'paid')
  if (paid.length < 2) return []
  const payouts = new Set(paid.map(({ payoutId }) => payoutId))
  const cause =
    payouts.size > 1
      ? 'the wallet did not recognise a repeated request id, and paid again'
      : 'the statement lists one payment more than once, or files were given whose periods overlap'
  const says = paid.map((line) => `${line.payoutId ?? '?'} ${money(line.amount, line.currency)} (${line.place})`)
  return [differenceOf('paid_twice', group, { says: { statement: says.join(', ') }, cause })]
}

function otherFields(
  group: Group & { readonly ledger: LedgerEntry },
  line: StatementLine,
  { spoilt, payoutId }: { readonly spoilt: TopicEntry | undefined; readonly payoutId: string | null },
): Difference[] {
  const { ledger } = group
  const found: Difference[] = []
  const check = (kind: DifferenceKind, sides: Sides, cause: string): void => {
    const { ledger: booked, statement, topic } = sides
    // A side that does not say anything does not disagree.
    if (booked === null || statement === null || booked === statement || topic === statement) return
    const says = { ledger: booked, statement: `${statement} (${line.place})` }
    found.push(differenceOf(kind, group, { says, cause, payoutId: line.payoutId }))
  }
  check(
    'other_amount',
    {
      ledger: formatMoney(ledger.value),
      statement: formatMoney(line.amount),
      topic: spoilt && formatMoney(spoilt.value),
    },
    'the wallet booked another amount than it was asked for, or a fee or a conversion is in it',
  )
  check(
    'other_currency',
    { ledger: ledger.currency, statement: line.currency, topic: spoilt?.currency },
    'the wallet paid in the currency of its account and not in that of the order',
  )
  check(
    'other_user',
    { ledger: ledger.userId, statement: line.userId, topic: spoilt?.userId },
    "the wallet credited another account; look at its mapping of players, this player's money is elsewhere",
  )
  check(
    'other_type',
    { ledger: ledger.type, statement: line.type, topic: spoilt?.type },
    'the wallet booked it as another type of reward',
  )
  check(
    'other_payout_id',
    { ledger: payoutId, statement: line.payoutId, topic: undefined },
    'the wallet answered a repeated request with a new payout id, or numbers its payouts anew in statements',
  )
  return found
}

interface Sides {
  readonly ledger: string | null
  readonly statement: string | null
  readonly topic: string | null | undefined
}

/** A payment lies between the first call and the booking of its answer; so whether the period has it may be open. */
function judgeAbsence(group: Group & { readonly ledger: LedgerEntry }, terms: Terms, findings: Findings): void {
  const { ledger } = group
  if (terms.partners.length > 0 && !terms.partners.includes(ledger.partner ?? '')) return
  const where = withinPeriod(ledger, terms.period)
  if (where === 'outside') return
  if (where === 'edge') {
    findings.notes.push('at_the_edge')
    return
  }
  findings.differences.push(
    differenceOf('not_in_statement', group, {
      says: {
        ledger: `${money(ledger.value, ledger.currency)} paid as ${ledger.payoutId ?? '?'}`,
        statement: 'nothing',
      },
      cause: 'the wallet answered that it had paid and did not book it, or its statement ends before it',
    }),
  )
}

function withinPeriod(ledger: LedgerEntry, period: Terms['period']): 'inside' | 'edge' | 'outside' {
  if (period === undefined) return 'inside'
  const [first, last] = [(ledger.sentAt ?? ledger.movedAt) - CLOCKS_APART_MS, ledger.movedAt + CLOCKS_APART_MS]
  if (last < period.from || first >= period.until) return 'outside'
  return first >= period.from && last < period.until ? 'inside' : 'edge'
}
