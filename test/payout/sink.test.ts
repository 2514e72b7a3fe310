import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { OncewardError } from '../../core/errors.ts'
import { requestIdOf } from '../../core/ids.ts'
import type { RewardTask } from '../../core/model/reward.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import type { Log } from '../../core/ports/log.ts'
import type { Sink } from '../../pipeline/payout/sink.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { answering, type Bench, expectBudgetsAreSums, expectEachPaidOnce, openBench, settled } from './bench.ts'
import { eventually, quick, records, task, tasks, TOPICS } from './fixtures.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Starts the sink; a failure of it shows at the end of the test. */
function start(sink: Sink): Sink {
  const run = sink.run()
  run.catch(() => undefined)
  cleanups.push(async () => {
    await sink.stop()
    await run
  })
  return sink
}

describe.each(['memory', 'Postgres'] as const)('on %s', (kind) => {
  let postgres: TestPostgres | undefined
  beforeAll(async () => {
    if (kind === 'Postgres') postgres = await startTestPostgres()
  })
  afterAll(() => postgres?.stop())

  async function bench(faults: { failRate?: number; timeoutRate?: number } = {}): Promise<Bench> {
    return openBench(await postgres?.freshDatabase(), (cleanup) => cleanups.push(cleanup), faults)
  }

  test('a task is booked, paid, succeeded and counted in the budget', async () => {
    const b = await bench()
    const list = tasks(3)
    await b.topic.append(records(list))
    const sink = start(b.sink({ wallet: b.partner.wallet(30_000), leaseMs: 60_000 }))
    await eventually('three paid', () => settled(b, 3))
    await sink.stop()
    await expectEachPaidOnce(b, list)
    expect(sink.stats()).toMatchObject({ recorded: 3, succeeded: 3, calls: 3, inFlight: 0, lagRecords: 0 })
    // Nobody has declared the pools: they count, and bound nothing.
    const open = { period: 'all', budget: null, softCap: null, reserved: 0n, overrun: 0n }
    expect(await b.ledger.budgets()).toEqual([
      { ...open, poolId: 'daily_sprint', spent: 135n },
      { ...open, poolId: 'nov_season', spent: 10n },
    ])
  })

  test('each task is paid once by a partner that fails 10 % of the calls and never answers 5 %', async () => {
    const b = await bench({ failRate: 0.1, timeoutRate: 0.05 })
    const list = tasks(400)
    await b.topic.append(records(list))
    start(b.sink())
    await eventually('all paid', () => settled(b, 400))
    await expectEachPaidOnce(b, list)
    const { failed, timedOut, repeats } = b.partner
    expect(Math.min(failed, timedOut, repeats)).toBeGreaterThan(0)
  })

  test('two sinks share the work, and no task is called by both', async () => {
    const b = await bench()
    const list = tasks(600)
    let ready = 0
    const sinks = [1, 2].map((seed) => {
      const inner = b.openLedger()
      let claims = 0
      const claim: Ledger['claim'] = (request) => {
        if (++claims === 1) ready++
        return inner.claim(request)
      }
      const wallet = b.partner.wallet(30_000)
      return start(b.sink({ ledger: { ...inner, claim }, wallet, random: quick(seed).random, leaseMs: 60_000 }))
    })
    await eventually('both look for work', () => ready === 2)
    await b.topic.append(records(list))
    await eventually('all paid', () => settled(b, 600))
    await expectEachPaidOnce(b, list)
    expect(b.partner.calls).toBe(600)
    for (const sink of sinks) expect(sink.stats().succeeded).toBeGreaterThan(50)
  })

  test('tasks that are delivered again, at once or after their payment, are paid once', async () => {
    const b = await bench()
    const list = tasks(60)
    await b.topic.append(records([...list, ...list]))
    const sink = start(b.sink({ wallet: b.partner.wallet(30_000), leaseMs: 60_000 }))
    await eventually('all paid', () => settled(b, 60))
    await b.topic.append(records(list))
    await eventually('all read', async () => (await b.topic.committed('sink', TOPICS.rewards)) === 180)
    await eventually('all paid', () => settled(b, 60))
    await expectEachPaidOnce(b, list)
    expect(sink.stats()).toMatchObject({ recorded: 60, known: 120, calls: 60 })
  })

  /** A ledger whose bookings of outcomes wait at a gate, as in a process that stands still. */
  function gated(ledger: Ledger): { ledger: Ledger; waiting: () => number; open: () => void } {
    let open: () => void = () => undefined
    let waiting = 0
    const gate = new Promise<void>((done) => {
      open = done
    })
    const settle: Ledger['settle'] = async (settlements) => {
      waiting++
      await gate
      return ledger.settle(settlements)
    }
    return { ledger: { ...ledger, settle }, waiting: () => waiting, open }
  }

  test('a sink that dies between payment and booking: paid once at the partner, booked once, spent exact', async () => {
    const b = await bench()
    const list = tasks(40)
    await b.topic.append(records(list))
    const { ledger, waiting, open } = gated(b.openLedger())
    start(b.sink({ ledger, wallet: b.partner.wallet(30_000), leaseMs: 300, concurrency: 8 }))
    // Only for the end of the test: until then it is dead to everybody.
    cleanups.push(() => Promise.resolve(open()))
    await eventually('8 paid and none booked', () => b.partner.paid.size === 8 && waiting() > 0)
    await eventually('all read', async () => (await b.topic.committed('sink', TOPICS.rewards)) === 40)
    expect((await b.ledger.totals()).filter(({ status }) => status !== 'sent')).toMatchObject([{ status: 'reserved' }])
    expect(await b.ledger.outstanding()).toBe(40)
    start(b.sink({ wallet: b.partner.wallet(30_000), leaseMs: 60_000 }))
    await eventually('all paid', () => settled(b, 40))
    await expectEachPaidOnce(b, list)
    expect(b.partner.repeats).toBe(8)
  })

  test('a sink that wakes after its leases ended changes nothing', async () => {
    const b = await bench()
    const list = tasks(20)
    await b.topic.append(records(list))
    const { ledger, waiting, open } = gated(b.openLedger())
    const zombie = start(b.sink({ ledger, leaseMs: 200, concurrency: 4, stopGraceMs: 5_000 }))
    await eventually('some paid and none booked', () => b.partner.paid.size >= 4 && waiting() > 0)
    await eventually('all read', async () => (await b.topic.committed('sink', TOPICS.rewards)) === 20)
    start(b.sink())
    await eventually('all paid', () => settled(b, 20))
    const before = [await b.ledger.latest(20), await b.ledger.budgets()]
    open()
    await eventually('the zombie is heard', () => zombie.stats().superseded >= 4)
    expect([await b.ledger.latest(20), await b.ledger.budgets()]).toEqual(before)
    await expectEachPaidOnce(b, list)
  })

  test('a ledger that stays away ends the sink with a clear error, and nothing was acknowledged', async () => {
    const b = await bench()
    await b.topic.append(records(tasks(5)))
    const away = (): Promise<never> => Promise.reject(new OncewardError('ONCEWARD_E_LEDGER_UNAVAILABLE', 'gone'))
    const ledger: Ledger = { ...b.openLedger(), book: away, claim: away, reroute: () => Promise.resolve(0) }
    const sink = b.sink({ ledger, patience: { baseMs: 5, capMs: 20, giveUpMs: 150 } })
    await expect(sink.run()).rejects.toMatchObject({
      code: 'ONCEWARD_E_GAVE_UP',
      message: expect.stringMatching(/^gave up to .* after \d+ ms and \d+ tries: gone$/),
    })
    expect(await b.topic.committed('sink', TOPICS.rewards)).toBe(0)
  })

  test('what is no task goes to the DLQ with its reason, and the others are paid', async () => {
    const b = await bench()
    const bad = ['no JSON', '{"type":"reward_task.created"}', JSON.stringify(task(1, { reward: { type: 'cash' } }))]
    const broken = { topic: TOPICS.rewards, partition: 0, key: null, timestamp: 0 }
    const list = tasks(10)
    await b.topic.append(bad.map((value) => ({ ...broken, value })))
    await b.topic.append([{ ...broken, value: Buffer.from([0xff, 0xfe, 0x00]) }])
    await b.topic.append(records(list))
    start(b.sink())
    await eventually('all paid', () => settled(b, 10))
    await expectEachPaidOnce(b, list)
    const letters = await b.letters()
    expect(letters.map((letter) => letter.reason)).toEqual(['schema', 'schema', 'schema', 'schema'])
    expect(letters.map((letter) => letter.raw)).toEqual(expect.arrayContaining(bad))
    expect(letters.find((letter) => letter.raw_base64 !== undefined)?.raw_base64).toBe('//4A')
  })

  test.runIf(kind === 'Postgres')(
    'a task that the database cannot hold does not keep its batch from being paid',
    async () => {
      const b = await bench()
      // A time that JavaScript has and Postgres has not.
      const unbookable = JSON.stringify(task(0, { created_at: '-100000-01-01T00:00:00.000Z' }))
      const list = tasks(12).slice(1)
      await b.topic.append([{ topic: TOPICS.rewards, partition: 0, key: 'u_0', value: unbookable, timestamp: 0 }])
      await b.topic.append(records(list))
      start(b.sink())
      await eventually('all paid', () => settled(b, 11))
      await expectEachPaidOnce(b, list)
      expect(await b.letters()).toMatchObject([{ reason: 'schema', raw: unbookable, user_id: 'u_0' }])
    },
  )

  test('what the wallet refuses is failed in the ledger, costs nothing, and stands in the DLQ', async () => {
    const b = await bench()
    const list = tasks(9)
    await b.topic.append(records(list))
    const refused = new Set(list.slice(0, 3).map((one) => one.reward_task_id))
    const refusedIds = new Set([...refused].map(requestIdOf))
    const wallet = answering((id) =>
      refusedIds.has(id)
        ? { kind: 'refused', detail: 'HTTP 422: unknown player' }
        : { kind: 'paid', payoutId: `po_${id}`, status: 'succeeded' },
    )
    const sink = start(b.sink({ wallet }))
    await eventually('all ended', () => settled(b, 9))
    expect(wallet.calls).toHaveLength(9)
    const rows = await b.ledger.latest(9)
    expect(
      rows
        .filter((row) => row.status === 'failed')
        .map((row) => row.taskId)
        .toSorted(),
    ).toEqual([...refused].toSorted())
    expect(rows.find((row) => row.status === 'failed')?.failure).toBe('the wallet refused: HTTP 422: unknown player')
    await expectBudgetsAreSums(b.ledger)
    const byId = (one: RewardTask): object => ({ reason: 'payout', user_id: one.user_id, raw: JSON.stringify(one) })
    expect(await b.letters()).toHaveLength(3)
    expect(await b.letters()).toEqual(
      expect.arrayContaining(list.slice(0, 3).map((one) => expect.objectContaining(byId(one)))),
    )
    expect(sink.stats()).toMatchObject({ succeeded: 6, deadLettered: 3, retried: 0 })
  })

  test('a wallet that is away is called nine times for each task, then the task goes to the DLQ', async () => {
    const b = await bench()
    await b.topic.append(records(tasks(4)))
    const wallet = answering(() => ({ kind: 'unavailable', detail: 'HTTP 503' }))
    start(b.sink({ wallet }))
    await eventually('all ended', () => settled(b, 4))
    for (const one of tasks(4))
      expect(wallet.calls.filter((id) => id === requestIdOf(one.reward_task_id))).toHaveLength(9)
    expect(await b.letters()).toHaveLength(4)
    expect(await b.ledger.totals()).toMatchObject([{ status: 'failed', count: 4 }])
    expect((await b.ledger.budgets()).every((budget) => budget.spent === 0n)).toBe(true)
  })

  test('the letter stands in the DLQ before the ledger says failed', async () => {
    const b = await bench()
    await b.topic.append(records(tasks(5)))
    const inner = b.openLedger()
    const seen: number[] = []
    const settle: Ledger['settle'] = async (settlements) => {
      const letters = await b.letters()
      for (const { taskId } of settlements) seen.push(letters.filter((letter) => letter.raw.includes(taskId)).length)
      return inner.settle(settlements)
    }
    start(b.sink({ ledger: { ...inner, settle }, wallet: answering(() => ({ kind: 'refused', detail: 'no' })) }))
    await eventually('all ended', () => settled(b, 5))
    expect(seen).toEqual([1, 1, 1, 1, 1])
  })

  test('stop ends within its grace though the partner never answers, and the next sink need not wait for leases', async () => {
    const b = await bench({ timeoutRate: 1 })
    const list = tasks(50)
    await b.topic.append(records(list))
    const sink = b.sink({ wallet: b.partner.wallet(60_000), leaseMs: 600_000, stopGraceMs: 200 })
    const run = sink.run()
    await eventually('calls hang', () => sink.stats().inFlight === 16 && sink.stats().recorded === 50)
    const began = performance.now()
    await sink.stop()
    await run
    expect(performance.now() - began).toBeLessThan(2_000)
    expect(await b.ledger.outstanding()).toBe(50)
    const free = await b.ledger.claim({ owner: 'test', partner: 'wallet', limit: 100, leaseMs: 600_000 })
    expect(free.map((claimed) => claimed.attempts)).toEqual(Array.from({ length: 50 }, () => 0))
    await b.ledger.settle(free.map(({ taskId, claim }) => ({ kind: 'released', taskId, claim })))
    start(
      b.sink({ wallet: answering((id) => ({ kind: 'paid', payoutId: id, status: 'succeeded' })), leaseMs: 600_000 }),
    )
    await eventually('all paid', () => settled(b, 50), 5_000)
    expect(await b.ledger.totals()).toMatchObject([{ status: 'succeeded', count: 50 }])
  })

  test('stop ends within its grace though the log never answers, and the next sink pays each task once', async () => {
    const b = await bench()
    const list = tasks(20)
    await b.topic.append(records(list))
    let asked = 0
    const consumer: Log['consumer'] = (options) => {
      const inner = b.topic.log.consumer(options)
      const commit = (): Promise<void> => {
        asked += 1
        return new Promise(() => undefined)
      }
      return { run: (handler) => inner.run(handler), stop: () => inner.stop(), commit }
    }
    const silent = new Proxy(b.topic.log, {
      get: (log, name: keyof Log) => (name === 'consumer' ? consumer : log[name].bind(log)),
    })
    const sink = b.sink({ log: silent, stopGraceMs: 200 })
    const run = sink.run()
    await eventually('the log is asked', () => asked > 0)
    await sink.stop()
    await run
    expect(await b.topic.committed('sink', TOPICS.rewards)).toBe(0)
    start(b.sink())
    await eventually('all paid', () => settled(b, 20))
    await expectEachPaidOnce(b, list)
  })

  test('a sink that was stopped before it ran does not start, and stop may be called twice', async () => {
    const b = await bench()
    const sink = b.sink()
    await sink.stop()
    await sink.run()
    await sink.stop()
    expect(sink.stats().recorded).toBe(0)
  })

  test('however long the outbox, a sink holds at most twice its concurrency', async () => {
    const b = await bench()
    await b.topic.append(records(tasks(300)))
    const inner = b.openLedger()
    let held = 0
    let heldMax = 0
    const ledger: Ledger = {
      ...inner,
      async claim(request) {
        const claimed = await inner.claim(request)
        held += claimed.length
        heldMax = Math.max(heldMax, held)
        return claimed
      },
      async settle(settlements) {
        const changed = await inner.settle(settlements)
        held -= settlements.length
        return changed
      },
    }
    start(b.sink({ ledger, concurrency: 5 }))
    await eventually('all paid', () => settled(b, 300))
    expect(heldMax).toBeGreaterThan(5)
    expect(heldMax).toBeLessThanOrEqual(10)
  })

  test.runIf(kind === 'Postgres')(
    'Postgres restarts while rewards are booked and paid: nothing is lost, nothing is paid twice',
    async () => {
      const b = await bench()
      const list = tasks(500)
      await b.topic.append(records(list.slice(0, 250)))
      const sink = start(b.sink())
      await eventually('some paid', () => sink.stats().succeeded >= 30)
      await postgres?.restart(async () => {
        await b.topic.append(records(list.slice(250)))
        await sleep(300)
      })
      await eventually('all paid', () => settled(b, 500))
      await expectEachPaidOnce(b, list)
    },
  )
})
