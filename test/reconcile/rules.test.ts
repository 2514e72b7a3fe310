/** Single rules of the comparison that the plants do not tell apart. */
import { describe, expect, test } from 'vitest'
import { unexplained } from '../../pipeline/reconcile/budgets.ts'
import { compareGroup } from '../../pipeline/reconcile/compare.ts'
import { readTopicEntry } from '../../pipeline/reconcile/topic-entry.ts'
import { createTotals } from '../../pipeline/reconcile/totals.ts'
import { type Account, account, compareWorld, EARNED, groupOf, lineFor, TERMS, worldOf } from './world.ts'

const kindsOf = (one: Account): string[] => compareGroup(groupOf(one), TERMS).differences.map(({ kind }) => kind)

test('a record at the position of the sinks is not booked yet, the one before is', () => {
  const notes = [89_999, 90_000].map((offset) => {
    const one = { ...account(1, 'held'), ledger: undefined }
    for (const record of one.topic) record.offset = offset
    return compareGroup(groupOf(one), TERMS).notes
  })
  expect(notes).toEqual([[], ['unbooked']])
})

test('a person may let go what the stream has frozen', () => {
  const one = account(1, 'succeeded')
  for (const record of one.topic) record.said = 'frozen'
  expect(kindsOf(one)).toEqual(['topic_other_state'])
  if (one.ledger !== undefined) one.ledger.history = { ...one.ledger.history, byPerson: true }
  expect(kindsOf(one)).toEqual([])
})

test('a row that is as the second of two records says is no third finding', () => {
  const one = account(1, 'held')
  one.topic = one.topic.flatMap((record) => [{ ...record, value: 1n, offset: 1 }, record])
  expect(kindsOf(one)).toEqual(['topic_twice'])
})

test('a record that leaves the cost to the sink does not disagree with it', () => {
  const one = account(1, 'held')
  for (const record of one.topic) record.cost = null
  if (one.ledger !== undefined) one.ledger.cost = 1n
  expect(kindsOf(one)).toEqual([])
})

test('a row without a record that was paid otherwise is two findings', () => {
  const one = account(1, 'succeeded')
  one.topic = []
  for (const line of one.statement) line.amount = 1n
  expect(kindsOf(one)).toEqual(['ledger_not_in_topic', 'other_amount'])
})

test('where the ledger has no row, a second payment is a finding of its own', () => {
  const one = account(1, 'succeeded')
  const ledger = one.ledger
  if (ledger !== undefined) one.statement.push({ ...lineFor(ledger), payoutId: 'p_again' })
  expect(kindsOf({ ...one, ledger: undefined })).toEqual(['paid_twice', 'topic_not_in_ledger'])
})

test('an id that somebody made up is quoted where a command is proposed', () => {
  const fixOf = (taskId: string): unknown => {
    const one = account(1, 'failed')
    if (one.ledger !== undefined) one.ledger.taskId = taskId
    for (const line of one.statement) line.state = 'paid'
    return compareGroup({ ...groupOf(one), topic: [] }, { ...TERMS, topic: undefined }).differences.map(
      ({ fix }) => fix,
    )
  }
  const why = '--reason "reconcile: other_state"'
  expect(fixOf('rt_1')).toEqual([`onceward rewards resend rt_1 ${why}`])
  expect(fixOf("$(rm -rf ~)'; x")).toEqual([`onceward rewards resend '$(rm -rf ~)'\\''; x' ${why}`])
})

test('a sum that was changed beyond the budget is one finding', () => {
  const made = worldOf([account(1, 'succeeded')])
  for (const row of made.budgets) row.spent += 2n * (row.budget ?? 0n)
  expect(compareWorld(made).differences.map(({ kind }) => kind)).toEqual(['budget_spent'])
})

test('an overrun is what may be above the budget', () => {
  const made = worldOf([account(1, 'succeeded')])
  for (const row of made.budgets) {
    row.budget = row.spent - 7n
    row.overrun = 7n
  }
  expect(compareWorld(made).differences).toEqual([])
})

test.each([
  [0n, [5n], 0n],
  [5n, [5n], 0n],
  [5n, [5n, 3n, 9n], 0n],
  [8n, [5n, 3n, 9n], 0n],
  [-4n, [5n, -9n], 0n],
  [6n, [5n, 3n], -2n],
  [6n, [], 6n],
])('of %s the causes %s leave %s', (off, causes, rest) => {
  expect(unexplained(off, causes)).toBe(rest)
})

test('totals are of the period, each side by its own time', () => {
  const period = { from: EARNED, until: EARNED + 1 }
  const totals = createTotals(period)
  const { topic, ledger, statement } = account(1, 'succeeded')
  for (const record of topic) {
    totals.topic(record)
    totals.topic({ ...record, issuedAt: EARNED + 1 })
    totals.topic({ ...record, issuedAt: EARNED - 1 })
  }
  if (ledger !== undefined) totals.ledger(ledger)
  for (const line of statement) {
    totals.statement(line)
    totals.statement({ ...line, paidAt: EARNED })
    totals.statement({ ...line, paidAt: null })
  }
  expect(totals.rows()).toEqual([
    { side: 'topic', state: 'created', currency: 'EUR', count: 1, sum: 101n },
    { side: 'ledger', state: 'succeeded', currency: 'EUR', count: 1, sum: 101n },
    { side: 'statement', state: 'paid', currency: 'EUR', count: 2, sum: 202n },
  ])
})

describe('a record of the topic', () => {
  const value = {
    type: 'reward_task.created',
    reward_task_id: 'rt_1',
    user_id: 'u',
    origin: { rule_id: 'r' },
    reward: { type: 'fs', amount: 10 },
    created_at: '2025-11-03T10:00:00Z',
  }
  const read = (given: unknown): ReturnType<typeof readTopicEntry> => {
    const bytes = given === null ? null : Buffer.from(typeof given === 'string' ? given : JSON.stringify(given))
    return readTopicEntry({ topic: 't', partition: 3, offset: 7, timestamp: 9, key: null, value: bytes })
  }

  test('of another writer is read, with what it leaves out', () => {
    expect(read(value)).toEqual({
      kind: 'reward',
      entry: {
        said: 'created',
        taskId: 'rt_1',
        userId: 'u',
        poolId: null,
        type: 'fs',
        value: 1_000n,
        currency: null,
        cost: null,
        partition: 3,
        offset: 7,
        writtenAt: 9,
        issuedAt: Date.parse('2025-11-03T10:00:00Z'),
      },
    })
  })

  test('says its cost itself, or its reward does', () => {
    const cost = (given: object): unknown => {
      const outcome = read({ ...value, ...given })
      return outcome.kind === 'reward' ? [outcome.entry.value, outcome.entry.cost] : outcome.kind
    }
    expect(cost({ cost: '1.50' })).toEqual([1_000n, 150n])
    expect(cost({ reward: { type: 'fs', amount: 10, cost: 2 } })).toEqual([1_000n, 200n])
    expect(cost({ cost: '1.505' })).toBe('unreadable')
  })

  test.each([
    [
      {
        type: 'player.changed',
        user_id: 'u',
        kyc_level: 1,
        restrictions: [],
        as_of: '2025-11-03T10:00:00Z',
        seq: 1,
        event_id: 'e',
      },
      'other',
    ],
    [{ ...value, reward: { type: 'cash', amount: 0, currency: 'EUR' } }, 'unreadable'],
    [{ ...value, reward: { type: 'fs', amount: -1 } }, 'unreadable'],
    [{ ...value, type: 'constructor' }, 'unreadable'],
    [{ ...value, created_at: 'then' }, 'unreadable'],
    [{ ...value, user_id: 7 }, 'unreadable'],
    [{ ...value, reward: 'fs' }, 'unreadable'],
    [[], 'unreadable'],
    ['{', 'unreadable'],
    [null, 'unreadable'],
  ])('%j is %s', (given, kind) => {
    expect(read(given).kind).toBe(kind)
  })
})
