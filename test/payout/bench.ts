/** A sink with everything around it: a topic, a ledger, a partner. */
import { expect } from 'vitest'
import { MemoryLedger } from '../../cli/simulate/ledger.ts'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { systemClock } from '../../core/clock.ts'
import { requestIdOf } from '../../core/ids.ts'
import type { DlqRecord } from '../../core/model/dlq.ts'
import type { RewardTask } from '../../core/model/reward.ts'
import { sumMoney } from '../../core/money.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import type { CreditOutcome, CreditRequest, Wallet } from '../../core/ports/wallet.ts'
import { seededRandom } from '../../core/random.ts'
import type { PayoutPartner } from '../../pipeline/payout/routing.ts'
import { createSink, type Sink, type SinkOptions } from '../../pipeline/payout/sink.ts'
import { openTestLog, type TestLog } from './test-log.ts'
import { PARTITIONS, quick, TOPICS } from './fixtures.ts'

export interface Bench {
  readonly topic: TestLog
  readonly partner: TestPartner
  /** For the test's own eyes. */
  readonly ledger: Ledger
  /** One more, of another process. */
  openLedger(): Ledger
  /** `partners` of the change stand for the bench's own, which pays all types. */
  sink(
    change?: Partial<SinkOptions> & {
      readonly wallet?: Wallet
      readonly concurrency?: number
      readonly leaseMs?: number
    },
  ): Sink
  letters(): Promise<DlqRecord[]>
}

type Cleanup = (cleanup: () => Promise<void>) => void

/** `url`: a fresh database; undefined: the ledger in memory. */
export async function openBench(
  url: string | undefined,
  cleanup: Cleanup,
  faults: { failRate?: number; timeoutRate?: number } = {},
): Promise<Bench> {
  const topic = await openTestLog(PARTITIONS)
  cleanup(() => topic.close())
  const partner = new TestPartner(faults)
  const memory = new MemoryLedger(systemClock)
  const openLedger = (): Ledger => {
    if (url === undefined) return delegating(memory)
    const ledger = openPostgresLedger({ url, allowNonDurable: true })
    cleanup(() => ledger.close())
    return ledger
  }
  const ledger = openLedger()
  await ledger.migrate()
  return {
    topic,
    partner,
    ledger,
    openLedger,
    sink: ({ wallet = partner.wallet(), concurrency, leaseMs, ...change } = {}) =>
      createSink({
        ...quick(),
        log: topic.log,
        ledger: openLedger(),
        partners: [partnerOf(wallet, { concurrency: concurrency ?? 16, leaseMs: leaseMs ?? 1_000 })],
        ...change,
      }),
    letters: async () =>
      (await topic.records(TOPICS.dlq)).map((record) => JSON.parse(record.value?.toString() ?? '') as DlqRecord),
  }
}

/** Its methods as an object's own, so that a test can put others in their place. */
function delegating(ledger: Ledger): Ledger {
  return {
    migrate: () => ledger.migrate(),
    book: (arrivals, admit) => ledger.book(arrivals, admit),
    players: (changes) => ledger.players(changes),
    claim: (request) => ledger.claim(request),
    clear: (claims) => ledger.clear(claims),
    settle: (settlements) => ledger.settle(settlements),
    thaw: (admit, limit) => ledger.thaw(admit, limit),
    reroute: (which, route) => ledger.reroute(which, route),
    outstanding: () => ledger.outstanding(),
    waiting: () => ledger.waiting(),
    totals: () => ledger.totals(),
    budgets: () => ledger.budgets(),
    latest: (limit) => ledger.latest(limit),
    close: () => Promise.resolve(),
  }
}

export function partnerOf(wallet: Wallet, change: Partial<PayoutPartner> = {}): PayoutPartner {
  return { name: 'wallet', wallet, types: ['*'], concurrency: 16, orderedByPlayer: false, leaseMs: 1_000, ...change }
}

const ANSWER_MS = 2
const TIMEOUT_MS = 60

/** Pays each request id once; fails and stays silent as often as it is told to, half of the time after paying. */
export class TestPartner {
  readonly paid = new Map<string, string>()
  calls = 0
  failed = 0
  timedOut = 0
  repeats = 0
  differingRepeats = 0
  readonly #faults: { failRate?: number; timeoutRate?: number }
  readonly #random = seededRandom(7)

  constructor(faults: { failRate?: number; timeoutRate?: number } = {}) {
    this.#faults = faults
  }

  /** As one sink reaches it. */
  wallet(timeoutMs = TIMEOUT_MS): Wallet {
    return {
      credit: (request, signal) => this.#credit(request, timeoutMs, signal),
      close: () => Promise.resolve(),
    }
  }

  async #credit(request: CreditRequest, timeoutMs: number, signal?: AbortSignal): Promise<CreditOutcome> {
    const { failRate = 0, timeoutRate = 0 } = this.#faults
    this.calls++
    await systemClock.sleep(ANSWER_MS, signal)
    const draw = this.#random()
    const pays = draw >= failRate + timeoutRate || this.#random() < 0.5
    const payoutId = pays ? this.#pay(request) : ''
    if (draw < failRate) {
      this.failed++
      return { kind: 'unavailable', detail: 'HTTP 500' }
    }
    if (draw >= failRate + timeoutRate) return { kind: 'paid', payoutId, status: 'succeeded' }
    this.timedOut++
    await systemClock.sleep(timeoutMs, signal)
    return { kind: 'unavailable', detail: `no answer within ${timeoutMs} ms` }
  }

  #pay(request: CreditRequest): string {
    const content = JSON.stringify(request)
    const known = this.paid.get(request.requestId)
    if (known !== undefined) this.repeats++
    if (known !== undefined && known !== content) this.differingRepeats++
    if (known === undefined) this.paid.set(request.requestId, content)
    return `po_${request.requestId}`
  }
}

/** Answers at once. */
export function answering(answer: (requestId: string) => CreditOutcome): Wallet & { readonly calls: string[] } {
  const calls: string[] = []
  return {
    calls,
    credit: ({ requestId }) => {
      calls.push(requestId)
      return Promise.resolve(answer(requestId))
    },
    close: () => Promise.resolve(),
  }
}

export const PAYING = (requestId: string): CreditOutcome => ({
  kind: 'paid',
  payoutId: `po_${requestId}`,
  status: 'ok',
})

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
  expect([...partner.paid.keys()].toSorted()).toEqual(ids.map(requestIdOf).toSorted())
  expect(partner.differingRepeats).toBe(0)
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
