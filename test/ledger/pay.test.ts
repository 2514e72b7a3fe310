import { sql } from '@databases/pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { OncewardError } from '../../core/errors.ts'
import type { ClaimedTask, Ledger, LedgerTask, Settlement } from '../../core/ports/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import {
  admit,
  book,
  change,
  claim,
  created,
  entries,
  entry,
  eventually,
  expectInvariants,
  expired,
  failure,
  frozen,
  openWorkbench,
  paid,
  POOL,
  SELF_EXCLUSION,
  send,
  terms,
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
const only = <T>(list: readonly T[]): T => {
  const [first] = list
  if (first === undefined || list.length > 1) throw new Error(`${list.length} where one was expected`)
  return first
}

describe('a claim', () => {
  test('gives the task as it was booked', async () => {
    const one = entry(300)
    await book(ledger, [one])
    const { taskId, userId, eventId, ruleId, threshold, reward, guardrails, source, raw } = one
    expect(only(await claim(ledger, 5))).toMatchObject({
      taskId,
      attempts: 0,
      task: { taskId, userId, eventId, ruleId, threshold, reward, guardrails, source, raw },
    })
  })

  test('at the same time as others never overlaps them', async () => {
    const three = [bench.open(), bench.open(), bench.open()]
    await book(ledger, entries(300))
    const claims = (await Promise.all([...three, ...three, ...three].map((one) => claim(one, 40)))).flat()
    expect(new Set(claims.map(({ taskId }) => taskId)).size).toBe(300)
    expect(new Set(claims.map((claimed) => claimed.claim)).size).toBe(300)
  })

  test('takes the tasks of its partner only', async () => {
    await book(ledger, [entry(1), entry(2, { partner: 'spins' })])
    expect(only(await claim(ledger, 9, { partner: 'spins' })).taskId).toBe(entry(2).taskId)
    expect(await claim(ledger, 9, { partner: 'nobody' })).toEqual([])
    expect(only(await claim(ledger, 9)).taskId).toBe(entry(1).taskId)
  })

  test('is free again when its lease ends, with another token, and the old one is worth nothing', async () => {
    await book(ledger, [entry(0)])
    const first = only(await claim(ledger, 1, { leaseMs: 150 }))
    expect(await claim(ledger, 1)).toEqual([])
    let again: readonly ClaimedTask[] = []
    await eventually('the lease ends', async () => {
      again = await claim(ledger, 1)
      return again.length > 0
    })
    const { taskId } = first
    expect(only(again)).toMatchObject({ taskId })
    expect(await ledger.clear([first])).toEqual(new Map([[taskId, { kind: 'lost' }]]))
    for (const late of withClaim(first)) expect(await ledger.settle([late])).toEqual(none)
    expect(await claim(ledger, 1)).toEqual([])
    expect(await bench.status(first)).toBe('reserved')
    for (const kind of ['retry', 'released'] as const) {
      const mine = withClaim(only(again)).filter((one) => one.kind === kind)
      expect((await ledger.settle(mine)).changed).toEqual(new Set([taskId]))
      again = await claim(ledger, 1)
      expect(again).toMatchObject([{ taskId, attempts: 1 }])
    }
  })
})

function withClaim({ taskId, claim: token }: ClaimedTask): Settlement[] {
  return [
    { kind: 'retry', taskId, claim: token, delayMs: 0, reason: 'late' },
    { kind: 'failed', taskId, claim: token, reason: 'late', inDoubt: false },
    { kind: 'released', taskId, claim: token },
  ]
}

describe('a partner that is ordered by player', () => {
  const ordered = (n: number, userId: string): LedgerTask => entry(n, { userId, ordered: true })

  test('gets a player’s tasks one after the other, in the order of the log', async () => {
    await book(ledger, [ordered(3, 'a'), ordered(1, 'a'), ordered(2, 'b'), ordered(0, 'a')])
    const order: number[] = []
    for (;;) {
      const claimed = await claim(ledger, 9)
      if (claimed.length === 0) break
      expect(new Set(claimed.map(({ task }) => task.userId)).size).toBe(claimed.length)
      order.push(...claimed.map(({ task }) => task.threshold ?? -1))
      await ledger.settle(claimed.map(({ taskId }) => paid(taskId)))
    }
    expect(order).toEqual([3, 2, 1, 0])
  })

  test('waits for one that is to be tried again later', async () => {
    await book(ledger, [ordered(1, 'a'), ordered(2, 'a'), entry(3, { userId: 'a' })])
    const first = (await claim(ledger, 9)).find(({ taskId }) => taskId === ordered(1, 'a').taskId)
    if (first === undefined) throw new Error('the first was not claimed')
    const retry = { kind: 'retry', ...first, delayMs: 60_000, reason: '503' } as const
    await ledger.settle([retry])
    expect(await claim(ledger, 9)).toEqual([])
  })

  test('does not get an older one, let go late, while a newer one is under way', async () => {
    const holds = [{ by: 'large_prize', detail: 'it is' }]
    await book(ledger, [{ ...ordered(1, 'a'), holds }, ordered(2, 'a')])
    const newer = only(await claim(ledger, 9))
    await bench.query(sql`
      UPDATE reward_hold SET decision = 'approved', decided_by = 'anna', decided_at = now()`)
    await bench.query(sql`UPDATE reward_ledger SET status = 'reserved', reserves = true WHERE status = 'held'`)
    await bench.query(sql`
      INSERT INTO reward_outbox SELECT id, partner, user_id, ordered FROM reward_ledger WHERE threshold = 1`)
    expect(await claim(ledger, 9)).toEqual([])
    await ledger.settle([paid(newer.taskId)])
    expect(only(await claim(ledger, 9)).taskId).toBe(ordered(1, 'a').taskId)
  })

  test('never has two of one player under way, however many claim at the same time', async () => {
    const players = 5
    const list = Array.from({ length: 120 }, (_, n) => ordered(n, `p_${n % players}`))
    const sinks = [bench.open(), bench.open(), bench.open(), bench.open()]
    const under = new Set<string>()
    const got = new Map<string, number[]>()
    let left = list.length
    const work = async (one: Ledger): Promise<void> => {
      while (left > 0) {
        for (const claimed of await claim(one, 3)) {
          const { userId, threshold } = claimed.task
          expect(under.has(userId), `${userId} has two under way`).toBe(false)
          under.add(userId)
          got.set(userId, [...(got.get(userId) ?? []), threshold ?? -1])
          await one.clear([claimed])
          under.delete(userId)
          await one.settle([paid(claimed.taskId)])
          left--
        }
      }
    }
    const booking = (async (): Promise<void> => {
      for (let n = 0; n < list.length; n += 10) await book(ledger, list.slice(n, n + 10))
    })()
    await Promise.all([booking, ...sinks.map(work)])
    expect(got.size).toBe(players)
    for (const order of got.values()) expect(order).toEqual(order.toSorted((a, b) => a - b))
  })
})

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
    ['was sent, and the sink died', async () => undefined],
    ['was called in vain', (one: ClaimedTask) => ledger.settle(withClaim(one).slice(0, 1))],
    ['was given back', (one: ClaimedTask) => ledger.settle(withClaim(one).slice(2))],
  ])('one that %s keeps its reservation when it is stopped: it may be paid', async (_, then) => {
    await book(ledger, [entry(1)])
    const first = only(await claim(ledger, 1, { leaseMs: 0 }))
    await ledger.clear([first])
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

describe('tasks of a partner that is not configured any more', () => {
  const route = new Map([
    ['bonus_cash', { partner: 'bank', ordered: true }],
    ['*', { partner: 'rest', ordered: false }],
  ])

  test('go to the partner of their type, and those of configured ones stay', async () => {
    await book(ledger, [entry(1, { partner: 'old' }), entry(2, { partner: 'old', type: 'loot' }), entry(3)])
    expect(await ledger.reroute(['wallet', 'bank', 'rest'], route)).toBe(2)
    expect(await ledger.reroute(['wallet', 'bank', 'rest'], route)).toBe(0)
    expect(only(await claim(ledger, 9, { partner: 'bank' })).taskId).toBe(entry(1).taskId)
    expect(only(await claim(ledger, 9, { partner: 'rest' })).taskId).toBe(entry(2).taskId)
    expect(only(await claim(ledger, 9)).taskId).toBe(entry(3).taskId)
  })

  test('stay where they are once they may have been sent: another partner would pay them again', async () => {
    await book(ledger, entries(3, { partner: 'old' }))
    const claimed = await claim(ledger, 2, { partner: 'old' })
    await ledger.clear(claimed.slice(0, 1))
    await ledger.settle(claimed.slice(1).flatMap((one) => withClaim(one).slice(0, 1)))
    expect(await ledger.reroute(['bank', 'rest'], route)).toBe(1)
    expect(await claim(ledger, 9, { partner: 'bank' })).toHaveLength(1)
  })

  test('are lost to whoever had claimed them', async () => {
    await book(ledger, [entry(1, { partner: 'old' })])
    const claimed = only(await claim(ledger, 1, { partner: 'old' }))
    await ledger.reroute(['bank', 'rest'], route)
    expect((await ledger.clear([claimed])).get(claimed.taskId)).toEqual({ kind: 'lost' })
  })
})

test('two processes may migrate at once, and again later', async () => {
  const fresh = await openWorkbench(postgres, { migrate: false })
  const two = [fresh.open(), fresh.open()]
  await Promise.all(two.map((one) => one.migrate()))
  await Promise.all(two.map((one) => one.migrate()))
  expect(await fresh.ledger.totals()).toEqual([])
  await fresh.close()
})

test('a database that is not there is unavailable, one that does not let us in refuses', async () => {
  const fail = async (edit: (url: URL) => void): Promise<unknown> => {
    const wrong = new URL(bench.url)
    edit(wrong)
    const other = openPostgresLedger({ url: wrong.href })
    const error = await other.outstanding().catch((thrown: unknown) => thrown)
    await other.close()
    return error instanceof OncewardError ? error.code : error
  }
  expect(await fail((wrong) => (wrong.port = '9'))).toBe('ONCEWARD_E_LEDGER_UNAVAILABLE')
  expect(await fail((wrong) => (wrong.password = 'wrong'))).toBe('ONCEWARD_E_LEDGER_REFUSED')
  expect(await fail((wrong) => (wrong.pathname = '/none'))).toBe('ONCEWARD_E_LEDGER_REFUSED')
})

test('a created task that was booked is known to all', async () => {
  await ledger.book([created(entry(1))], admit)
  expect(await bench.open().book([created(entry(1))], admit)).toMatchObject({ recorded: 0, known: 1 })
})
