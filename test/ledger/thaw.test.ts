import { sql } from '@databases/pg'
import * as fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase } from '../../connectors/ledger/database.ts'
import { lockRewardsStatement } from '../../connectors/ledger/move-statements.ts'
import { decideGates } from '../../core/gates.ts'
import type { Player } from '../../core/model/player.ts'
import { CENTS_MAX } from '../../core/money.ts'
import type { ClaimedTask, Ledger, LedgerTask, PoolFacts } from '../../core/ports/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import {
  admit,
  book,
  change,
  claim,
  entries,
  entry,
  expectInvariants,
  frozen,
  openWorkbench,
  paid,
  SELF_EXCLUSION,
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

const moved = (known: number, more: object = {}): object => ({
  recorded: 0,
  known,
  refused: [],
  held: 0,
  frozen: 0,
  ...more,
})
let seq = 0
const stop = (users: readonly string[]): Promise<void> =>
  ledger.players(users.map((userId) => change(userId, { restrictions: [SELF_EXCLUSION] }, ++seq)))
const free = (users: readonly string[], player: Partial<Player> = {}): Promise<void> =>
  ledger.players(users.map((userId) => change(userId, player, ++seq)))

/** Books the tasks and has the look at the call freeze all of them; `inDoubt`: after they were sent once. */
async function stopAll(tasks: readonly LedgerTask[], { inDoubt = false } = {}): Promise<string[]> {
  const users = [...new Set(tasks.map(({ userId }) => userId))]
  await book(ledger, tasks)
  let claimed: readonly ClaimedTask[] = await claim(ledger, tasks.length, { leaseMs: inDoubt ? 0 : 60_000 })
  if (inDoubt) {
    await ledger.clear(claimed)
    claimed = await claim(ledger, tasks.length)
  }
  await stop(users)
  for (const clearance of (await ledger.clear(claimed)).values()) expect(clearance.kind).toBe('frozen')
  return users
}

describe('what the look at the call has frozen', () => {
  test('goes once the player is free again, and is paid', async () => {
    const users = await stopAll(entries(3))
    expect(await ledger.thaw(admit, 10)).toEqual(moved(0))
    await free(users.slice(0, 2))
    expect(await ledger.budgets()).toMatchObject([{ reserved: 0n }])
    expect(await ledger.thaw(admit, 10)).toEqual(moved(2))
    expect(await ledger.thaw(admit, 10)).toEqual(moved(0))
    expect(await ledger.budgets()).toMatchObject([{ reserved: 20n }])
    expect(await claim(ledger, 10)).toHaveLength(2)
    expect(await bench.history(entry(0))).toEqual(
      ['pending', 'reserved', 'frozen', 'reserved'].map((status) => `${status} by sink`),
    )
  })

  test('goes when a restriction ends by itself, by the database’s clock', async () => {
    const [userId = ''] = await stopAll([entry(1)])
    await ledger.players([
      change(userId, { restrictions: [{ kind: 'cool_off', since: 0, until: Date.UTC(2999, 0, 1) }] }, ++seq),
    ])
    expect(await ledger.thaw(admit, 10)).toEqual(moved(0))
    await ledger.players([
      change(userId, { restrictions: [{ kind: 'cool_off', since: 0, until: Date.UTC(2020, 0, 1) }] }, ++seq),
    ])
    expect(await ledger.thaw(admit, 10)).toEqual(moved(1))
  })

  test.each([
    [1, 0],
    [2, 1],
    [null, 1],
  ])('with KYC level %s of the 2 that it needs: %s go', async (kycLevel, count) => {
    const users = await stopAll([entry(1)])
    await free(users, { kycLevel })
    expect(await ledger.thaw(admit, 10)).toEqual(moved(count))
  })

  test('asks for admission: by then the pool may be closed', async () => {
    const users = await stopAll(entries(4, { terms: terms({ budget: 40n }) }))
    await book(ledger, [entry(10), entry(11), entry(12)])
    await free(users)
    const facts: (PoolFacts | undefined)[] = []
    const asked = await ledger.thaw((task, known) => {
      facts.push(known)
      expect([task.holds, task.closed, task.terms]).toEqual([[], null, known?.terms])
      return admit(task, known)
    }, 10)
    expect(asked).toEqual(moved(4, { held: 3 }))
    expect(facts.map((known) => known?.reserved)).toEqual([30n, 40n, 40n, 40n])
    expect(await ledger.budgets()).toMatchObject([{ reserved: 40n }])
  })

  test('is refused where the pool says so, and the dead letter is told of', async () => {
    const users = await stopAll([entry(1, { terms: terms({ budget: 10n, whenClosed: 'dlq' }) })])
    await book(ledger, [entry(2, { terms: terms({ budget: 10n, whenClosed: 'dlq' }) })])
    await free(users)
    const refused = [{ taskId: entry(1).taskId, detail: 'no money' }]
    expect(await ledger.thaw(admit, 10)).toEqual(moved(1, { refused }))
  })

  test('and is in doubt goes with the reservation it has, and is asked nothing', async () => {
    const users = await stopAll([entry(1, { terms: terms({ budget: 10n }) })], { inDoubt: true })
    expect(await book(ledger, [entry(2)])).toMatchObject({ held: 1 })
    await free(users)
    const never = (): never => {
      throw new Error('asked')
    }
    expect(await ledger.thaw(never, 10)).toEqual(moved(1))
    expect(await ledger.budgets()).toMatchObject([{ reserved: 10n }])
    await ledger.settle([paid(entry(1).taskId)])
    expect(await ledger.budgets()).toMatchObject([{ reserved: 0n, spent: 10n, overrun: 0n }])
  })

  test('by the stream or by a person stays', async () => {
    const users = await stopAll([entry(1)])
    await ledger.book([frozen(entry(2))], admit)
    await bench.query(sql`UPDATE reward_freeze SET frozen_by = 'manual' WHERE frozen_by = 'sink'`)
    await free([...users, entry(2).userId])
    expect(await ledger.thaw(admit, 10)).toEqual(moved(0))
  })

  test('is let go within the limit, once by several sinks at the same time', async () => {
    const users = await stopAll(Array.from({ length: 60 }, (_, n) => entry(n, n % 3 === 0 ? {} : { poolId: null })))
    await free(users)
    expect(await ledger.thaw(admit, 7)).toEqual(moved(7))
    const sinks = [bench.open(), bench.open(), bench.open(), bench.open()]
    let together = 7
    for (let round = 0; round < 8; round++) {
      const booked = await Promise.all(sinks.map((one) => one.thaw(admit, 9)))
      together += booked.reduce((sum, one) => sum + one.known, 0)
    }
    expect(together).toBe(60)
    expect(await ledger.outstanding()).toBe(60)
  })

  test('and is in somebody’s hands at the moment is passed over, and goes the next time', async () => {
    const users = await stopAll(entries(3, { poolId: null }))
    await free(users)
    const other = openDatabase({ url: bench.url, allowNonDurable: true })
    await other.write(async (run) => {
      await run(lockRewardsStatement([entry(1).taskId]))
      expect(await ledger.thaw(admit, 10)).toEqual(moved(2))
    })
    expect(await ledger.thaw(admit, 10)).toEqual(moved(1))
    await other.close()
  })
})

describe('a frozen reward whose time is up', () => {
  const guardrails = { frozen_expiry_ms: 60_000 }
  const late = (): Promise<unknown> =>
    bench.query(sql`UPDATE reward_freeze SET expires_at = expires_at - interval '1 hour'`)

  test('expires, and is never let go', async () => {
    const users = await stopAll([entry(1, { guardrails }), entry(2)])
    expect(await ledger.thaw(admit, 10)).toEqual(moved(0))
    await late()
    expect(await ledger.thaw(admit, 10)).toEqual(moved(1))
    expect([await bench.status(entry(1)), await bench.status(entry(2))]).toEqual(['expired', 'frozen'])
    await free(users)
    expect(await ledger.thaw(admit, 10)).toEqual(moved(1))
    expect(await bench.status(entry(1))).toBe('expired')
  })

  test('is paid where its player is free by then', async () => {
    const users = await stopAll([entry(1, { guardrails })])
    await late()
    await free(users)
    await ledger.thaw(admit, 10)
    expect(await bench.status(entry(1))).toBe('reserved')
  })

  test('does not expire where it may have been paid', async () => {
    await stopAll([entry(1, { guardrails })], { inDoubt: true })
    await late()
    expect(await ledger.thaw(admit, 10)).toEqual(moved(0))
    expect(await ledger.budgets()).toMatchObject([{ reserved: 10n }])
  })

  test('by the stream is the stream’s affair', async () => {
    await ledger.book([frozen(entry(1), '2020-01-01T00:00:00.000Z')], admit)
    expect(await ledger.thaw(admit, 10)).toEqual(moved(0))
  })

  test.each([['soon'], [-1], [1e300], [null], [{}]])('has none where its expiry is %j', async (frozen_expiry_ms) => {
    await stopAll([entry(1, { guardrails: { frozen_expiry_ms } as never })])
    expect(await bench.query(sql`SELECT expires_at FROM reward_freeze`)).toEqual([{ expires_at: null }])
  })
})

test('what no ledger could hold goes to a person, and keeps nobody else waiting', async () => {
  const most = { poolId: 'unbounded', terms: null, cost: CENTS_MAX }
  const [kept, other] = [entry(1, { ...most, userId: 'p' }), entry(2, { userId: 'q' })]
  await book(ledger, [kept, other])
  await ledger.players(['p', 'q'].map((user) => change(user, { restrictions: [SELF_EXCLUSION] })))
  await ledger.clear(await claim(ledger, 2))
  await book(ledger, [entry(3, { ...most, userId: 'r' })])
  await ledger.players(['p', 'q'].map((user) => change(user, {}, 2)))
  expect(await ledger.thaw(admit, 10)).toMatchObject({ known: 2, held: 1 })
  expect([await bench.status(kept), await bench.status(other)]).toEqual(['held', 'reserved'])
})

test('the look at the call gives the answers of the gates, for whatever player', async () => {
  const now = Date.now()
  const time = fc.constantFrom(now - 86_400_000, now + 86_400_000)
  const player = fc.record({
    kycLevel: fc.constantFrom(null, 0, 1, 2, 3),
    restrictions: fc.array(
      fc.record({ kind: fc.constantFrom('self_exclusion', 'cool_off', "a'b"), since: time, until: fc.option(time) }),
      { maxLength: 3 },
    ),
  })
  const asked = { kycRequired: fc.constantFrom(0, 1, 2), kycUnknown: fc.constantFrom(null, 0, 1, 2) }
  const cases = fc.sample(fc.record({ player, ...asked }), { numRuns: 300, seed: 7 })
  const tasks = cases.map(({ kycRequired, kycUnknown }, n) => entry(n, { userId: `p_${n}`, kycRequired, kycUnknown }))
  await book(ledger, tasks)
  await ledger.players(cases.map((one, n) => change(`p_${n}`, one.player)))
  const claimed = await claim(ledger, 300)
  const clearances = await ledger.clear(claimed)
  const kinds = new Set<string>()
  for (const [n, { player: known, kycRequired, kycUnknown }] of cases.entries()) {
    // Null: the stream has let it pass with what counts for unknown players.
    const decision = decideGates({ player: known, kycRequired, kycUnknown: kycUnknown ?? 9, at: now })
    kinds.add(decision.kind)
    expect(clearances.get(tasks[n]?.taskId ?? '')).toEqual(
      decision.kind === 'pass' ? { kind: 'send', again: false } : { kind: 'frozen', reasons: decision.reasons },
    )
  }
  expect(kinds.size).toBe(2)
  expect(await ledger.thaw(admit, 300)).toEqual(moved(0))
})
