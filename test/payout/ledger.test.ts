import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { OncewardError } from '../../core/errors.ts'
import type { ClaimedTask, Ledger, LedgerTask, Settlement } from '../../core/ports/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { expectBudgetsAreSums } from './bench.ts'
import { entry, eventually } from './fixtures.ts'

let postgres: TestPostgres
const ledgers: Ledger[] = []
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(async () => {
  for (const ledger of ledgers) await ledger.close()
  await postgres.stop()
})

async function open(url?: string): Promise<Ledger> {
  const ledger = openPostgresLedger({ url: url ?? (await postgres.freshDatabase()), allowNonDurable: true })
  ledgers.push(ledger)
  await ledger.migrate()
  return ledger
}

const entries = (count: number): LedgerTask[] => Array.from({ length: count }, (_, n) => entry(n))
const claim = (ledger: Ledger, limit: number, leaseMs = 60_000): Promise<readonly ClaimedTask[]> =>
  ledger.claim({ owner: 'test', limit, leaseMs })
const paid = (taskId: string, payoutId = `po_${taskId}`): Settlement => ({
  kind: 'succeeded',
  taskId,
  payoutId,
  payoutStatus: 'succeeded',
})

test('two processes may migrate at once, and again later', async () => {
  const url = await postgres.freshDatabase()
  const two = [1, 2].map(() => openPostgresLedger({ url, allowNonDurable: true }))
  ledgers.push(...two)
  await Promise.all(two.map((ledger) => ledger.migrate()))
  await Promise.all(two.map((ledger) => ledger.migrate()))
  expect(await two[0]?.totals()).toEqual([])
})

test('a batch of any size is booked once, whole, also with repeats inside', async () => {
  const ledger = await open()
  const list = entries(2_300)
  expect(await ledger.record([])).toEqual({ recorded: 0, known: 0 })
  const twice = entry(9_000)
  expect(await ledger.record([twice, twice])).toEqual({ recorded: 1, known: 1 })
  expect(await ledger.record([...list, ...list.slice(0, 7)])).toEqual({ recorded: 2_300, known: 7 })
  expect(await ledger.record(list)).toEqual({ recorded: 0, known: 2_300 })
  expect(await ledger.outstanding()).toBe(2_301)
})

test('a batch that holds one impossible task is booked not at all, and the error says that a task is at fault', async () => {
  const ledger = await open()
  const bad = entry(3, { issuedAt: 'never' })
  await expect(ledger.record([entry(1), bad, entry(2)])).rejects.toMatchObject({ code: 'ONCEWARD_E_TASK_MALFORMED' })
  expect([await ledger.outstanding(), await ledger.totals()]).toEqual([0, []])
})

test('a claimed task comes back as it was booked', async () => {
  const ledger = await open()
  const one = entry(300)
  await ledger.record([one])
  const [claimed] = await claim(ledger, 5)
  const { taskId, userId, eventId, ruleId, threshold, reward, guardrails, source, raw } = one
  expect(claimed).toMatchObject({ taskId, attempts: 0 })
  expect(claimed?.task).toEqual({ taskId, userId, eventId, ruleId, threshold, reward, guardrails, source, raw })
})

test('claims at the same time never overlap', async () => {
  const url = await postgres.freshDatabase()
  const three = [await open(url), await open(url), await open(url)]
  await three[0]?.record(entries(300))
  const claims = await Promise.all([...three, ...three, ...three].map((ledger) => claim(ledger, 40)))
  const ids = claims.flat().map((claimed) => claimed.taskId)
  expect(new Set(ids).size).toBe(ids.length)
  expect(new Set(claims.flat().map((claimed) => claimed.claim)).size).toBe(ids.length)
  expect(ids).toHaveLength(300)
})

test('a claimed task is free again when its lease ends, with another token', async () => {
  const ledger = await open()
  await ledger.record([entry(0)])
  const [first] = await claim(ledger, 1, 150)
  expect(await claim(ledger, 1)).toEqual([])
  let second: ClaimedTask | undefined
  await eventually('the lease ends', async () => {
    ;[second] = await claim(ledger, 1)
    return second !== undefined
  })
  expect(second?.taskId).toBe(first?.taskId)
  expect(second?.claim).not.toBe(first?.claim)
})

test('who lost the claim can neither retry, fail nor release the task', async () => {
  const ledger = await open()
  await ledger.record([entry(0)])
  const [old] = await claim(ledger, 1, 0)
  const [held] = await claim(ledger, 1)
  if (old === undefined || held === undefined) throw new Error('nothing was claimed')
  const { taskId } = held
  const with_ = (claimToken: bigint): Settlement[] => [
    { kind: 'retry', taskId, claim: claimToken, delayMs: 0, reason: 'late' },
    { kind: 'failed', taskId, claim: claimToken, reason: 'late' },
    { kind: 'released', taskId, claim: claimToken },
  ]
  for (const settlement of with_(old.claim)) expect(await ledger.settle([settlement])).toEqual(new Set())
  expect(await claim(ledger, 1)).toEqual([])
  expect(await ledger.totals()).toMatchObject([{ status: 'pending', count: 1 }])
  expect(await ledger.settle(with_(held.claim).slice(0, 1))).toEqual(new Set([taskId]))
  expect(await claim(ledger, 1)).toMatchObject([{ taskId, attempts: 1 }])
})

test('a retry waits for its delay, a release for nothing', async () => {
  const ledger = await open()
  await ledger.record([entry(0), entry(1)])
  const [first, second] = await claim(ledger, 2)
  if (first === undefined || second === undefined) throw new Error('nothing was claimed')
  await ledger.settle([
    { kind: 'retry', taskId: first.taskId, claim: first.claim, delayMs: 60_000, reason: 'HTTP 503' },
    { kind: 'released', taskId: second.taskId, claim: second.claim },
  ])
  expect(await claim(ledger, 2)).toMatchObject([{ taskId: second.taskId, attempts: 0 }])
})

test('a second success of the same task changes nothing, at the same time too', async () => {
  const url = await postgres.freshDatabase()
  const two = [await open(url), await open(url)] as const
  await two[0].record([entry(0)])
  const [{ taskId } = { taskId: '' }] = await claim(two[0], 1)
  const changed = await Promise.all([...two, ...two].map((ledger, n) => ledger.settle([paid(taskId, `po_${n}`)])))
  expect(changed.filter((ids) => ids.size === 1)).toHaveLength(1)
  const winner = changed.findIndex((ids) => ids.size === 1)
  expect(await two[0].latest(5)).toMatchObject([{ status: 'succeeded', payoutId: `po_${winner}` }])
  expect(await two[0].budgets()).toMatchObject([{ poolId: 'nov_season', spent: 10n }])
})

test('a proof of payment outranks failed, and no failure outranks it', async () => {
  const ledger = await open()
  await ledger.record([entry(0)])
  const [held] = await claim(ledger, 1)
  if (held === undefined) throw new Error('nothing was claimed')
  const failed: Settlement = { kind: 'failed', taskId: held.taskId, claim: held.claim, reason: 'gave up' }
  await ledger.settle([failed])
  expect(await ledger.latest(1)).toMatchObject([{ status: 'failed', failure: 'gave up', payoutId: null }])
  expect(await ledger.settle([paid(held.taskId)])).toEqual(new Set([held.taskId]))
  expect(await ledger.settle([failed])).toEqual(new Set())
  expect(await ledger.latest(1)).toMatchObject([{ status: 'succeeded', failure: null }])
  await expectBudgetsAreSums(ledger)
})

test("a pool's budget is the first soft cap that a task names, and stays", async () => {
  const ledger = await open()
  const budget = async (): Promise<unknown> => (await ledger.budgets())[0]?.budget
  await ledger.record([entry(0, { softCap: null })])
  expect(await budget()).toBeNull()
  await ledger.record([entry(2, { softCap: null }), entry(4, { softCap: 700n }), entry(6, { softCap: 900n })])
  expect(await budget()).toBe(700n)
  await ledger.record([entry(8, { softCap: 100n })])
  expect(await budget()).toBe(700n)
})

test('a task without a pool is paid and touches no budget', async () => {
  const ledger = await open()
  const one = entry(0, { poolId: null })
  await ledger.record([one])
  await ledger.settle([paid(one.taskId)])
  expect(await ledger.budgets()).toEqual([])
  expect(await ledger.totals()).toEqual([{ status: 'succeeded', count: 1, cost: 10n }])
})

test.each(["'; DROP TABLE reward_ledger; --", '{"}\\,NULL', '$1', 'ключ 🎁', 'NULL', '\t\n"'])(
  'the text %j is kept as it is in every column',
  async (text) => {
    const ledger = await open()
    const one = entry(0, {
      taskId: text,
      userId: text,
      poolId: text,
      type: text,
      currency: text,
      ruleId: text,
      raw: text,
    })
    await ledger.record([one])
    expect((await claim(ledger, 1))[0]?.task).toMatchObject({ taskId: text, userId: text, ruleId: text, raw: text })
    await ledger.settle([paid(text, text)])
    expect(await ledger.latest(2)).toMatchObject([{ taskId: text, userId: text, poolId: text, payoutId: text }])
  },
)

test('a database that is not there is unavailable, one that does not let us in refuses', async () => {
  const url = new URL(await postgres.freshDatabase())
  const fail = async (change: (url: URL) => void): Promise<unknown> => {
    const wrong = new URL(url)
    change(wrong)
    const ledger = openPostgresLedger({ url: wrong.href })
    ledgers.push(ledger)
    return ledger.outstanding().catch((error: unknown) => (error instanceof OncewardError ? error.code : error))
  }
  expect(await fail((wrong) => (wrong.port = '9'))).toBe('ONCEWARD_E_LEDGER_UNAVAILABLE')
  expect(await fail((wrong) => (wrong.password = 'wrong'))).toBe('ONCEWARD_E_LEDGER_REFUSED')
  expect(await fail((wrong) => (wrong.pathname = '/none'))).toBe('ONCEWARD_E_LEDGER_REFUSED')
})

type Step =
  | { readonly kind: 'record'; readonly from: number; readonly count: number }
  | { readonly kind: 'claim'; readonly limit: number; readonly leaseMs: number }
  | { readonly kind: 'settle'; readonly picks: readonly number[]; readonly as: Settlement['kind'] }

const step = fc.oneof(
  fc.record({ kind: fc.constant('record' as const), from: fc.nat(20), count: fc.nat(12) }),
  fc.record({
    kind: fc.constant('claim' as const),
    limit: fc.integer({ min: 1, max: 8 }),
    leaseMs: fc.constantFrom(0, 60_000),
  }),
  fc.record({
    kind: fc.constant('settle' as const),
    picks: fc.array(fc.nat(50), { minLength: 1, maxLength: 6 }),
    as: fc.constantFrom('succeeded' as const, 'retry' as const, 'failed' as const, 'released' as const),
  }),
)

test('whatever is delivered, claimed and settled in whatever order: spent is the sum of succeeded, pending is in the outbox', async () => {
  const ledger = await open()
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      const name = (n: number): string => `${run}-${n}`
      run++
      const claims: ClaimedTask[] = []
      for (const one of steps as readonly Step[]) {
        if (one.kind === 'record') {
          const list = Array.from({ length: one.count }, (_, n) => entry(one.from + n, { taskId: name(one.from + n) }))
          await ledger.record(list)
        } else if (one.kind === 'claim') {
          claims.push(...(await claim(ledger, one.limit, one.leaseMs)))
        } else {
          const picked = one.picks.flatMap((pick) => claims[pick % (claims.length || 1)] ?? [])
          await ledger.settle(picked.map((held) => settlement(one.as, held)))
        }
        await expectConsistent(ledger)
      }
      await ledger.settle((await claim(ledger, 1_000)).map(({ taskId }) => paid(taskId)))
    }),
    { numRuns: 15 },
  )
})

function settlement(kind: Settlement['kind'], { taskId, claim: token }: ClaimedTask): Settlement {
  if (kind === 'succeeded') return paid(taskId)
  if (kind === 'released') return { kind, taskId, claim: token }
  return kind === 'retry'
    ? { kind, taskId, claim: token, delayMs: 0, reason: 'again' }
    : { kind, taskId, claim: token, reason: 'no' }
}

async function expectConsistent(ledger: Ledger): Promise<void> {
  const totals = await ledger.totals()
  const succeeded = totals.find((total) => total.status === 'succeeded')?.cost ?? 0n
  const spent = (await ledger.budgets()).reduce((sum, budget) => sum + budget.spent, 0n)
  expect(spent).toBe(succeeded)
  expect(await ledger.outstanding()).toBe(totals.find((total) => total.status === 'pending')?.count ?? 0)
}
