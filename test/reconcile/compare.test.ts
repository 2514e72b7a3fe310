import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { requestIdOf } from '../../core/ids.ts'
import { DIFFERENCE_KINDS } from '../../pipeline/reconcile/difference.ts'
import { BUDGET_PLANTS, PLANTS } from './plants.ts'
import { account, AT, compareWorld, type Life, lineFor, LIVES, type Outcome, TERMS, worldOf } from './world.ts'

const named = ({ differences }: Outcome): string[] =>
  differences.map(({ kind, task_id, request_id, pool_id }) => `${kind} ${task_id ?? request_id ?? pool_id}`).sort()

const world = (): ReturnType<typeof worldOf> =>
  worldOf(LIVES.flatMap((life, i) => [account(10 * i, life), account(10 * i + 1, life, null)]))

describe('one reward', () => {
  test('a world in which all agree has no difference and no note', () => {
    expect(compareWorld(world())).toEqual({ differences: [], notes: [] })
  })

  test.each(PLANTS.flatMap((plant) => plant.lives.map((life) => ({ ...plant, life }))))(
    '$name ($life): one difference, $kind',
    ({ kind, life, spoil }) => {
      const made = world()
      const spoilt = account(500, life)
      const whole = worldOf([...made.accounts, spoilt, account(501, 'held', 'dec')])
      spoil(spoilt)
      const outcome = compareWorld(whole)
      expect(named(outcome)).toEqual([`${kind} rt_500`])
      expect(outcome.differences[0]).toMatchObject({ request_id: requestIdOf('rt_500'), cause: expect.any(String) })
    },
  )

  test('what the wallet paid under an id that nobody knows', () => {
    const made = world()
    const stray = { ...account(900, 'succeeded'), topic: [], ledger: undefined }
    const outcome = compareWorld({ ...made, accounts: [...made.accounts, stray] })
    expect(named(outcome)).toEqual([`statement_not_in_ledger ${requestIdOf('rt_900')}`])
  })

  test.each(BUDGET_PLANTS)('a pool: $kind', ({ kind, spoil }) => {
    const made = world()
    made.budgets.forEach(spoil)
    expect(named(compareWorld(made))).toEqual([`${kind} nov`])
  })

  test('a pool without a row', () => {
    const made = world()
    made.budgets = []
    expect(named(compareWorld(made))).toEqual(['budget_reserved nov', 'budget_spent nov'])
  })

  test('each kind of difference has a plant', () => {
    const planted = new Set([...PLANTS, ...BUDGET_PLANTS].map(({ kind }) => kind)).add('statement_not_in_ledger')
    expect(Object.keys(DIFFERENCE_KINDS).filter((kind) => !planted.has(kind as never))).toEqual([])
  })
})

describe('what is under way is no difference', () => {
  const notesOf = (life: Life, spoil: (one: ReturnType<typeof account>) => void, terms = TERMS): Outcome => {
    const one = account(500, life)
    const made = worldOf([one])
    spoil(one)
    return compareWorld(made, terms)
  }

  test.each(['reserved', 'sent'] as const)('paid in the statement, %s in the ledger', (life) => {
    const outcome = notesOf(life, (one) => {
      if (one.ledger !== undefined) one.statement.push(lineFor(one.ledger))
    })
    expect(outcome).toEqual({ differences: [], notes: ['under_way'] })
  })

  test('on the topic, beyond what the sinks have booked', () => {
    const outcome = compareWorld({ accounts: [{ ...account(9_500, 'held'), ledger: undefined }], budgets: [] })
    expect(outcome).toEqual({ differences: [], notes: ['unbooked'] })
  })

  test('but not for ever', () => {
    const one = { ...account(9_500, 'held'), ledger: undefined }
    for (const record of one.topic) record.writtenAt = AT - TERMS.stuckAfterMs - 1
    expect(named(compareWorld({ accounts: [one], budgets: [] }))).toEqual(['topic_not_in_ledger rt_9500'])
  })

  test('booked after the topic was read', () => {
    const outcome = notesOf('held', (one) => {
      one.topic = []
      if (one.ledger !== undefined) one.ledger.source = { topic: 'reward.tasks', partition: 0, offset: 100_000 }
    })
    expect(outcome).toEqual({ differences: [], notes: [] })
  })

  test.each([
    ['before_retention', 499, 'reward.tasks'],
    ['other_topic', 600, 'x.reward.tasks'],
  ] as const)('%s is a note', (note, offset, topic) => {
    const range = { topic: 'reward.tasks', earliest: [500], end: [100_000], booked: [90_000] }
    const outcome = notesOf(
      'held',
      (one) => {
        one.topic = []
        if (one.ledger !== undefined) one.ledger.source = { topic, partition: 0, offset }
      },
      { ...TERMS, topic: range },
    )
    expect(outcome).toEqual({ differences: [], notes: [note] })
  })

  test('reserved for more than an hour is a note', () => {
    const outcome = notesOf('reserved', (one) => {
      if (one.ledger !== undefined) one.ledger.movedAt = AT - 3_600_001
    })
    expect(outcome).toEqual({ differences: [], notes: ['waiting'] })
  })
})

describe('the period of a statement', () => {
  const period = { from: Date.parse('2025-11-01T00:00:00Z'), until: Date.parse('2025-12-01T00:00:00Z') }
  const paid = (sent: string, booked: string): Outcome => {
    const one = account(500, 'succeeded')
    const made = worldOf([one])
    if (one.ledger !== undefined) {
      one.ledger.sentAt = Date.parse(sent)
      one.ledger.movedAt = Date.parse(booked)
    }
    one.statement = []
    return compareWorld(made, { ...TERMS, period })
  }

  test.each([
    ['2025-11-10T00:00:00Z', '2025-11-10T00:00:01Z', ['not_in_statement rt_500'], []],
    ['2025-12-10T00:00:00Z', '2025-12-10T00:00:01Z', [], []],
    ['2025-10-10T00:00:00Z', '2025-10-10T00:00:01Z', [], []],
    ['2025-11-30T23:59:59Z', '2025-12-01T08:00:00Z', [], ['at_the_edge']],
    ['2025-10-31T23:59:59Z', '2025-11-01T00:01:00Z', [], ['at_the_edge']],
    ['2025-12-01T00:01:00Z', '2025-12-01T00:01:00Z', [], ['at_the_edge']],
  ] as const)('called %s, booked %s, not in the statement', (sent, booked, differences, notes) => {
    const outcome = paid(sent, booked)
    expect([named(outcome), outcome.notes]).toEqual([differences, notes])
  })

  test('what no side places in the period is not looked at', () => {
    const one = account(500, 'succeeded')
    const made = worldOf([one])
    one.statement = one.statement.map((line) => ({ ...line, amount: 1n }))
    const october = { from: Date.parse('2025-10-01T00:00:00Z'), until: Date.parse('2025-11-01T00:00:00Z') }
    expect(compareWorld(made, { ...TERMS, period: october })).toEqual({ differences: [], notes: [] })
  })

  test("another partner's payments need not be in the statement", () => {
    const one = account(500, 'succeeded')
    const made = worldOf([one])
    one.statement = []
    expect(compareWorld(made, { ...TERMS, partners: ['studio'] }).differences).toEqual([])
    expect(named(compareWorld(made, { ...TERMS, partners: ['studio', 'wallet'] }))).toEqual(['not_in_statement rt_500'])
  })
})

test('of a consistent world with k differences planted, exactly those k are found', () => {
  const lives = fc.array(fc.constantFrom(...LIVES), { minLength: 1, maxLength: 60 })
  const chance = fc.infiniteStream(fc.nat())
  fc.assert(
    fc.property(lives, chance, fc.subarray([0, 1]), (drawn, chances, budgets) => {
      const next = (below: number): number => (chances.next().value ?? 0) % below
      const accounts = drawn.map((life, i) => account(i, life, ['nov', 'dec', null][next(3)]))
      const made = worldOf([...accounts, account(998, 'succeeded', 'nov'), account(999, 'reserved', 'dec')])
      const expected: string[] = []
      for (const [i, life] of drawn.entries()) {
        const fitting = PLANTS.filter((plant) => plant.lives.includes(life))
        const chosen = next(3) === 0 ? fitting[next(fitting.length)] : undefined
        const target = accounts[i]
        // The pool "dec" cannot be changed into itself.
        if (
          chosen === undefined ||
          target === undefined ||
          (/the pool/.test(chosen.name) && target.ledger?.poolId === 'dec')
        )
          continue
        chosen.spoil(target)
        expected.push(`${chosen.kind} rt_${i}`)
      }
      for (const i of budgets) {
        const [plant, row] = [BUDGET_PLANTS[i], made.budgets[i]]
        if (plant === undefined || row === undefined) continue
        plant.spoil(row)
        expected.push(`${plant.kind} ${row.poolId}`)
      }
      expect(named(compareWorld(made))).toEqual(expected.sort())
    }),
    { numRuns: 300 },
  )
})
