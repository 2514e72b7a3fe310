/** A sink with everything around it: a topic, a database, a partner. */
import { expect } from 'vitest'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { type Partner, startPartner } from '../../connectors/partner/partner.ts'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import { systemClock } from '../../core/clock.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import type { RewardTask } from '../../core/model/reward.ts'
import { sumMoney } from '../../core/money.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import type { Wallet } from '../../core/ports/wallet.ts'
import { createSink, type Sink, type SinkOptions } from '../../pipeline/payout/sink.ts'
import { openTestLog, type TestLog } from './test-log.ts'
import { PARTITIONS, quick, SECRET, TOPICS } from './fixtures.ts'

export interface Bench {
  readonly topic: TestLog
  readonly partner: Partner
  /** For the test's own eyes. */
  readonly ledger: Ledger
  /** One more, of another process. */
  openLedger(): Ledger
  wallet(timeoutMs?: number): Wallet
  sink(change?: Partial<SinkOptions>): Sink
  letters(): Promise<DlqRecord[]>
}

type Cleanup = (cleanup: () => Promise<void>) => void

export async function openBench(
  url: string,
  cleanup: Cleanup,
  faults: { failRate?: number; timeoutRate?: number } = {},
): Promise<Bench> {
  const topic = await openTestLog(PARTITIONS)
  cleanup(() => topic.close())
  const partner = await startPartner({ secret: SECRET, clock: systemClock, seed: 7, ...faults })
  cleanup(() => partner.stop())
  const openLedger = (): Ledger => {
    const ledger = openPostgresLedger({ url, allowNonDurable: true })
    cleanup(() => ledger.close())
    return ledger
  }
  const wallet = (timeoutMs = 200): Wallet => {
    const made = httpWallet({ url: partner.url, secret: SECRET, clock: systemClock, timeoutMs })
    cleanup(() => made.close())
    return made
  }
  const ledger = openLedger()
  await ledger.migrate()
  return {
    topic,
    partner,
    ledger,
    openLedger,
    wallet,
    sink: (change = {}) =>
      createSink({ ...quick(), log: topic.log, ledger: openLedger(), wallet: wallet(), ...change }),
    letters: async () =>
      (await topic.records(TOPICS.dlq)).map((record) => JSON.parse(record.value?.toString() ?? '') as DlqRecord),
  }
}

/** True where the ledger has `rows` rows and nothing is left to pay. */
export async function settled({ ledger }: Bench, rows: number): Promise<boolean> {
  const totals = await ledger.totals()
  return totals.reduce((sum, total) => sum + total.count, 0) === rows && (await ledger.outstanding()) === 0
}

/** Every task once in the ledger, once at the partner, and the budget is the ledger's sum. */
export async function expectEachPaidOnce({ ledger, partner }: Bench, expected: readonly RewardTask[]): Promise<void> {
  const ids = expected.map((one) => one.reward_task_id).toSorted()
  const rows = await ledger.latest(expected.length + 10)
  expect(rows.map((row) => row.taskId).toSorted()).toEqual(ids)
  expect(new Set(rows.map((row) => row.status))).toEqual(new Set(['succeeded']))
  expect(partner.payouts().toSorted()).toEqual(ids)
  expect(partner.stats()).toMatchObject({ differing_repeats: 0, bad_signatures: 0 })
  await expectBudgetsAreSums(ledger)
}

export async function expectBudgetsAreSums(ledger: Ledger): Promise<void> {
  const rows = (await ledger.latest(100_000)).filter((row) => row.status === 'succeeded')
  const budgets = await ledger.budgets()
  expect(budgets.length).toBeGreaterThan(0)
  for (const { poolId, spent } of budgets) {
    expect(spent).toBe(sumMoney(rows.filter((row) => row.poolId === poolId).map((row) => row.cost)))
  }
}
