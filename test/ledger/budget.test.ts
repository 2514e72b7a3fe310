import { sql } from '@databases/pg'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hasCode } from '../../core/errors.ts'
import type { ClaimedTask, Ledger, LedgerTask, Settlement } from '../../core/ports/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import {
  admit,
  change,
  claim,
  created,
  entry,
  expectInvariants,
  expired,
  failure,
  frozen,
  openWorkbench,
  paid,
  SELF_EXCLUSION,
  terms,
  type Workbench,
} from './fixtures.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())

type Step =
  | {
      readonly kind: 'book'
      readonly from: number
      readonly count: number
      readonly as: 'created' | 'frozen' | 'expired'
    }
  | { readonly kind: 'pay'; readonly limit: number; readonly leaseMs: number; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'player'; readonly user: number; readonly stopped: boolean; readonly seq: number }
  | { readonly kind: 'thaw'; readonly limit: number }
  | { readonly kind: 'late'; readonly pick: number }
type Outcome = 'paid' | 'refused' | 'doubt' | 'retry' | 'released' | 'forgotten'

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('book' as const),
      from: fc.nat(60),
      count: fc.integer({ min: 1, max: 15 }),
      as: fc.constantFrom(
        'created' as const,
        'created' as const,
        'created' as const,
        'frozen' as const,
        'expired' as const,
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('pay' as const),
      limit: fc.integer({ min: 1, max: 10 }),
      leaseMs: fc.constantFrom(0, 60_000),
      outcomes: fc.array(
        fc.constantFrom<Outcome>('paid', 'paid', 'refused', 'doubt', 'retry', 'released', 'forgotten'),
        { minLength: 1, maxLength: 10 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('player' as const),
      user: fc.nat(6),
      stopped: fc.boolean(),
      seq: fc.nat(99),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('thaw' as const), limit: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('late' as const), pick: fc.nat(60) }) },
)

/** Three pools: one that is soon empty, one that refuses then, one without bounds; and none. */
function task(n: number): LedgerTask {
  const pools = [
    { poolId: 'small', terms: terms({ budget: 95n }) },
    { poolId: 'strict', terms: terms({ budget: 60n, whenClosed: 'dlq' }) },
    { poolId: 'open', terms: null },
    { poolId: null, terms: null },
  ] as const
  const pool = pools[n % 4] ?? pools[3]
  return entry(n, { ...pool, userId: `u_${n % 7}`, cost: BigInt(1 + (n % 11)), ordered: n % 5 === 0 })
}

/** What may be refused for a while under contention is tried again, as a sink does. */
async function insist<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!hasCode(error, 'ONCEWARD_E_LEDGER_UNAVAILABLE') || tries > 20) throw error
    }
  }
}

async function take(ledger: Ledger, one: Step): Promise<void> {
  if (one.kind === 'book') {
    const tasks = Array.from({ length: one.count }, (_, n) => task(one.from + n))
    const as = { created: (t: LedgerTask) => created(t), frozen: (t: LedgerTask) => frozen(t), expired }
    await insist(() => ledger.book(tasks.map(as[one.as]), admit))
  } else if (one.kind === 'pay') {
    const claimed = await insist(() => claim(ledger, one.limit, { leaseMs: one.leaseMs }))
    const clearances = await insist(() => ledger.clear(claimed))
    const sent = claimed.filter(({ taskId }) => clearances.get(taskId)?.kind === 'send')
    const settlements = sent.flatMap((each, n) => outcome(one.outcomes[n % one.outcomes.length] ?? 'paid', each))
    await insist(() => ledger.settle(settlements))
  } else if (one.kind === 'player') {
    const restrictions = one.stopped ? [SELF_EXCLUSION] : []
    await insist(() => ledger.players([change(`u_${one.user}`, { restrictions }, one.seq)]))
  } else if (one.kind === 'thaw') {
    await insist(() => ledger.thaw(admit, one.limit))
  } else {
    await insist(() => ledger.settle([paid(task(one.pick).taskId)]))
  }
}

function outcome(as: Outcome, claimed: ClaimedTask): Settlement[] {
  const { taskId, claim: token } = claimed
  if (as === 'paid') return [paid(taskId)]
  if (as === 'refused' || as === 'doubt') return [failure(claimed, as === 'doubt')]
  if (as === 'retry') return [{ kind: 'retry', taskId, claim: token, delayMs: 0, reason: '503' }]
  return as === 'released' ? [{ kind: 'released', taskId, claim: token }] : []
}

const ABOVE = sql`SELECT * FROM reward_budget WHERE spent + reserved > budget + overrun`

test('whatever four sinks do at once, in whatever order: no pool is above its budget, and the budget is the ledger’s sum', async () => {
  const bench = await openWorkbench(postgres)
  const sinks = [bench.open(), bench.open(), bench.open(), bench.open()]
  let samples = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { minLength: 4, maxLength: 14 }), { minLength: 4, maxLength: 4 }),
      async (plans) => {
        await emptied(bench)
        const state = { working: true }
        const sampler = (async (): Promise<void> => {
          while (state.working) {
            expect(await bench.query(ABOVE)).toEqual([])
            samples++
          }
        })()
        try {
          await Promise.all(
            sinks.map(async (ledger, n) => {
              for (const one of plans[n] ?? []) await take(ledger, one)
            }),
          )
        } finally {
          state.working = false
          await sampler
        }
        await expectInvariants(bench)
      },
    ),
    { numRuns: 25 },
  )
  expect(samples).toBeGreaterThan(25)
  await bench.close()
}, 240_000)

/** The tables of a new database; the guards that keep people from doing this are lifted for it. */
async function emptied(bench: Workbench): Promise<void> {
  await bench.query(sql`
    DO $$ BEGIN
      SET LOCAL session_replication_role = replica;
      DELETE FROM reward_ledger; DELETE FROM reward_history; DELETE FROM reward_task; DELETE FROM reward_outbox;
      DELETE FROM reward_hold; DELETE FROM reward_freeze; DELETE FROM reward_budget; DELETE FROM player_state;
    END $$`)
}

test('a sink that dies in the middle of whichever transaction leaves it whole or not at all', async () => {
  const bench = await openWorkbench(postgres)
  const state = { working: true }
  const killer = (async (): Promise<number> => {
    let killed = 0
    while (state.working) {
      const rows = await bench.query(sql`
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND query NOT LIKE '%pg_stat%'
        ORDER BY random() LIMIT 1`)
      killed += rows.length
    }
    return killed
  })()
  const work = async (ledger: Ledger, s: number): Promise<void> => {
    for (let round = 0; round < 25; round++) {
      const from = (s * 7 + round * 5) % 60
      for (const one of [
        { kind: 'book', from, count: 12, as: round % 4 === 0 ? 'frozen' : 'created' },
        { kind: 'pay', limit: 8, leaseMs: 0, outcomes: ['paid', 'doubt', 'retry', 'refused'] },
        { kind: 'player', user: round % 7, stopped: round % 2 === 0, seq: round },
        { kind: 'thaw', limit: 5 },
      ] as const) {
        // A second try after a lost answer is what a sink does; only the claims of the first are lost with it.
        await take(ledger, one).catch((error: unknown) => {
          if (!hasCode(error, 'ONCEWARD_E_LEDGER_UNAVAILABLE')) throw error
        })
      }
    }
  }
  await Promise.all([bench.open(), bench.open(), bench.open(), bench.open()].map(work))
  state.working = false
  expect(await killer).toBeGreaterThan(5)
  await expectInvariants(bench)
  expect(await bench.query(ABOVE)).toEqual([])
  await bench.close()
}, 240_000)
