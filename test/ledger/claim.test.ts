import { sql } from '@databases/pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { UNROUTED } from '../../core/model/partner.ts'
import { openDatabase } from '../../connectors/ledger/database.ts'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { claimStatement, claimTurnStatement } from '../../connectors/ledger/pay-statements.ts'
import { OncewardError } from '../../core/errors.ts'
import type { ClaimedTask, Ledger, LedgerTask } from '../../core/ports/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import {
  admit,
  book,
  claim,
  created,
  entries,
  entry,
  eventually,
  expectInvariants,
  only,
  openWorkbench,
  paid,
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

test('by partner it tells how long what is due has waited, whoever the partner was', async () => {
  await book(ledger, [...entries(2), entry(2, { partner: 'gone' })])
  await claim(ledger, 2)
  await bench.query(sql`UPDATE reward_outbox SET available_at = now() - interval '1 hour' WHERE partner = 'gone'`)
  expect(await ledger.waiting()).toMatchObject([{ partner: 'gone', tasks: 1 }])
  expect(only(await ledger.waiting()).longestMs).toBeGreaterThanOrEqual(3_600_000)
})

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
    for (const late of verdicts(first)) expect(await ledger.settle([late])).toEqual(none)
    expect(await claim(ledger, 1)).toEqual([])
    expect(await bench.status(first)).toBe('reserved')
    for (const kind of ['retry', 'released'] as const) {
      const mine = verdicts(only(again)).filter((one) => one.kind === kind)
      expect((await ledger.settle(mine)).changed).toEqual(new Set([taskId]))
      again = await claim(ledger, 1)
      expect(again).toMatchObject([{ taskId, attempts: 1 }])
    }
  })
})

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

  const holds = [{ by: 'large_prize', detail: 'it is' }]
  /** As a person lets go of what is held. */
  const letGo = async (): Promise<void> => {
    await bench.query(sql`UPDATE reward_hold SET decision = 'approved', decided_by = 'anna', decided_at = now()`)
    await bench.query(sql`UPDATE reward_ledger SET status = 'reserved', reserves = true WHERE status = 'held'`)
    await bench.query(sql`
      INSERT INTO reward_outbox SELECT id, partner, user_id, ordered FROM reward_ledger WHERE threshold = 1`)
  }

  test('does not get an older one, let go late, while a newer one is under way', async () => {
    await book(ledger, [{ ...ordered(1, 'a'), holds }, ordered(2, 'a')])
    const newer = only(await claim(ledger, 9))
    await letGo()
    expect(await claim(ledger, 9)).toEqual([])
    await ledger.settle([paid(newer.taskId)])
    expect(only(await claim(ledger, 9)).taskId).toBe(ordered(1, 'a').taskId)
  })

  test('nor at the very moment at which another sink claims the newer one', async () => {
    await book(ledger, [{ ...ordered(1, 'a'), holds }, ordered(2, 'a')])
    const other = openDatabase({ url: bench.url, allowNonDurable: true })
    let second: readonly ClaimedTask[] | undefined
    const first = await other.write(async (run) => {
      await run(claimTurnStatement('wallet'))
      const rows = await run(claimStatement({ owner: 'other', partner: 'wallet', limit: 9, leaseMs: 60_000 }))
      await letGo()
      void claim(ledger, 9).then((claimed) => (second = claimed))
      await eventually('the second claimer waits, or has claimed', async () => {
        const waiting = await bench.query(sql`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)
        return waiting.length > 0 || second !== undefined
      })
      return rows
    })
    await eventually('the second claimer is through', () => Promise.resolve(second !== undefined))
    expect([first.length, second]).toEqual([1, []])
    await other.close()
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

describe('tasks of a partner that is not configured any more', () => {
  const route = new Map([
    ['bonus_cash', { partner: 'bank', ordered: true }],
    ['*', { partner: 'rest', ordered: false }],
  ])

  test('go to the partner of their type, and those of configured ones stay', async () => {
    await book(ledger, [entry(1, { partner: 'old' }), entry(2, { partner: 'old', type: 'loot' }), entry(3)])
    expect(await ledger.reroute({ known: ['wallet', 'bank', 'rest'] }, route)).toBe(2)
    expect(await ledger.reroute({ known: ['wallet', 'bank', 'rest'] }, route)).toBe(0)
    expect(only(await claim(ledger, 9, { partner: 'bank' })).taskId).toBe(entry(1).taskId)
    expect(only(await claim(ledger, 9, { partner: 'rest' })).taskId).toBe(entry(2).taskId)
    expect(only(await claim(ledger, 9)).taskId).toBe(entry(3).taskId)
  })

  test('stay with it where only those are asked for that nobody has routed', async () => {
    await book(ledger, [entry(1, { partner: 'old' }), entry(2, { partner: UNROUTED, type: 'loot' })])
    expect(await ledger.reroute('unrouted', route)).toBe(1)
    expect(only(await claim(ledger, 9, { partner: 'rest' })).taskId).toBe(entry(2).taskId)
    expect(only(await claim(ledger, 9, { partner: 'old' })).taskId).toBe(entry(1).taskId)
  })

  test('stay where they are once they may have been sent: another partner would pay them again', async () => {
    await book(ledger, entries(3, { partner: 'old' }))
    const claimed = await claim(ledger, 2, { partner: 'old' })
    await ledger.clear(claimed.slice(0, 1))
    await ledger.settle(claimed.slice(1).flatMap((one) => verdicts(one).slice(0, 1)))
    expect(await ledger.reroute({ known: ['bank', 'rest'] }, route)).toBe(1)
    expect(await claim(ledger, 9, { partner: 'bank' })).toHaveLength(1)
  })

  test('are lost to whoever had claimed them', async () => {
    await book(ledger, [entry(1, { partner: 'old' })])
    const claimed = only(await claim(ledger, 1, { partner: 'old' }))
    await ledger.reroute({ known: ['bank', 'rest'] }, route)
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
