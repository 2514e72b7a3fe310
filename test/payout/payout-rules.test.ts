/** What the sink as a whole does with players, pools and partners. */
import { isDeepStrictEqual } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { requestIdOf } from '../../core/ids.ts'
import { NO_POLICY, type PayoutPolicy, type PoolPolicy } from '../../core/model/policy.ts'
import type { RewardTask } from '../../core/model/reward.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import type { OutRecord } from '../../core/ports/log.ts'
import type { CreditOutcome, Wallet } from '../../core/ports/wallet.ts'
import type { Sink, SinkOptions } from '../../pipeline/payout/sink.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { answering, type Bench, openBench, partnerOf, PAYING, settled } from './bench.ts'
import { eventually, PARTITIONS, records, task, tasks, TOPICS } from './fixtures.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function start(sink: Sink): Sink {
  const run = sink.run()
  run.catch(() => undefined)
  cleanups.push(async () => {
    await sink.stop()
    await run
  })
  return sink
}

function record(user: string, value: object): OutRecord {
  const partition = partitionOf(user, PARTITIONS['reward.tasks'])
  return { topic: TOPICS.rewards, partition, key: user, value: JSON.stringify(value), timestamp: 0 }
}

let changes = 0
/** `untilMs`: from now; null: until it is lifted; undefined: nothing is in force. */
function player(user: string, { untilMs, level = 2 }: { untilMs?: number | null; level?: number }): OutRecord {
  const now = systemClock.now()
  const time = (ms: number): string => new Date(ms).toISOString()
  const until = untilMs === undefined || untilMs === null ? null : time(now + untilMs)
  return record(user, {
    type: 'player.changed',
    user_id: user,
    kyc_level: level,
    restrictions: untilMs === undefined ? [] : [{ kind: 'self_exclusion', since: time(now), until }],
    as_of: time(now),
    seq: ++changes,
    event_id: null,
  })
}

const POOL: PoolPolicy = {
  poolId: 'nov_season',
  budget: 1_000n,
  softCap: undefined,
  period: 'all',
  timeZone: 'UTC',
  from: undefined,
  until: undefined,
  geo: undefined,
  whenClosed: 'dlq',
  breakerPercent: 90,
  largePrize: undefined,
  reviewFrom: undefined,
}

function policyOf(pool: Partial<PoolPolicy>, change: Partial<PayoutPolicy> = {}): Pick<SinkOptions, 'policyAt'> {
  const pools = new Map([['nov_season', { ...POOL, ...pool }]])
  return { policyAt: () => ({ policy: { ...NO_POLICY, version: '1', pools, ...change }, effectiveFrom: undefined }) }
}

const worth = (n: number, amount: number, change: Partial<RewardTask> = {}): RewardTask =>
  task(n, { pool_id: 'nov_season', reward: { type: 'bonus_cash', amount, currency: 'EUR' }, guardrails: {}, ...change })

const ONE = task(1)
const USER = ONE.user_id

describe.each(['memory', 'Postgres'] as const)('on %s', (kind) => {
  let postgres: TestPostgres | undefined
  beforeAll(async () => {
    if (kind === 'Postgres') postgres = await startTestPostgres()
  })
  afterAll(() => postgres?.stop())

  const bench = async (): Promise<Bench> =>
    openBench(await postgres?.freshDatabase(), (cleanup) => cleanups.push(cleanup))

  async function statuses({ ledger }: Bench): Promise<Record<string, number>> {
    return Object.fromEntries((await ledger.totals()).map(({ status, count }) => [status, count]))
  }

  const became = (b: Bench, expected: Record<string, number>): Promise<void> =>
    eventually(`the ledger holds ${JSON.stringify(expected)}`, async () => {
      const found = await statuses(b)
      return isDeepStrictEqual(found, expected)
    })

  test('a self-exclusion that comes after the task and before the call stops the money; lifted, it is paid once', async () => {
    const b = await bench()
    await b.topic.append([...records([ONE]), player(USER, { untilMs: null })])
    const sink = start(b.sink())
    await became(b, { frozen: 1 })
    expect(b.partner.calls).toBe(0)
    expect(await b.letters()).toEqual([])
    expect((await b.ledger.budgets()).every(({ reserved, spent }) => reserved === 0n && spent === 0n)).toBe(true)
    await b.topic.append([player(USER, {})])
    await became(b, { succeeded: 1 })
    expect(sink.stats()).toMatchObject({ stopped: 1, thawed: 1, succeeded: 1, calls: 1, deadLettered: 0 })
  })

  test('a restriction that ends by itself lets it go then', async () => {
    const b = await bench()
    await b.topic.append([...records([ONE]), player(USER, { untilMs: 700 })])
    start(b.sink())
    await became(b, { frozen: 1 })
    await became(b, { succeeded: 1 })
    expect(b.partner.calls).toBe(1)
  })

  test('a level that has fallen since stops it, a level that is enough does not', async () => {
    const b = await bench()
    const other = task(2)
    await b.topic.append([...records([ONE, other]), player(USER, { level: 1 }), player(other.user_id, { level: 2 })])
    start(b.sink())
    await became(b, { frozen: 1, succeeded: 1 })
    await b.topic.append([player(USER, { level: 2 })])
    await became(b, { succeeded: 2 })
  })

  test('a player who is excluded between two calls stops the second, and what may be paid stays set aside', async () => {
    const b = await bench()
    let excluded = false
    const wallet: Wallet = {
      async credit({ requestId }) {
        if (excluded) return PAYING(requestId)
        excluded = true
        await b.topic.append([player(USER, { untilMs: null })])
        await eventually('the sink knows', async () => (await b.topic.committed('sink', TOPICS.rewards)) === 2)
        return { kind: 'unavailable', detail: 'no answer' }
      },
      close: () => Promise.resolve(),
    }
    await b.topic.append(records([ONE]))
    const sink = start(b.sink({ wallet, leaseMs: 60_000 }))
    await became(b, { frozen: 1 })
    expect(sink.stats().calls).toBe(1)
    expect(await b.ledger.budgets()).toMatchObject([{ reserved: 135n, spent: 0n }])
    await b.topic.append([player(USER, {})])
    await became(b, { succeeded: 1 })
    expect(await b.ledger.budgets()).toMatchObject([{ reserved: 0n, spent: 135n }])
  })

  test('what the stream has frozen waits for the stream: released it is paid, expired it never is', async () => {
    const b = await bench()
    const [one, two] = [task(1), task(2)]
    const reasons = [{ gate: 'kyc', required: 2, level: 0 }]
    const frozen = (of: RewardTask): object => ({ ...of, type: 'reward_task.frozen', status: 'frozen', reasons })
    await b.topic.append([record(one.user_id, frozen(one)), record(two.user_id, frozen(two))])
    const sink = start(b.sink())
    await became(b, { frozen: 2 })
    await b.topic.append([
      record(one.user_id, { ...one, released_at: '2025-11-04T00:00:00Z' }),
      record(two.user_id, {
        ...two,
        type: 'reward_task.expired',
        status: 'expired',
        expired_at: '2025-12-03T00:00:00Z',
      }),
    ])
    await became(b, { succeeded: 1, expired: 1 })
    expect([...b.partner.paid.keys()]).toEqual([requestIdOf(one.reward_task_id)])
    expect(sink.stats()).toMatchObject({ recorded: 2, frozen: 2, known: 2 })
  })

  test('a pool gives no more than it has; what it lacks goes to the DLQ, again when it is delivered again', async () => {
    const b = await bench()
    const list = Array.from({ length: 30 }, (_, n) => worth(n, 1.5))
    await b.topic.append(records(list))
    const sink = start(b.sink(policyOf({})))
    await became(b, { succeeded: 6, failed: 24 })
    const pool = { poolId: 'nov_season', period: 'all', budget: 1_000n, spent: 900n, reserved: 0n, overrun: 0n }
    expect(await b.ledger.budgets()).toMatchObject([pool])
    await eventually('the letters stand', async () => (await b.letters()).length === 24)
    const letters = await b.letters()
    expect(letters.every(({ reason }) => reason === 'budget_closed')).toBe(true)
    expect(letters[0]?.detail).toMatch(/^pool nov_season has \d\.\d\d of 10\.00 left, and the reward costs 1\.50$/)
    await b.topic.append(records(list))
    await eventually('all read', async () => (await b.topic.committed('sink', TOPICS.rewards)) === 60)
    expect(await b.letters()).toHaveLength(48)
    expect(await statuses(b)).toEqual({ succeeded: 6, failed: 24 })
    expect(await b.ledger.budgets()).toMatchObject([pool])
    expect(sink.stats()).toMatchObject({ recorded: 30, known: 30, refused: 48, deadLettered: 0, calls: 6 })
  })

  test('four sinks on one pool: spent and reserved never get above the cap', async () => {
    const b = await bench()
    const list = Array.from({ length: 200 }, (_, n) => worth(n, 0.25))
    for (let n = 0; n < 4; n++) start(b.sink({ ...policyOf({}), group: `sink` }))
    const over: bigint[] = []
    await b.topic.append(records(list))
    await eventually('all ended', async () => {
      for (const { spent, reserved } of await b.ledger.budgets()) if (spent + reserved > 1_000n) over.push(spent)
      return settled(b, 200)
    })
    expect(over).toEqual([])
    expect(await statuses(b)).toEqual({ succeeded: 40, failed: 160 })
    expect(b.partner.paid.size).toBe(40)
  })

  test('what is held waits for a person: a large prize near the end of the pool, one that is always reviewed, no rate', async () => {
    const b = await bench()
    const lira = { type: 'bonus_cash', amount: 1, currency: 'TRY' }
    await b.topic.append(records([worth(1, 1), worth(2, 6), worth(3, 7), worth(4, 1, { reward: lira })]))
    const sink = start(
      b.sink(policyOf({ breakerPercent: 50, largePrize: 500n, reviewFrom: 700n }, { currency: 'EUR' })),
    )
    await became(b, { succeeded: 1, held: 3 })
    expect(b.partner.calls).toBe(1)
    expect(sink.stats()).toMatchObject({ held: 3 })
    expect(await b.letters()).toEqual([])
  })

  test('a partner that is down holds up no other, burns no tries while it is left alone, and pays once it is back', async () => {
    const b = await bench()
    let [down, calls] = [true, 0]
    const games: Wallet = {
      credit: ({ requestId }) => {
        calls++
        return Promise.resolve<CreditOutcome>(down ? { kind: 'unavailable', detail: 'HTTP 503' } : PAYING(requestId))
      },
      close: () => Promise.resolve(),
    }
    const states: string[] = []
    await b.topic.append(records(tasks(90)))
    const sink = start(
      b.sink({
        partners: [partnerOf(b.partner.wallet()), partnerOf(games, { name: 'games', types: ['fs'], concurrency: 2 })],
        breaker: { inRowMax: 3, windowCalls: 100, failureShare: 1, waitMs: 300, waitMsMax: 300 },
        retry: { retriesMax: 8, baseMs: 1, capMs: 2 },
        metrics: { breaker: (partner, state) => void (partner === 'games' && states.push(state)) },
      }),
    )
    await eventually('the others are paid', async () => (await statuses(b))['succeeded'] === 60)
    await eventually('a trial has failed', () => states.join(' ').endsWith('half-open open'))
    const trials = states.filter((state) => state === 'half-open').length
    // Those that opened it, those that were under way by then, and the trials.
    expect(calls).toBeLessThanOrEqual(3 + 2 + trials)
    expect(sink.stats().deadLettered).toBe(0)
    down = false
    await eventually('all paid', () => settled(b, 90))
    expect(await statuses(b)).toEqual({ succeeded: 90 })
    expect(states[0]).toBe('closed')
    expect(states.at(-1)).toBe('closed')
  })

  test("one player's orders go one after the other where the partner wants it", async () => {
    const b = await bench()
    const list = Array.from({ length: 40 }, (_, n) => task(n * 97 + (n % 2)))
    const under = new Map<string, number>()
    const order: string[] = []
    let both = 0
    const wallet: Wallet = {
      async credit({ requestId, userId }) {
        const now = (under.get(userId) ?? 0) + 1
        under.set(userId, now)
        both = Math.max(both, now)
        order.push(requestId)
        await systemClock.sleep(2)
        under.set(userId, now - 1)
        // Each is tried twice: the second of a player must wait for the second try of the first.
        return order.filter((id) => id === requestId).length === 1
          ? { kind: 'unavailable', detail: 'once more' }
          : PAYING(requestId)
      },
      close: () => Promise.resolve(),
    }
    await b.topic.append(records(list))
    start(b.sink({ partners: [partnerOf(wallet, { orderedByPlayer: true, leaseMs: 60_000 })] }))
    await eventually('all paid', () => settled(b, 40))
    expect(both).toBe(1)
    for (const user of ['u_0', 'u_1']) {
      const ids = list
        .filter(({ user_id }) => user_id === user)
        .map(({ reward_task_id }) => requestIdOf(reward_task_id))
      expect(order.filter((id) => ids.includes(id))).toEqual(ids.flatMap((id) => [id, id]))
    }
  })

  test('a partner that answers one request id in two ways raises the alarm, and the first answer stands', async () => {
    const b = await bench()
    const inner = b.openLedger()
    const settle: Ledger['settle'] = async (settlements) => {
      const first = await inner.settle(settlements)
      const other = settlements.map((one) => (one.kind === 'succeeded' ? { ...one, payoutId: 'another' } : one))
      return { ...first, differing: (await inner.settle(other)).differing }
    }
    const alarms: number[] = []
    await b.topic.append(records([ONE]))
    const metrics = { differing: (rewards: number) => void alarms.push(rewards) }
    const sink = start(b.sink({ ledger: { ...inner, settle }, wallet: answering(PAYING), metrics }))
    await eventually('the alarm', () => sink.stats().differing === 1)
    expect(alarms).toEqual([1])
    expect(await b.ledger.latest(1)).toMatchObject([{ payoutId: `po_${requestIdOf(ONE.reward_task_id)}` }])
  })

  test('a refusal by a sink that does not know of a call before it leaves the reward in doubt', async () => {
    const b = await bench()
    await b.topic.append(records([ONE]))
    const dead = b.openLedger()
    // It dies after its call: nothing of it is booked.
    const silent: Ledger = { ...dead, settle: () => new Promise(() => undefined) }
    const first = b.sink({ ledger: silent, wallet: b.partner.wallet(), leaseMs: 300, stopGraceMs: 50 })
    void first.run()
    await eventually('paid', () => b.partner.paid.size === 1)
    start(b.sink({ wallet: answering(() => ({ kind: 'refused', detail: 'HTTP 409: known' })) }))
    await became(b, { failed: 1 })
    expect(await b.ledger.budgets()).toMatchObject([{ reserved: 135n, spent: 0n }])
  })

  test('what waits for a partner that is gone goes to the one that pays its type now', async () => {
    const b = await bench()
    await b.topic.append(records(tasks(9)))
    const away = answering(() => ({ kind: 'unavailable', detail: 'away' }))
    const before = b.sink({
      partners: [partnerOf(away, { name: 'old', types: ['fs'] }), partnerOf(b.partner.wallet())],
      ledger: { ...b.openLedger(), claim: () => Promise.resolve([]) },
    })
    const run = before.run()
    await eventually('all booked', async () => (await statuses(b))['reserved'] === 9)
    await before.stop()
    await run
    start(b.sink())
    await became(b, { succeeded: 9 })
    expect(away.calls).toEqual([])
  })

  test('what may have been sent to a partner that is gone is given to no other: it would be paid again', async () => {
    const b = await bench()
    await b.topic.append(records([ONE]))
    const silent: Wallet = {
      async credit(_, signal) {
        await systemClock.sleep(60_000, signal)
        return { kind: 'unavailable', detail: 'no answer' }
      },
      close: () => Promise.resolve(),
    }
    const before = b.sink({ partners: [partnerOf(silent, { name: 'old', leaseMs: 60_000 })], stopGraceMs: 50 })
    const run = before.run()
    await became(b, { sent: 1 })
    await before.stop()
    await run
    const after = start(b.sink())
    await b.topic.append(records([task(2)]))
    await became(b, { sent: 1, succeeded: 1 })
    expect([...b.partner.paid.keys()]).toEqual([requestIdOf(task(2).reward_task_id)])
    expect(after.stats().calls).toBe(1)
  })
})
