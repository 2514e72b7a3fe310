import { sql } from '@databases/pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Arrival, LedgerTask } from '../../core/ports/ledger.ts'
import { InvariantError } from '../../core/assert.ts'
import { CENTS_MAX } from '../../core/money.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import {
  admit,
  book,
  change,
  claim,
  created,
  entries,
  entry,
  expectInvariants,
  expired,
  frozen,
  openWorkbench,
  paid,
  POOL,
  SELF_EXCLUSION,
  terms,
  type Workbench,
} from './fixtures.ts'

let postgres: TestPostgres
let bench: Workbench
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  bench = await openWorkbench(postgres)
})
afterEach(async () => {
  await expectInvariants(bench)
  await bench.close()
})

const nothing = { recorded: 0, known: 0, refused: [], held: 0, frozen: 0 }

describe('a batch', () => {
  test('is booked once, whole, also with repeats inside and when it comes again', async () => {
    const list = entries(2_300)
    expect(await bench.ledger.book([], admit)).toEqual(nothing)
    expect(await book(bench.ledger, [...list, ...list.slice(0, 7)])).toEqual({ ...nothing, recorded: 2_300, known: 7 })
    expect(await book(bench.ledger, list)).toEqual({ ...nothing, known: 2_300 })
    expect(await bench.ledger.outstanding()).toBe(2_300)
    expect(await bench.ledger.budgets()).toEqual([
      { poolId: POOL, period: 'all', budget: 100_000n, softCap: null, spent: 0n, reserved: 23_000n, overrun: 0n },
    ])
  })

  test('that holds one impossible task is booked not at all, and the error says that a task is at fault', async () => {
    const bad = entry(3, { issuedAt: 'never' })
    await expect(book(bench.ledger, [entry(1), bad, entry(2)])).rejects.toMatchObject({
      code: 'ONCEWARD_E_TASK_MALFORMED',
    })
    expect([await bench.ledger.outstanding(), await bench.ledger.totals()]).toEqual([0, []])
  })

  test('of two sinks at the same time is booked once, with a pool or without one', async () => {
    for (const poolId of [POOL, null]) {
      const list = Array.from({ length: 300 }, (_, n) => entry(n, { poolId, taskId: `${poolId}_${n}` }))
      const sinks = [bench.open(), bench.open(), bench.open(), bench.open()]
      const booked = await Promise.all(sinks.map((ledger) => book(ledger, list)))
      expect(booked.reduce((sum, one) => sum + one.recorded, 0)).toBe(300)
    }
    expect(await bench.ledger.outstanding()).toBe(600)
  })

  test('gives rows their ids in the order of the log', async () => {
    const list = entries(50).toReversed()
    await book(bench.ledger, list)
    const rows = await bench.query(sql`SELECT reward_task_id FROM reward_ledger ORDER BY id`)
    expect(rows.map((row) => row['reward_task_id'])).toEqual(list.map(({ taskId }) => taskId))
  })
})

describe('the budget', () => {
  test('is asked for one task after the other, each counting those before it', async () => {
    const list = entries(12, { terms: terms({ budget: 100n }) })
    expect(await book(bench.ledger, list)).toEqual({ ...nothing, recorded: 12, held: 2 })
    expect(await bench.ledger.budgets()).toMatchObject([{ budget: 100n, reserved: 100n, overrun: 0n }])
  })

  test('is not exceeded by sinks that book at the same time', async () => {
    const sinks = [bench.open(), bench.open(), bench.open(), bench.open()]
    const share = (s: number): LedgerTask[] =>
      Array.from({ length: 50 }, (_, n) => entry(s * 50 + n, { terms: terms({ budget: 777n }) }))
    const booked = await Promise.all(sinks.map((ledger, s) => book(ledger, share(s))))
    expect(booked.reduce((sum, one) => sum + one.held, 0)).toBe(200 - 77)
    expect(await bench.ledger.budgets()).toMatchObject([{ reserved: 770n }])
  })

  test('refuses where the pool says so, and says it again when the task comes again', async () => {
    const list = entries(3, { terms: terms({ budget: 20n, whenClosed: 'dlq' }) })
    const refused = [{ taskId: list[2]?.taskId, detail: 'no money' }]
    expect(await book(bench.ledger, list)).toEqual({ ...nothing, recorded: 3, refused })
    expect(await book(bench.ledger, list)).toEqual({ ...nothing, known: 3, refused })
    expect(await book(bench.ledger, [...list, ...list])).toMatchObject({ known: 6, refused })
    expect(await bench.query(sql`SELECT failure FROM reward_ledger WHERE status = 'failed'`)).toEqual([
      { failure: 'budget_closed: no money' },
    ])
  })

  test('has the terms of the latest event time, whichever come last', async () => {
    const since = (at: number, budget: bigint): LedgerTask['terms'] =>
      terms({ since: at, budget, softCap: budget / 2n, largePrize: 5n, breakerPercent: 80, whenClosed: 'dlq' })
    await book(bench.ledger, [entry(1, { terms: null })])
    expect(await bench.ledger.budgets()).toMatchObject([{ budget: null }])
    await book(bench.ledger, [entry(2, { terms: since(5, 500n) }), entry(3, { terms: since(9, 900n) })])
    await book(bench.ledger, [entry(4, { terms: since(7, 700n) }), entry(5, { terms: null })])
    expect(await bench.ledger.budgets()).toMatchObject([{ budget: 900n, softCap: 450n, reserved: 50n }])
    const seen: unknown[] = []
    await book(bench.ledger, [entry(6, { terms: since(1, 1n) })], (task, facts) => {
      seen.push(facts)
      return admit(task, facts)
    })
    expect(seen).toEqual([{ terms: since(9, 900n), spent: 0n, reserved: 50n }])
  })

  test('that is lowered below what is gone gives nothing more, and what is under way is still paid', async () => {
    await book(bench.ledger, entries(5, { terms: terms({ budget: 50n }) }))
    expect(await book(bench.ledger, [entry(5, { terms: terms({ budget: 20n, since: 1 }) })])).toMatchObject({ held: 1 })
    await bench.ledger.settle(entries(5).map(({ taskId }) => paid(taskId)))
    expect(await bench.ledger.budgets()).toMatchObject([{ budget: 20n, spent: 50n, reserved: 0n, overrun: 0n }])
    await bench.query(sql`UPDATE reward_budget SET budget = 50`)
  })

  test('stands in the database’s own way: an admission that does not count is refused whole', async () => {
    const careless = (): { kind: 'reserve' } => ({ kind: 'reserve' })
    await expect(book(bench.ledger, entries(11, { terms: terms({ budget: 100n }) }), careless)).rejects.toMatchObject({
      code: 'ONCEWARD_E_LEDGER_REFUSED',
      message: expect.stringContaining(`pool ${POOL} has 1.00 of 1.00 left`),
    })
    expect(await bench.ledger.totals()).toEqual([])
  })

  test('is not needed: a task without a pool is reserved and paid', async () => {
    const one = entry(0, { poolId: null })
    await book(bench.ledger, [one])
    await bench.ledger.settle([paid(one.taskId)])
    expect(await bench.ledger.budgets()).toEqual([])
    expect(await bench.ledger.totals()).toEqual([{ status: 'succeeded', count: 1, cost: 10n }])
  })

  test('of many pools is locked in one order: sinks do not wait for each other in a circle', async () => {
    const sinks = [bench.open(), bench.open(), bench.open(), bench.open()]
    const pools = ['a', 'B', 'ä', 'Z', '1', 'z_']
    const work = sinks.map(async (ledger, s) => {
      for (let round = 0; round < 8; round++) {
        const order = s % 2 === 0 ? pools : pools.toReversed()
        await book(
          ledger,
          order.map((poolId, n) =>
            entry(n, { poolId, taskId: `${s}_${round}_${poolId}`, poolPeriod: `p${round % 2}` }),
          ),
        )
      }
    })
    await Promise.all(work)
    expect(await bench.ledger.outstanding()).toBe(4 * 8 * 6)
  })
})

describe('what is held', () => {
  test('has an open review with its reasons and is not to be paid', async () => {
    const holds = [{ by: 'large_prize', detail: 'it costs 500.00' }]
    expect(await book(bench.ledger, [entry(1, { holds, approvals: 2 })])).toEqual({ ...nothing, recorded: 1, held: 1 })
    expect(await bench.query(sql`SELECT reasons, approvals, decision FROM reward_hold`)).toEqual([
      { reasons: holds, approvals: 2, decision: null },
    ])
    expect(await claim(bench.ledger, 9)).toEqual([])
    expect(await bench.history(entry(1))).toEqual(['pending by sink', 'held by sink'])
  })

  test('a task that nobody pays is not reserved: that would be a bug of whoever admits', async () => {
    const reserve = (): { kind: 'reserve' } => ({ kind: 'reserve' })
    await expect(book(bench.ledger, [entry(1, { partner: null })], reserve)).rejects.toThrow(InvariantError)
    expect(await bench.ledger.totals()).toEqual([])
    expect(await book(bench.ledger, [entry(1, { partner: null })])).toMatchObject({ held: 1 })
  })
})

describe('what the stream has frozen', () => {
  const one = entry(1)
  const statusAfter = async (...arrivals: Arrival[][]): Promise<string | undefined> => {
    for (const batch of arrivals) await bench.ledger.book(batch, admit)
    return bench.status(one)
  }

  test.each<[string, Arrival[][], string]>([
    ['stays frozen', [[frozen(one)]], 'frozen'],
    ['is paid when it is created, in a later call', [[frozen(one)], [created(one, true)]], 'reserved'],
    ['is paid when it is created, in the same call', [[frozen(one), created(one, true)]], 'reserved'],
    ['expires, in a later call', [[frozen(one)], [expired(one)]], 'expired'],
    ['expires, in the same call', [[frozen(one), expired(one)]], 'expired'],
    ['expires where nobody knew it', [[expired(one)]], 'expired'],
    ['is never paid after it has expired', [[frozen(one), expired(one), created(one)], [created(one)]], 'expired'],
    ['is not frozen again once created', [[frozen(one), created(one), frozen(one)], [frozen(one)]], 'reserved'],
    ['does not expire once created', [[frozen(one), created(one), expired(one)], [expired(one)]], 'reserved'],
    [
      'is not frozen where it was created first',
      [
        [created(one), frozen(one)],
        [frozen(one), expired(one)],
      ],
      'reserved',
    ],
    ['is held where the pool is closed', [[frozen(one)], [created(entry(1, { closed: 'not in season' }))]], 'held'],
    [
      'is refused where the pool is closed and says so',
      [[frozen(entry(1, { terms: terms({ budget: 1n, whenClosed: 'dlq' }) }))], [created(one)]],
      'failed',
    ],
  ])('%s', async (_, arrivals, status) => {
    expect(await statusAfter(...arrivals)).toBe(status)
    expect(await bench.ledger.outstanding()).toBe(status === 'reserved' ? 1 : 0)
  })

  test('both steps are in the history, also of one call', async () => {
    await statusAfter([frozen(one), created(one)])
    expect(await bench.history(one)).toEqual(['pending by sink', 'frozen by sink', 'reserved by sink'])
  })

  test('by the sink or by a person is not let go by the stream', async () => {
    for (const by of ['sink', 'manual']) {
      await statusAfter([frozen(one)])
      await bench.query(sql`UPDATE reward_freeze SET frozen_by = ${by}`)
      expect(await statusAfter([created(one), expired(one)])).toBe('frozen')
    }
  })

  test('is paid by the partner of its type now, out of the pool it was booked with', async () => {
    await statusAfter([frozen(entry(1, { partner: null }))])
    await statusAfter([created(entry(1, { partner: 'other', poolId: 'elsewhere', cost: 99n }))])
    expect(await claim(bench.ledger, 1, { partner: 'other' })).toHaveLength(1)
    expect(await bench.ledger.budgets()).toMatchObject([
      { poolId: 'elsewhere', reserved: 0n },
      { poolId: POOL, reserved: 10n },
    ])
  })

  test('is asked of the pool it was booked with, whatever a later record makes of it', async () => {
    await statusAfter([frozen(entry(1, { terms: terms({ budget: 5n }) }))])
    expect(await statusAfter([created(entry(1, { poolId: 'rich', cost: 1n }))])).toBe('held')
  })

  test('is told to the sink with its numbers', async () => {
    expect(await bench.ledger.book([frozen(one), frozen(entry(2)), created(one)], admit)).toEqual({
      ...nothing,
      recorded: 2,
      known: 1,
      frozen: 2,
    })
  })
})

describe('texts and amounts', () => {
  test.each(["'; DROP TABLE reward_ledger; --", '{"}\\,NULL', '$1', 'ключ 🎁', 'NULL', '\t\n"', '{}', '\\', "''"])(
    'the text %j is kept as it is in every field',
    async (text) => {
      const one = entry(0, {
        taskId: text,
        userId: text,
        poolId: text,
        poolPeriod: text,
        type: text,
        currency: text,
        ruleId: text,
        ruleVersion: text,
        period: text,
        eventId: text,
        partner: text,
        raw: text,
        reward: { type: text, [text]: text },
        guardrails: { geo: [text] },
        source: { topic: text, partition: 0, offset: 0 },
      })
      const holds = [{ by: text, detail: text }]
      const held = { ...one, taskId: `${text}2`, holds }
      const stopped = { ...one, taskId: `${text}3` }
      await bench.ledger.players([change(text, { restrictions: [{ ...SELF_EXCLUSION, kind: text, until: 1 }] })])
      await bench.ledger.book([created(one), created(held), frozen(stopped)], admit)
      const [claimed] = await claim(bench.ledger, 1, { partner: text, owner: text })
      const { taskId, userId, eventId, ruleId, threshold, reward, guardrails, source, raw } = one
      expect(claimed?.task).toEqual({ taskId, userId, eventId, ruleId, threshold, reward, guardrails, source, raw })
      expect(await bench.ledger.clear([{ taskId, claim: claimed?.claim ?? 0n }])).toEqual(
        new Map([[text, { kind: 'send' }]]),
      )
      const retry = { kind: 'retry', taskId, claim: claimed?.claim ?? 0n, delayMs: 0, reason: text } as const
      await bench.ledger.settle([retry, paid(text, text, text)])
      await bench.ledger.settle([paid(text, `${text}!`, text)])
      expect(await bench.query(sql`SELECT subject FROM audit_log`)).toEqual([{ subject: text }])
      expect(await bench.query(sql`SELECT reasons FROM reward_hold`)).toEqual([{ reasons: holds }])
      expect(await bench.ledger.latest(9)).toContainEqual(
        expect.objectContaining({
          taskId: text,
          userId: text,
          poolId: text,
          payoutId: text,
          type: text,
          currency: text,
        }),
      )
    },
  )

  test.each(['taskId', 'userId', 'raw', 'ruleId'] as const)(
    'U+0000 in %s is refused, and names a task',
    async (field) => {
      await expect(book(bench.ledger, [entry(1, { [field]: 'a\u0000b' })])).rejects.toMatchObject({
        code: 'ONCEWARD_E_TASK_MALFORMED',
      })
      expect(await bench.ledger.totals()).toEqual([])
    },
  )

  test('amounts of 18 digits are booked and summed exactly', async () => {
    const two = [CENTS_MAX - 1n, 1n].map((cost, n) =>
      entry(n, { value: cost, cost, terms: terms({ budget: CENTS_MAX }) }),
    )
    await book(bench.ledger, two)
    expect(await bench.ledger.budgets()).toMatchObject([{ reserved: CENTS_MAX }])
    await bench.ledger.settle(two.map(({ taskId }) => paid(taskId)))
    expect(await bench.ledger.budgets()).toMatchObject([{ spent: CENTS_MAX, reserved: 0n }])
    expect(await bench.ledger.totals()).toEqual([{ status: 'succeeded', count: 2, cost: CENTS_MAX }])
  })

  test.each([
    ['a cost beyond the most', { cost: CENTS_MAX + 1n }],
    ['a value beyond the most', { value: CENTS_MAX + 1n }],
    ['a negative cost', { cost: -1n }],
    ['a negative value', { value: -1n }],
  ])('%s is refused by the name of its task, and alone', async (_, amounts) => {
    const bad = entry(2, amounts)
    await expect(book(bench.ledger, [entry(1), bad])).rejects.toMatchObject({
      code: 'ONCEWARD_E_TASK_MALFORMED',
      message: expect.stringContaining(bad.taskId),
    })
    expect(await book(bench.ledger, [entry(1)])).toMatchObject({ recorded: 1 })
  })

  test('a sum beyond the most is refused with the task that would bring it, where no budget bounds the pool', async () => {
    const big = (n: number): LedgerTask => entry(n, { cost: CENTS_MAX, terms: null })
    await expect(book(bench.ledger, [big(1), big(2)])).rejects.toMatchObject({
      code: 'ONCEWARD_E_TASK_MALFORMED',
      message: expect.stringContaining(big(2).taskId),
    })
    await book(bench.ledger, [big(1)])
    await bench.ledger.settle([paid(big(1).taskId)])
    await expect(book(bench.ledger, [entry(3, { cost: 1n, terms: null })])).rejects.toMatchObject({
      code: 'ONCEWARD_E_TASK_MALFORMED',
    })
  })
})
