/** One way to make each kind of difference, as it comes about outside: by a statement of SQL, by a partner, by a producer. */
import type { DifferenceKind } from '../../pipeline/reconcile/difference.ts'
import { type Account, AT, type Life, lineFor, type Mutable } from './world.ts'
import type { LedgerEntry } from '../../core/ports/reconciliation.ts'
import type { BudgetEntry } from '../../core/ports/reconciliation.ts'

export interface Plant {
  readonly kind: DifferenceKind
  readonly name: string
  /** The lives that it can be done to. */
  readonly lives: readonly Life[]
  readonly spoil: (account: Account) => void
}

const STREAM: readonly Life[] = ['succeeded', 'reserved', 'sent', 'held', 'frozen', 'failed', 'voided', 'expired']
const ANY: readonly Life[] = [...STREAM, 'manual']

type Row = Mutable<LedgerEntry>

function row(change: (ledger: Row) => void): Plant['spoil'] {
  return ({ ledger }) => {
    if (ledger !== undefined) change(ledger)
  }
}

function plant(kind: DifferenceKind, name: string, lives: readonly Life[], spoil: Plant['spoil']): Plant {
  return { kind, name, lives, spoil }
}

const remove = (account: Account, withTraces: boolean): void => {
  const { ledger } = account
  if (ledger === undefined) return
  account.orphan = withTraces
    ? {
        ledgerId: ledger.ledgerId,
        taskId: account.taskId,
        poolId: ledger.poolId,
        cost: ledger.cost,
        status: ledger.history.status,
        tables: ['reward_history', 'reward_task'],
      }
    : undefined
  account.ledger = undefined
}

const again = (account: Account, change: Partial<Account['topic'][number]>): void => {
  const [first] = account.topic
  if (first !== undefined) account.topic.push({ ...first, offset: first.offset + 5, ...change })
}

const line = (change: (line: Account['statement'][number]) => void): Plant['spoil'] => {
  return ({ statement }) => statement.forEach(change)
}

const forged: Plant['spoil'] = (account) => {
  account.topic = []
}

export const PLANTS: readonly Plant[] = [
  plant('topic_not_in_ledger', 'a row is deleted', ['succeeded', 'reserved', 'held'], (a) => remove(a, true)),
  plant('topic_not_in_ledger', 'a row is deleted without traces', ['succeeded', 'sent', 'failed'], (a) =>
    remove(a, false),
  ),
  plant('ledger_row_gone', "a person's reward is deleted", ['manual'], (a) => remove(a, true)),
  plant('ledger_not_in_topic', 'no record stands behind a row', STREAM, forged),
  plant('ledger_not_in_topic', 'a row is written with the triggers off', ['succeeded', 'held'], (a) => {
    a.topic = []
    a.statement = []
    row((l) => {
      l.source = null
      l.history = { status: null, cut: false, whole: false, byPerson: false }
      l.beside = { outbox: false, openHold: false, frozenBy: null }
    })(a)
  }),
  plant(
    'topic_other_content',
    'the amount of a row is changed',
    ['succeeded', 'held', 'failed'],
    row((l) => (l.value += 1n)),
  ),
  plant(
    'topic_other_content',
    'the cost of a row is changed',
    ['succeeded', 'reserved'],
    row((l) => (l.cost += 7n)),
  ),
  plant(
    'topic_other_content',
    'the player of a row is changed',
    STREAM,
    row((l) => (l.userId = 'u_other')),
  ),
  plant(
    'topic_other_content',
    'the currency of a row is changed',
    STREAM,
    row((l) => (l.currency = 'TRY')),
  ),
  plant(
    'topic_other_content',
    'the type of a row is changed',
    STREAM,
    row((l) => (l.type = 'cash')),
  ),
  plant(
    'topic_other_content',
    'the pool of a row is changed',
    ['succeeded', 'reserved', 'held'],
    row((l) => (l.poolId = 'dec')),
  ),
  plant('topic_twice', 'a record comes again with another amount', STREAM, (a) => again(a, { value: 99_999n })),
  plant('topic_twice', 'a record comes again for another player', STREAM, (a) => again(a, { userId: 'u_x' })),
  plant('topic_other_state', 'a release is not booked', ['frozen'], (a) => again(a, { said: 'created' })),
  plant('topic_other_state', 'an expiry is not booked', ['frozen'], (a) => again(a, { said: 'expired' })),
  plant('topic_other_state', 'a frozen reward is paid', ['succeeded', 'reserved', 'sent'], ({ topic }) => {
    for (const each of topic) each.said = 'frozen'
  }),
  plant('paid_twice', 'a second payout', ['succeeded', 'manual'], ({ statement, ledger }) => {
    if (ledger !== undefined) statement.push({ ...lineFor(ledger), payoutId: 'p_again' })
  }),
  plant(
    'paid_twice',
    'a line stands twice',
    ['succeeded', 'manual'],
    ({ statement }) => void statement.push(...statement),
  ),
  plant('not_in_statement', 'a line is missing', ['succeeded', 'manual'], (a) => void (a.statement = [])),
  plant(
    'other_amount',
    'a line has another amount',
    ['succeeded', 'manual', 'failed'],
    line((l) => (l.amount += 1n)),
  ),
  plant(
    'other_currency',
    'a line has another currency',
    ['succeeded', 'manual', 'failed'],
    line((l) => (l.currency = 'USD')),
  ),
  plant(
    'other_user',
    'a line has another player',
    ['succeeded', 'manual', 'failed'],
    line((l) => (l.userId = 'u_y')),
  ),
  plant(
    'other_type',
    'a line has another type',
    ['succeeded', 'manual', 'failed'],
    line((l) => (l.type = 'fs')),
  ),
  plant(
    'other_payout_id',
    'a line has another payout id',
    ['succeeded', 'manual'],
    line((l) => (l.payoutId = 'p_new')),
  ),
  plant(
    'other_state',
    'a payment failed',
    ['succeeded', 'manual'],
    line((l) => (l.state = 'failed')),
  ),
  plant('other_state', 'a payment is taken back', ['succeeded', 'manual'], ({ statement }) => {
    statement.push(...statement.map((l) => ({ ...l, state: 'reversed' as const })))
  }),
  plant(
    'other_state',
    'what failed was paid',
    ['failed'],
    line((l) => (l.state = 'paid')),
  ),
  plant('other_state', 'what must not be paid was paid', ['held', 'frozen', 'voided', 'expired'], (a) => {
    if (a.ledger !== undefined) a.statement.push(lineFor(a.ledger))
  }),
  plant(
    'outbox_missing',
    'an outbox row is deleted',
    ['reserved', 'sent'],
    row((l) => (l.beside = { ...l.beside, outbox: false })),
  ),
  plant(
    'outbox_extra',
    'an outbox row is written',
    ['succeeded', 'failed', 'held', 'voided'],
    row((l) => (l.beside = { ...l.beside, outbox: true })),
  ),
  plant(
    'hold_missing',
    'a review is closed',
    ['held'],
    row((l) => (l.beside = { ...l.beside, openHold: false })),
  ),
  plant(
    'hold_extra',
    'a review is opened',
    ['succeeded', 'sent', 'frozen'],
    row((l) => (l.beside = { ...l.beside, openHold: true })),
  ),
  plant(
    'freeze_missing',
    'a freeze is deleted',
    ['frozen'],
    row((l) => (l.beside = { ...l.beside, frozenBy: null })),
  ),
  plant(
    'freeze_extra',
    'a freeze is written',
    ['succeeded', 'sent', 'held'],
    row((l) => (l.beside = { ...l.beside, frozenBy: 'sink' })),
  ),
  plant(
    'history_status',
    'a payment is made a failure',
    ['succeeded'],
    row((l) => {
      l.status = 'failed'
      l.payoutId = null
    }),
  ),
  plant(
    'history_status',
    'a failure is made a payment',
    ['failed'],
    row((l) => {
      l.status = 'succeeded'
      l.payoutId = 'p_made_up'
    }),
  ),
  plant(
    'history_status',
    'a held reward is made void',
    ['held'],
    row((l) => (l.status = 'voided')),
  ),
  plant(
    'history_gap',
    'a move is deleted',
    ANY,
    row((l) => (l.history = { ...l.history, whole: false })),
  ),
  plant(
    'history_gap',
    'the history is deleted',
    ANY,
    row((l) => (l.history = { ...l.history, status: null, whole: false })),
  ),
  plant(
    'history_gap',
    'the last move is deleted',
    ['succeeded', 'failed', 'held'],
    row((l) => (l.history = { ...l.history, status: 'pending', cut: true, whole: false })),
  ),
  plant(
    'stuck',
    'nothing has moved for days',
    ['reserved', 'sent'],
    row((l) => (l.movedAt = AT - 72 * 3_600_000)),
  ),
]

export const BUDGET_PLANTS: readonly {
  readonly kind: DifferenceKind
  readonly spoil: (row: Mutable<BudgetEntry>) => void
}[] = [
  { kind: 'budget_spent', spoil: (budget) => (budget.spent += 1_000_003n) },
  { kind: 'budget_reserved', spoil: (budget) => (budget.reserved += 1_000_033n) },
  { kind: 'budget_above', spoil: (budget) => (budget.budget = budget.spent + budget.reserved - 1n) },
]
