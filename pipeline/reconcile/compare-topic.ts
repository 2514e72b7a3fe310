import type { RewardStatus } from '../../core/model/reward-status.ts'
import type { Cents } from '../../core/money.ts'
import { formatMoney } from '../../core/money.ts'
import type { LedgerEntry } from '../../core/ports/reconciliation.ts'
import { differenceOf, money } from './about.ts'
import type { Correction, Group, TopicEntry, TopicRange } from './sides.ts'
import type { Difference, NoteKind } from './difference.ts'

type Booked = Group & { readonly ledger: LedgerEntry }

/** A record that the sinks must have booked before the snapshot. */
export function isBooked(entry: TopicEntry, range: TopicRange): boolean {
  return entry.offset < (range.booked[entry.partition] ?? 0)
}

/** Records of one task that do not owe the same. The first is what counts: a task is booked once. */
export function topicTwice(group: Group): Difference[] {
  const [first, ...more] = group.topic
  if (first === undefined) return []
  const other = more.find((entry) => otherContent(first, entry).length > 0)
  if (other === undefined) return []
  const fields = otherContent(first, other)
  const says = { topic: `${said(first, fields)}; then ${said(other, fields)}` }
  const cause =
    'the same crossing was worked out in two ways: a rule was replayed in another form, or somebody else writes to the topic'
  return [differenceOf('topic_twice', group, { says, cause })]
}

/** Fields of the ledger's row that no record of the topic says so; and the first record, which is what was owed. */
export function topicContent(group: Booked): { readonly found: Difference[]; readonly owed: TopicEntry | undefined } {
  const [first] = group.topic
  const { ledger } = group
  if (first === undefined || group.topic.some((entry) => otherContent(entry, ledger).length === 0)) {
    return { found: [], owed: undefined }
  }
  const fields = otherContent(first, ledger)
  const says = { topic: said(first, fields), ledger: said(ledger, fields) }
  const cause = `the row's ${fields.join(' and ')} was changed past the ledger's own checks, or it was booked from another record`
  return { found: [differenceOf('topic_other_content', group, { says, cause })], owed: first }
}

/** Whether both agree that it may be paid. A person may let go what the stream stopped. */
export function topicState(group: Booked, status: RewardStatus, range: TopicRange): Difference[] {
  const { ledger } = group
  const told = new Set(group.topic.filter((entry) => isBooked(entry, range)).map((entry) => entry.said))
  if (told.size === 0) return []
  const stoppedByStream = status === 'frozen' && ledger.beside.frozenBy === 'stream'
  const on = ['reserved', 'sent', 'succeeded', 'held'].includes(status)
  const differ = (topic: string, cause: string, command?: 'release' | 'void'): Difference[] => [
    differenceOf('topic_other_state', group, {
      says: { topic, ledger: status },
      cause,
      ...(command === undefined ? {} : { command }),
    }),
  ]
  if (told.has('created')) {
    return stoppedByStream
      ? differ('released', 'the gates have let it go, and the sink has not booked that', 'release')
      : []
  }
  if (on && !ledger.history.byPerson) {
    return differ(told.has('expired') ? 'expired' : 'frozen', 'it went on although no record and no person let it go')
  }
  if (told.has('expired') && stoppedByStream) {
    return differ('expired', 'its time was up, and the sink has not booked that', 'void')
  }
  return []
}

/** Why a row of the ledger may rightly not be on the topic as it was read; undefined: it should be there. */
export function absenceFromTopic(ledger: LedgerEntry, range: TopicRange): NoteKind | 'fine' | undefined {
  const { source } = ledger
  if (ledger.origin === 'manual') return 'fine'
  // Rewards that had ended before sources were kept have none.
  if (source === null) return range.earliest.some((offset) => offset > 0) ? 'before_retention' : undefined
  if (source.topic !== range.topic) return 'other_topic'
  if (source.offset < (range.earliest[source.partition] ?? 0)) return 'before_retention'
  return source.offset >= (range.end[source.partition] ?? 0) ? 'fine' : undefined
}

/** What the sums of pools lack because the row says other than what was booked. */
export function contentCorrections(ledger: LedgerEntry, owed: TopicEntry, column: Correction['column']): Correction[] {
  const cost = owed.cost ?? ledger.cost
  const period = ledger.poolPeriod
  if (owed.poolId === ledger.poolId) {
    return ledger.poolId === null ? [] : [{ poolId: ledger.poolId, period, column, lacks: cost - ledger.cost }]
  }
  const of = (poolId: string | null, inPeriod: string | null, lacks: Cents): Correction[] =>
    poolId === null ? [] : [{ poolId, period: inPeriod, column, lacks }]
  return [...of(owed.poolId, null, cost), ...of(ledger.poolId, period, -ledger.cost)]
}

type Content = Pick<TopicEntry, 'userId' | 'poolId' | 'type' | 'value' | 'currency'> & { readonly cost: Cents | null }

const FIELDS = {
  player: (one: Content) => one.userId,
  pool: (one: Content) => one.poolId ?? 'none',
  type: (one: Content) => one.type,
  amount: (one: Content) => money(one.value, null),
  currency: (one: Content) => one.currency ?? 'none',
  // A side that leaves the cost to others does not disagree.
  cost: (one: Content) => (one.cost === null ? null : formatMoney(one.cost)),
} as const

type Field = keyof typeof FIELDS

function otherContent(a: Content, b: Content): Field[] {
  return (Object.keys(FIELDS) as Field[]).filter((field) => {
    const [left, right] = [FIELDS[field](a), FIELDS[field](b)]
    return left !== null && right !== null && left !== right
  })
}

function said(one: Content, fields: readonly Field[]): string {
  return fields.map((field) => `${field} ${FIELDS[field](one) ?? 'none'}`).join(', ')
}
