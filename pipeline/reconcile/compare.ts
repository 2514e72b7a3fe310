/**
 * Compares what the topic, the ledger and the wallet's statement say of one reward: pure. One cause is reported once: what
 * follows from a difference that was found already (a spoilt status, a row that is gone) is not found again elsewhere.
 */
import type { Cents } from '../../core/money.ts'
import type { LedgerEntry, OrphanEntry } from '../../core/ports/reconciliation.ts'
import { differenceOf, money } from './about.ts'
import { compareBeside, compareHistory, trueStatus } from './compare-ledger.ts'
import { compareStatement, paidTwice } from './compare-statement.ts'
import {
  absenceFromTopic,
  contentCorrections,
  isBooked,
  topicContent,
  topicState,
  topicTwice,
} from './compare-topic.ts'
import type { Difference, Findings } from './difference.ts'
import type { Correction, Group, Terms, TopicEntry } from './sides.ts'
import { likelyCost } from './topic-entry.ts'
import { stateOf } from './statement-state.ts'

export interface Compared extends Findings {
  /** Why sums of pools may be off, so that it is not found a second time there. */
  readonly corrections: readonly Correction[]
}

export function compareGroup(group: Group, terms: Terms): Compared {
  const { ledger } = group
  const compared = ledger === undefined ? compareWithoutRow(group, terms) : compareWithRow({ ...group, ledger }, terms)
  // What is outside still says why a pool's sum is off, for a pool's period is not the period that was asked for.
  return isWithin(group, terms) ? compared : { ...compared, differences: [], notes: [] }
}

function compareWithRow(group: Group & { readonly ledger: LedgerEntry }, terms: Terms): Compared {
  const { ledger } = group
  const findings: Findings = { differences: topicTwice(group), notes: [] }
  const status = trueStatus(ledger)
  if (terms.topic !== undefined && group.topic.length === 0) {
    const absence = absenceFromTopic(ledger, terms.topic)
    if (absence === undefined) return withoutRecord(group, terms)
    if (absence !== 'fine') findings.notes.push(absence)
  }
  const { found, owed } = topicContent(group)
  findings.differences.push(...found)
  if (terms.topic !== undefined) findings.differences.push(...topicState(group, status, terms.topic))
  if (terms.statement) compareStatement(group, { status, spoilt: owed, terms }, findings)
  findings.differences.push(...compareHistory(group))
  compareBeside(group, status, terms, findings)
  return { ...findings, corrections: [...spoiltStatus(ledger), ...spoiltContent(ledger, owed)] }
}

/** A row that no record stands behind: that there is no payment and no history for it either is the same finding. */
function withoutRecord(group: Group & { readonly ledger: LedgerEntry }, terms: Terms): Compared {
  const { ledger } = group
  const findings: Findings = { differences: [], notes: [] }
  const statement = stateOf(group.statement)
  if (statement !== undefined) {
    compareStatement(group, { status: trueStatus(ledger), spoilt: undefined, terms }, findings)
  }
  const unknown = ledger.history.status === null ? ' and there is no history of it' : ''
  const paid =
    terms.statement && ledger.status === 'succeeded' && statement === undefined ? ', nor in the statement' : ''
  findings.differences.unshift(
    differenceOf('ledger_not_in_topic', group, {
      says: { ledger: `${ledger.status} ${money(ledger.value, ledger.currency)}`, topic: `nothing${paid}` },
      cause: `the row was written by something else than a sink${unknown}, or the topic was emptied and filled again`,
      ...(ledger.status === 'succeeded' ? {} : { command: 'void' }),
    }),
  )
  const { poolId, poolPeriod: period } = ledger
  const column = columnOf(ledger)
  const corrections = poolId === null || column === undefined ? [] : [{ poolId, period, column, lacks: -ledger.cost }]
  return { ...findings, corrections }
}

function columnOf({ status, reserves }: LedgerEntry): Correction['column'] | undefined {
  if (status === 'succeeded') return 'spent'
  return reserves ? 'reserved' : undefined
}

/** A status that was changed past the triggers left `spent` where it was. */
function spoiltStatus(ledger: LedgerEntry): Correction[] {
  const { poolId, poolPeriod: period, cost, status } = ledger
  const was = trueStatus(ledger)
  if (poolId === null || (was === 'succeeded') === (status === 'succeeded')) return []
  return [{ poolId, period, column: 'spent', lacks: was === 'succeeded' ? cost : -cost }]
}

function spoiltContent(ledger: LedgerEntry, owed: TopicEntry | undefined): Correction[] {
  const column = trueStatus(ledger) === 'succeeded' ? 'spent' : columnOf(ledger)
  return owed === undefined || column === undefined ? [] : contentCorrections(ledger, owed, column)
}

function compareWithoutRow(group: Group, terms: Terms): Compared {
  const { topic, orphan, statement } = group
  const { topic: range } = terms
  const booked = range === undefined ? [] : topic.filter((entry) => isBooked(entry, range))
  const late = topic.filter((entry) => terms.at - entry.writtenAt > terms.stuckAfterMs)
  const differences: Difference[] = [...topicTwice(group), ...paidTwice(group)]
  const [entry] = topic
  if (entry === undefined) {
    if (orphan !== undefined) differences.push(rowGone(group))
    else if (statement.length > 0) differences.push(notInLedger(group))
    return { differences, notes: [], corrections: orphan === undefined ? [] : lost(orphan, orphan) }
  }
  if (booked.length === 0 && late.length === 0 && orphan === undefined) {
    return { differences, notes: [statement.length > 0 ? 'under_way' : 'unbooked'], corrections: [] }
  }
  differences.push(neverBooked(group, { entry, wasBooked: booked.length > 0, terms }))
  return { differences, notes: [], corrections: lost(orphan, { poolId: entry.poolId, cost: likelyCost(entry) }) }
}

function rowGone(group: Group): Difference {
  const { orphan } = group
  return differenceOf('ledger_row_gone', group, {
    says: { ledger: 'nothing', others: `${orphan?.tables.join(', ') ?? ''} of ledger id ${orphan?.ledgerId ?? ''}` },
    cause: `a row was deleted from reward_ledger${orphan?.status === null ? '' : `; it was ${orphan?.status ?? ''}`}`,
  })
}

function notInLedger(group: Group): Difference {
  const [line] = group.statement
  const says = {
    statement: line === undefined ? '' : `${line.state} ${money(line.amount, line.currency)} (${line.place})`,
  }
  const cause = 'the wallet was called by something else than these sinks, or the statement is of another installation'
  return differenceOf('statement_not_in_ledger', group, { says, cause })
}

function neverBooked(
  group: Group,
  { entry, wasBooked, terms }: { entry: TopicEntry; wasBooked: boolean; terms: Terms },
): Difference {
  const { orphan } = group
  const statement = stateOf(group.statement)
  const place = `${terms.topic?.topic ?? ''}[${entry.partition}]@${entry.offset}`
  const gone = orphan === undefined ? '' : `, though ${orphan.tables.join(', ')} have ledger id ${orphan.ledgerId}`
  return differenceOf('topic_not_in_ledger', group, {
    says: {
      topic: `${entry.said} ${money(entry.value, entry.currency)} (${place})`,
      ledger: `nothing${gone}`,
      ...(statement === undefined ? {} : { statement }),
    },
    cause: causeOf(orphan !== undefined || statement === 'paid', wasBooked),
    fix: `with the sinks stopped, move their group back to ${place}: they book what is missing and leave alone what is there`,
  })
}

function causeOf(deleted: boolean, wasBooked: boolean): string {
  if (deleted) return 'it was booked, and its row was deleted from reward_ledger'
  return wasBooked
    ? 'the sinks went past it: it is in the dead-letter topic, or the group was moved forward, or its row was deleted'
    : 'no sink has come to it: none runs, or it waits behind others'
}

/** Where it was booked, its cost is in the budget and in no sum any more; without a history either column may have it. */
function lost(
  orphan: OrphanEntry | undefined,
  { poolId, cost }: { readonly poolId: string | null; readonly cost: Cents | null },
): Correction[] {
  if (poolId === null || cost === null) return []
  const of = (column: Correction['column']): Correction => ({ poolId, period: null, column, lacks: cost })
  if (orphan === undefined || orphan.status === null) return [of('spent'), of('reserved')]
  return [of(orphan.status === 'succeeded' ? 'spent' : 'reserved')]
}

/** Whether any side places it in the period that is looked at. */
function isWithin({ topic, ledger, statement }: Group, { period }: Terms): boolean {
  if (period === undefined) return true
  const times = [
    ...topic.map(({ issuedAt }) => issuedAt),
    ...statement.map(({ paidAt }) => paidAt),
    ...(ledger === undefined ? [] : [ledger.issuedAt, ledger.movedAt, ledger.sentAt]),
  ].filter((time) => time !== null)
  return times.length === 0 || times.some((time) => time >= period.from && time < period.until)
}
