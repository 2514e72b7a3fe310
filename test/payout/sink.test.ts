import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { type Partner, startPartner } from '../../connectors/partner/partner.ts'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import { systemClock } from '../../core/clock.ts'
import type { RewardTask } from '../../core/model/reward.ts'
import { sumMoney } from '../../core/money.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import type { Wallet } from '../../core/ports/wallet.ts'
import { createSink, type Sink, type SinkOptions } from '../../pipeline/payout/sink.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { fakeLog, type FakeLog } from './fake-log.ts'
import { eventually, PARTITIONS, quick, records, SECRET, task, tasks, TOPICS } from './fixtures.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Bench {
  readonly url: string
  readonly fake: FakeLog
  readonly partner: Partner
  /** Reads only, for the test's own eyes. */
  readonly ledger: Ledger
  wallet(timeoutMs?: number): Wallet
  sink(change?: Partial<SinkOptions>): Sink
}

async function bench(faults: { failRate?: number; timeoutRate?: number } = {}): Promise<Bench> {
  const url = await postgres.freshDatabase()
  const fake = fakeLog(PARTITIONS)
  const partner = await startPartner({ secret: SECRET, clock: systemClock, seed: 7, ...faults })
  cleanups.push(() => partner.stop())
  const open = (): Ledger => {
    const ledger = openPostgresLedger({ url })
    cleanups.push(() => ledger.close())
    return ledger
  }
  const wallet = (timeoutMs = 200): Wallet => {
    const made = httpWallet({ url: partner.url, secret: SECRET, clock: systemClock, timeoutMs })
    cleanups.push(() => made.close())
    return made
  }
  const ledger = open()
  await ledger.migrate()
  const sink = (change: Partial<SinkOptions> = {}): Sink => {
    const made = createSink({ ...quick(), log: fake.log, ledger: open(), wallet: wallet(), ...change })
    cleanups.push(() => made.stop())
    return made
  }
  return { url, fake, partner, ledger, wallet, sink }
}

/** Every task once in the ledger, once at the partner, and the budget is the ledger's sum. */
async function expectEachPaidOnce({ ledger, partner }: Bench, expected: readonly RewardTask[]): Promise<void> {
  const ids = expected.map((one) => one.reward_task_id).toSorted()
  const rows = await ledger.latest(expected.length + 10)
  expect(rows.map((row) => row.taskId).toSorted()).toEqual(ids)
  expect(new Set(rows.map((row) => row.status))).toEqual(new Set(['succeeded']))
  expect(partner.payouts().toSorted()).toEqual(ids)
  expect(partner.stats().differing_repeats).toBe(0)
  expect(partner.stats().bad_signatures).toBe(0)
  await expectBudgetsAreSums(ledger)
}

async function expectBudgetsAreSums(ledger: Ledger): Promise<void> {
  const rows = (await ledger.latest(100_000)).filter((row) => row.status === 'succeeded')
  for (const budget of await ledger.budgets()) {
    expect(budget.spent).toBe(sumMoney(rows.filter((row) => row.poolId === budget.poolId).map((row) => row.cost)))
  }
}

async function settled({ ledger }: Bench, rows: number): Promise<boolean> {
  const totals = await ledger.totals()
  return totals.reduce((sum, total) => sum + total.count, 0) === rows && (await ledger.outstanding()) === 0
}

test('a task is booked, paid, succeeded and counted in the budget', async () => {
  const b = await bench()
  const list = tasks(3)
  b.fake.append(records(list))
  const sink = b.sink()
  const run = sink.run()
  await eventually('three paid', () => settled(b, 3))
  await sink.stop()
  await run
  await expectEachPaidOnce(b, list)
  expect(sink.stats()).toMatchObject({ recorded: 3, succeeded: 3, calls: 3, inFlight: 0 })
  expect(await b.ledger.budgets()).toEqual([
    { poolId: 'daily_sprint', period: 'all', budget: 8_000_000n, spent: 135n },
    { poolId: 'nov_season', period: 'all', budget: 8_000_000n, spent: 10n },
  ])
  expect(b.partner.stats().amounts).toEqual({ 'bonus_cash EUR': '0.10', fs: '10.00', loot: '0.00' })
})
