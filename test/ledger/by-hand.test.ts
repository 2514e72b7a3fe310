/** What moves rewards by hand, put together as the back office does: the same locks, the same admission, the same move. */
import { sql } from '@databases/pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Database, openDatabase } from '../../connectors/ledger/database.ts'
import {
  admissionMove,
  findRewardsStatement,
  lockRewardsStatement,
  type Move,
  moveStatement,
  needsAdmission,
} from '../../connectors/ledger/move-statements.ts'
import { declarePoolsStatement, distinctPools, type LockedPools, lockPools } from '../../connectors/ledger/pools.ts'
import { type StoredReward, storedOf } from '../../connectors/ledger/rows.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import {
  admit,
  book,
  change,
  claim,
  entry,
  expectInvariants,
  failure,
  only,
  openWorkbench,
  paid,
  SELF_EXCLUSION,
  send,
  terms,
  type Workbench,
} from './fixtures.ts'

let postgres: TestPostgres
let bench: Workbench
let ledger: Ledger
let database: Database
beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres.stop())
beforeEach(async () => {
  bench = await openWorkbench(postgres)
  ledger = bench.ledger
  database = openDatabase({ url: bench.url, allowNonDurable: true })
})
afterEach(async () => {
  await expectInvariants(bench)
  await database.close()
  await bench.close()
})

type Decide = (reward: StoredReward, pools: LockedPools) => Move | null

/** Locks pools first where something is to be reserved, then the rewards, decides, moves. Answers how many moved. */
function byHand(ids: readonly string[], reserving: boolean, decide: Decide): Promise<number> {
  return database.write(async (run) => {
    const found = (await run(findRewardsStatement(ids))).map(storedOf)
    const { pools } = await lockPools(run, reserving ? distinctPools(found.map(({ task }) => task)) : [])
    const rewards = (await run(lockRewardsStatement(ids))).map(storedOf)
    const moves = rewards.flatMap((reward) => decide(reward, pools) ?? [])
    return moves.length === 0 ? 0 : (await run(moveStatement(moves))).length
  })
}

const anna = { actor: 'anna', reason: 'as asked' }
const approve: Decide = (reward, pools) =>
  reward.status === 'held' ? admissionMove(reward.ledgerId, pools.admit(reward.task, admit), anna) : null
const resend: Decide = (reward, pools) => {
  if (reward.status !== 'failed') return null
  const admission = needsAdmission(reward) ? pools.admit(reward.task, admit) : ({ kind: 'reserve' } as const)
  return admissionMove(reward.ledgerId, admission, anna)
}
const plain = { reserves: false, ...anna, failure: null, holds: null, freeze: null, route: null }
const freeze: Decide = ({ ledgerId, status }) =>
  ['reserved', 'sent', 'held', 'failed'].includes(status)
    ? { ...plain, ledgerId, to: 'frozen', reserves: status === 'sent', freeze: { by: 'manual', reasons: [] } }
    : null
const undo: Decide = ({ ledgerId, status }) =>
  ['reserved', 'held', 'frozen', 'failed'].includes(status) ? { ...plain, ledgerId, to: 'voided' } : null

const holds = [{ by: 'large_prize', detail: 'it is' }]

test('two people approve the same reward at once: it is reserved once', async () => {
  const { taskId } = entry(1)
  await book(ledger, [entry(1, { holds })])
  const moved = await Promise.all([1, 2, 3].map(() => byHand([taskId], true, approve)))
  expect(moved.toSorted((a, b) => a - b)).toEqual([0, 0, 1])
  expect(await ledger.budgets()).toMatchObject([{ reserved: 10n }])
  expect(await bench.history({ taskId })).toEqual(['pending by sink', 'held by sink', 'reserved by anna'])
  expect(only(await claim(ledger, 9)).taskId).toBe(taskId)
})

test('an approval meets the same budget as a booking', async () => {
  const tight = terms({ budget: 15n })
  await book(ledger, [entry(1, { holds, terms: tight }), entry(2, { holds, terms: tight })])
  const ids = [entry(1).taskId, entry(2).taskId]
  await byHand(ids.slice(0, 1), true, approve)
  await expect(
    byHand(ids, true, (reward) => admissionMove(reward.ledgerId, { kind: 'reserve' }, anna)),
  ).rejects.toMatchObject({ code: 'ONCEWARD_E_LEDGER_REFUSED' })
  expect(await ledger.budgets()).toMatchObject([{ reserved: 10n }])
  const admission = await database.write(async (run) => {
    const { pools } = await lockPools(run, distinctPools([{ ...entry(2), terms: null }]))
    return pools.admit(entry(2), admit)
  })
  expect(admission).toEqual({ kind: 'hold', reasons: [{ by: 'closed', detail: 'no money' }] })
})

test('one in doubt is sent again with the reservation it has, one that was refused with a new one', async () => {
  await book(ledger, [entry(1), entry(2)])
  const [first, second] = await send(ledger, 2)
  if (first === undefined || second === undefined) throw new Error('nothing was sent')
  await ledger.settle([failure(first, true), failure(second, false)])
  expect(await ledger.budgets()).toMatchObject([{ reserved: 10n }])
  expect(await byHand([first.taskId, second.taskId], true, resend)).toBe(2)
  expect(await ledger.budgets()).toMatchObject([{ reserved: 20n }])
  expect(await claim(ledger, 9)).toHaveLength(2)
})

test('one that is sent again after it may have been paid is still in doubt where protection stops it', async () => {
  await book(ledger, [entry(1)])
  const sent = only(await send(ledger, 1))
  await ledger.settle([failure(sent, true)])
  await byHand([sent.taskId], true, resend)
  const again = only(await claim(ledger, 1))
  await ledger.players([change(again.task.userId, { restrictions: [SELF_EXCLUSION] })])
  expect((await ledger.clear([again])).get(again.taskId)).toMatchObject({ kind: 'frozen' })
  expect(await ledger.budgets()).toMatchObject([{ reserved: 10n }])
})

test('what a person freezes or voids while it is under way is lost to the sink, and gives back what was not sent', async () => {
  await book(ledger, [entry(1), entry(2), entry(3)])
  const claimed = await claim(ledger, 9)
  await ledger.clear(claimed.slice(0, 1))
  await byHand([entry(1).taskId, entry(2).taskId], false, freeze)
  await byHand([entry(3).taskId], false, undo)
  expect([...(await ledger.clear(claimed)).values()].map(({ kind }) => kind)).toEqual(['lost', 'lost', 'lost'])
  expect(await ledger.budgets()).toMatchObject([{ reserved: 10n }])
  expect(await ledger.totals()).toMatchObject([
    { status: 'frozen', count: 2 },
    { status: 'voided', count: 1 },
  ])
  expect((await ledger.settle(claimed.map(({ taskId }) => paid(taskId)))).changed.size).toBe(3)
  expect(await ledger.budgets()).toMatchObject([{ reserved: 0n, spent: 30n, overrun: 0n }])
})

test('an open review is closed when its reward moves on without it', async () => {
  await book(ledger, [entry(1, { holds })])
  await byHand([entry(1).taskId], false, undo)
  expect(await bench.query(sql`SELECT decision, decided_by FROM reward_hold`)).toEqual([
    { decision: 'ended', decided_by: 'anna' },
  ])
})

test('terms of a pool are those of the latest event time, also where two declare it at once', async () => {
  const declared = (since: number, budget: bigint): Promise<unknown> =>
    database.write((run) =>
      run(declarePoolsStatement([{ poolId: 'p', poolPeriod: 'all', terms: terms({ since, budget }) }])),
    )
  await Promise.all([declared(5, 500n), declared(9, 900n), declared(7, 700n)])
  expect(await ledger.budgets()).toMatchObject([{ budget: 900n }])
  await database.write((run) => run(declarePoolsStatement([{ poolId: 'p', poolPeriod: 'all', terms: null }])))
  await declared(1, 100n)
  expect(await ledger.budgets()).toMatchObject([{ budget: 900n }])
})

test('a process that stops in the middle of a transaction lets go of the pool, and has written nothing', async () => {
  await book(ledger, [entry(1)])
  const stopped = openDatabase({ url: bench.url, allowNonDurable: true, statementTimeoutMs: 300 })
  let waited = false
  const work = stopped.write(async (run) => {
    await lockPools(run, distinctPools([entry(1)]))
    await run(sql`UPDATE reward_budget SET budget = 1`)
    await book(ledger, [entry(2)])
    waited = true
    await run(sql`SELECT 1`)
  })
  await expect(work).rejects.toMatchObject({ code: 'ONCEWARD_E_LEDGER_UNAVAILABLE' })
  expect(waited).toBe(true)
  expect(await ledger.budgets()).toMatchObject([{ budget: 100_000n, reserved: 20n }])
  await stopped.close()
})
