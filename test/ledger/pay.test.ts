import { sql } from '@databases/pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClaimedTask, Ledger } from '../../core/ports/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import {
  admit,
  book,
  change,
  claim,
  entries,
  entry,
  expectInvariants,
  expired,
  failure,
  frozen,
  only,
  openWorkbench,
  paid,
  POOL,
  SELF_EXCLUSION,
  send,
  terms,
  verdicts,
  type Workbench,
} from './fixtures.ts'

let postgres: TestPostgres
let bench: Workbench
let ledger: Ledger
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  bench = await openWorkbench(postgres)
  ledger = bench.ledger
})
afterEach(async () => {
  await expectInvariants(bench)
  await bench.close()
})

const none = { changed: new Set(), differing: [] }

describe('what becomes of a call', () => {
  test('a retry waits for its delay, a release for nothing', async () => {
    await book(ledger, entries(2))
    const [first, second] = await send(ledger, 2)
    if (first === undefined || second === undefined) throw new Error('nothing was claimed')
    await ledger.settle([
      { kind: 'retry', taskId: first.taskId, claim: first.claim, delayMs: 60_000, reason: 'HTTP 503' },
      { kind: 'released', taskId: second.taskId, claim: second.claim },
    ])
    expect(await claim(ledger, 2)).toMatchObject([{ taskId: second.taskId, attempts: 0 }])
  })

  test('a second success changes nothing, at the same time too, and each other answer is an alarm', async () => {
    const two = [bench.open(), bench.open()] as const
    await book(ledger, [entry(0)])
    const { taskId } = only(await send(ledger, 1))
    const settled = await Promise.all([...two, ...two].map((one, n) => one.settle([paid(taskId, `po_${n}`)])))
    const winner = settled.findIndex(({ changed }) => changed.size === 1)
    expect(settled.filter(({ changed }) => changed.size === 1)).toHaveLength(1)
    expect(settled.flatMap(({ differing }) => differing)).toHaveLength(3)
    expect(await ledger.latest(5)).toMatchObject([{ status: 'succeeded', payoutId: `po_${winner}` }])
    expect(await ledger.budgets()).toMatchObject([{ poolId: POOL, spent: 10n, reserved: 0n }])
  })

  test('an answer that differs is told each time, and written down once', async () => {
    await book(ledger, [entry(0)])
    const { taskId } = only(await send(ledger, 1))
    expect(await ledger.settle([paid(taskId, 'po_1'), paid(taskId, 'po_1')])).toEqual({
      ...none,
      changed: new Set([taskId]),
    })
    const other = { taskId, first: 'po_1 (succeeded)', now: 'po_2 (succeeded)' }
    expect(await ledger.settle([paid(taskId, 'po_2')])).toEqual({ ...none, differing: [other] })
    const third = { ...other, now: 'po_1 (accepted)' }
    expect(await ledger.settle([paid(taskId, 'po_2'), paid(taskId, 'po_1', 'accepted'), paid(taskId, 'po_1')])).toEqual(
      {
        ...none,
        differing: [other, third],
      },
    )
    expect(await bench.query(sql`SELECT actor, action, subject, detail FROM audit_log ORDER BY id`)).toEqual(
      [other, third].map(({ first, now }) => ({
        actor: 'sink',
        action: 'alarm.answer_differs',
        subject: taskId,
        detail: { first, now },
      })),
    )
  })

  test('a refusal gives the reservation back, a doubt keeps it', async () => {
    await book(ledger, entries(2))
    const [first, second] = await send(ledger, 2)
    if (first === undefined || second === undefined) throw new Error('nothing was claimed')
    await ledger.settle([failure(first, false), failure(second, true)])
    expect(await ledger.budgets()).toMatchObject([{ spent: 0n, reserved: 10n }])
    expect(await bench.history(first)).toEqual([
      'pending by sink',
      'reserved by sink',
      'sent by sink',
      'failed by sink',
    ])
    expect(await ledger.settle([failure(first, true), failure(second, false)])).toEqual(none)
    await ledger.settle([paid(second.taskId)])
    expect(await ledger.budgets()).toMatchObject([{ spent: 10n, reserved: 0n }])
  })

  test('is booked whatever its words are', async () => {
    await book(ledger, entries(3))
    const [first, second, third] = await send(ledger, 3)
    if (first === undefined || second === undefined || third === undefined) throw new Error('nothing was claimed')
    const { changed } = await ledger.settle([
      { kind: 'retry', taskId: first.taskId, claim: first.claim, delayMs: 0, reason: 'no answer: \0' },
      {
        ...failure(second, true),
        kind: 'failed',
        taskId: second.taskId,
        claim: second.claim,
        reason: '\0',
        inDoubt: true,
      },
      paid(third.taskId, 'po\0', '\0'),
    ])
    expect(changed.size).toBe(3)
  })

  test('one that cannot be sent at all fails without a call', async () => {
    await book(ledger, [entry(0)])
    await ledger.settle([failure(only(await claim(ledger, 1)), false)])
    expect(await bench.status(entry(0))).toBe('failed')
  })

  test('of a task that nobody knows is nothing', async () => {
    expect(await ledger.settle([paid('rt_none')])).toEqual(none)
    expect(await ledger.settle([])).toEqual(none)
    expect(await ledger.clear([])).toEqual(new Map())
    expect(await ledger.clear([{ taskId: 'rt_none', claim: 1n }])).toEqual(new Map([['rt_none', { kind: 'lost' }]]))
  })
})

describe('a payment is a fact whatever was said of the task', () => {
  const holds = [{ by: 'large_prize', detail: 'it is' }]
  const one = entry(1)
  const claimed = async (): Promise<ClaimedTask> => only(await send(ledger, 1))
  const CASES: [string, () => Promise<unknown>][] = [
    ['reserved', () => book(ledger, [one])],
    ['sent', () => book(ledger, [one]).then(claimed)],
    ['held', () => book(ledger, [{ ...one, holds }])],
    ['frozen', () => ledger.book([frozen(one)], admit)],
    ['expired', () => ledger.book([expired(one)], admit)],
    [
      'failed',
      () =>
        book(ledger, [one])
          .then(claimed)
          .then((c) => ledger.settle([failure(c, false)])),
    ],
    [
      'voided',
      async () => {
        await book(ledger, [{ ...one, holds }])
        await bench.query(sql`UPDATE reward_hold SET decision = 'rejected', decided_by = 'anna', decided_at = now()`)
        await bench.query(sql`UPDATE reward_ledger SET status = 'voided'`)
      },
    ],
  ]

  test.each(CASES)('%s: it succeeds, and nothing is left beside it', async (status, make) => {
    await make()
    expect(await bench.status(one)).toBe(status)
    expect((await ledger.settle([paid(one.taskId)])).changed).toEqual(new Set([one.taskId]))
    expect(await ledger.latest(1)).toMatchObject([{ status: 'succeeded', failure: null }])
    expect(await ledger.budgets()).toMatchObject([{ spent: 10n, reserved: 0n, overrun: 0n }])
    const open = await bench.query(sql`SELECT decision FROM reward_hold WHERE decision IS NULL`)
    expect([open, await claim(ledger, 1)]).toEqual([[], []])
  })

  test('where nothing was reserved for it and the budget does not have it, the overrun is what is above', async () => {
    const tight = terms({ budget: 25n })
    await book(ledger, [entry(1, { terms: tight })])
    await ledger.settle([failure(only(await send(ledger, 1)), false)])
    await book(ledger, [entry(2, { terms: tight }), entry(3, { terms: tight })])
    await ledger.settle([paid(entry(1).taskId)])
    expect(await ledger.budgets()).toMatchObject([{ budget: 25n, spent: 10n, reserved: 20n, overrun: 5n }])
    await ledger.settle([paid(entry(2).taskId), paid(entry(3).taskId)])
    expect(await ledger.budgets()).toMatchObject([{ spent: 30n, reserved: 0n, overrun: 5n }])
    expect(await book(ledger, [entry(4, { terms: tight })])).toMatchObject({ held: 1 })
    await ledger.settle([paid(entry(4).taskId)])
    expect(await ledger.budgets()).toMatchObject([{ spent: 40n, reserved: 0n, overrun: 15n }])
  })

  test('of a pool whose budget was lowered, only the surprise is overrun', async () => {
    await book(ledger, [...entries(3), entry(9, { holds })])
    await book(ledger, [entry(4, { terms: terms({ budget: 12n, since: 1 }), holds })])
    await ledger.settle([paid(entry(9).taskId)])
    expect(await ledger.budgets()).toMatchObject([{ budget: 12n, spent: 10n, reserved: 30n, overrun: 10n }])
    await bench.query(sql`UPDATE reward_budget SET budget = 100`)
  })
})

describe('the look at the moment of the call', () => {
  const AT = Date.UTC(2999, 0, 1)
  const clearOf = async (one: ClaimedTask): Promise<unknown> => (await ledger.clear([one])).get(one.taskId)

  test.each([
    ['is never told of', {}, 'send'],
    ['is known and free', { kycLevel: 2 }, 'send'],
    ['was restricted', { restrictions: [{ kind: 'cool_off', since: 0, until: 1 }] }, 'send'],
    ['is restricted for ever', { restrictions: [SELF_EXCLUSION] }, 'frozen'],
    ['is restricted for a while', { restrictions: [{ kind: 'cool_off', since: 0, until: AT }] }, 'frozen'],
    ['is restricted from a later time on', { restrictions: [{ kind: 'cool_off', since: AT, until: null }] }, 'frozen'],
    ['has a level that is too low', { kycLevel: 1 }, 'frozen'],
    ['has a level that nobody told', { kycLevel: null }, 'send'],
  ] as const)('a player who %s', async (_, player, kind) => {
    await book(ledger, [entry(1)])
    await ledger.players([change(entry(1).userId, player)])
    expect(await clearOf(only(await claim(ledger, 1)))).toMatchObject({ kind })
    expect(await bench.status(entry(1))).toBe(kind === 'send' ? 'sent' : 'frozen')
    expect(await ledger.budgets()).toMatchObject([{ reserved: kind === 'send' ? 10n : 0n }])
    expect(await ledger.outstanding()).toBe(kind === 'send' ? 1 : 0)
  })

  test('a self-exclusion that arrives after the claim still stops it, with its reasons', async () => {
    await book(ledger, [entry(1)])
    const claimed = only(await claim(ledger, 1))
    const restrictions = [
      SELF_EXCLUSION,
      { kind: 'gone', since: 0, until: 1 },
      { kind: 'cool_off', since: 0, until: AT },
    ]
    await ledger.players([change(claimed.task.userId, { kycLevel: 0, restrictions })])
    const reasons = [
      { gate: 'rg', restriction: 'self_exclusion', until: null },
      { gate: 'rg', restriction: 'cool_off', until: '2999-01-01T00:00:00.000Z' },
      { gate: 'kyc', required: 2, level: 0 },
    ]
    expect(await clearOf(claimed)).toEqual({ kind: 'frozen', reasons })
    expect(await bench.query(sql`SELECT frozen_by, reasons FROM reward_freeze`)).toEqual([
      { frozen_by: 'sink', reasons },
    ])
    expect(await clearOf(claimed)).toEqual({ kind: 'lost' })
  })

  test('one batch may hold both, and sent ones stay sent', async () => {
    await book(ledger, entries(4))
    const claimed = await claim(ledger, 4)
    const stopped = claimed[2]?.task.userId ?? ''
    await ledger.clear(claimed.slice(0, 1))
    await ledger.players([change(stopped, { restrictions: [SELF_EXCLUSION] })])
    const kinds = [...(await ledger.clear(claimed)).values()].map(({ kind }) => kind)
    expect(kinds).toEqual(['send', 'send', 'frozen', 'send'])
    expect(await ledger.totals()).toMatchObject([
      { status: 'frozen', count: 1 },
      { status: 'sent', count: 3 },
    ])
    expect(await bench.history(claimed[0] ?? entry(0))).toEqual(['pending by sink', 'reserved by sink', 'sent by sink'])
  })

  test.each([
    ['was sent, and the sink died', true, async () => undefined],
    ['was sent and called in vain', true, (one: ClaimedTask) => ledger.settle(verdicts(one).slice(0, 1))],
    ['was sent and given back', true, (one: ClaimedTask) => ledger.settle(verdicts(one).slice(2))],
    ['was called in vain without a look', false, (one: ClaimedTask) => ledger.settle(verdicts(one).slice(0, 1))],
  ])('one that %s keeps its reservation when it is stopped: it may be paid', async (_, cleared, then) => {
    await book(ledger, [entry(1)])
    const first = only(await claim(ledger, 1, { leaseMs: 0 }))
    if (cleared) await ledger.clear([first])
    await then(first)
    const again = only(await claim(ledger, 1))
    await ledger.players([change(again.task.userId, { restrictions: [SELF_EXCLUSION] })])
    expect(await clearOf(again)).toMatchObject({ kind: 'frozen' })
    expect(await ledger.budgets()).toMatchObject([{ reserved: 10n, spent: 0n }])
    await ledger.settle([paid(again.taskId)])
    expect(await ledger.budgets()).toMatchObject([{ reserved: 0n, spent: 10n, overrun: 0n }])
  })

  test('of what is known of a player the later counts, whatever comes last', async () => {
    const free = change('u_1', { kycLevel: 2 }, 7)
    const stopped = change('u_1', { restrictions: [SELF_EXCLUSION] }, 6)
    const older = { ...stopped, asOf: '2025-11-03T11:59:59.999Z', seq: 99 }
    const orders = [
      [free, stopped, older],
      [older, stopped, free],
      [stopped, free],
      [older, free, stopped],
    ]
    for (const [n, order] of orders.entries()) {
      const mine = order.map((one) => ({ ...one, userId: `x_${n}` }))
      if (n % 2 === 0) await ledger.players(mine)
      else for (const one of mine) await ledger.players([one])
    }
    expect(await bench.query(sql`SELECT DISTINCT kyc_level, restricted_until, seq FROM player_state`)).toEqual([
      { kyc_level: 2, restricted_until: null, seq: 7n },
    ])
  })
})

test('two sinks of which each pays from one pool and gives back to the other do not wait for each other', async () => {
  const two = [bench.open(), bench.open()] as const
  for (let round = 0; round < 10; round++) {
    const ofPool = (poolId: string, from: number) =>
      Array.from({ length: 20 }, (_, n) => entry(round * 40 + from + n, { poolId })).map(({ taskId }) => taskId)
    const [a, b] = [new Set(ofPool('a', 0)), new Set(ofPool('b', 20))]
    await book(
      bench.ledger,
      [...a, ...b].map((_, n) => entry(round * 40 + n, { poolId: n < 20 ? 'a' : 'b' })),
    )
    const claimed = await send(bench.ledger, 40)
    const [ofA, ofB] = [claimed.filter(({ taskId }) => a.has(taskId)), claimed.filter(({ taskId }) => b.has(taskId))]
    const settlements = (pays: typeof claimed, fails: typeof claimed) => [
      ...pays.map(({ taskId }) => paid(taskId)),
      ...fails.map((each) => failure(each, false)),
    ]
    await Promise.all([
      two[0].settle(settlements(ofA.slice(0, 10), ofB.slice(0, 10))),
      two[1].settle(settlements(ofB.slice(10), ofA.slice(10))),
    ])
  }
})
