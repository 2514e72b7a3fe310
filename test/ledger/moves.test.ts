import { sql } from '@databases/pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { MOVES, REWARD_STATUSES, type RewardStatus } from '../../core/model/reward-status.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { book, entry, expectInvariants, openWorkbench, send, paid, type Workbench } from './fixtures.ts'

let postgres: TestPostgres
let bench: Workbench
beforeAll(async () => {
  postgres = await startTestPostgres()
  bench = await openWorkbench(postgres)
  await book(bench.ledger, [entry(999)])
})
afterAll(async () => {
  await bench.close()
  await postgres.stop()
})

/** How a row may come to each status, for tests that start there. */
const WAY: Readonly<Record<RewardStatus, readonly RewardStatus[]>> = {
  pending: ['pending'],
  held: ['held'],
  frozen: ['frozen'],
  reserved: ['reserved'],
  sent: ['reserved', 'sent'],
  succeeded: ['reserved', 'sent', 'succeeded'],
  failed: ['failed'],
  voided: ['voided'],
  expired: ['expired'],
}

let rows = 0
async function rowAs(status: RewardStatus): Promise<string> {
  const id = `row_${++rows}`
  const [first, ...then] = WAY[status]
  await bench.query(sql`
    INSERT INTO reward_ledger (reward_task_id, user_id, type, value, cost, rule_id, issued_at, status, reserves)
    VALUES (${id}, 'u', 'cash', 1, 1, 'r', now(), ${first}, ${first === 'reserved'})`)
  for (const next of then) await move(id, next)
  return id
}

function move(id: string, to: RewardStatus): Promise<unknown> {
  return bench.query(sql`
    UPDATE reward_ledger SET status = ${to}, reserves = ${to === 'reserved' || to === 'sent'},
      payout_id = ${to === 'succeeded' ? 'po' : null}, actor = 'anna', reason = ${`to ${to}`}
    WHERE reward_task_id = ${id}`)
}

const state = (error: unknown): unknown => (error as { code?: string }).code
const refused = (work: Promise<unknown>): Promise<unknown> => work.then(() => 'done', state)
const CHECK_VIOLATION = '23514'

describe('the moves of a reward', () => {
  test('the database allows the same 81 as the code', async () => {
    const pairs = REWARD_STATUSES.flatMap((from) => REWARD_STATUSES.map((to) => ({ from, to })))
    const answers = await bench.query(sql`
      SELECT reward_move_allowed(p.was, p.now_is) AS allowed
      FROM unnest(${pairs.map((p) => p.from)}::text[], ${pairs.map((p) => p.to)}::text[]) WITH ORDINALITY AS p(was, now_is, n)
      ORDER BY n`)
    expect(answers.map((row, n) => ({ ...pairs[n], ...row }))).toEqual(
      pairs.map(({ from, to }) => ({ from, to, allowed: MOVES[from].includes(to) })),
    )
  })

  test.each(REWARD_STATUSES)('from %s: those listed are made and told, each other one is refused', async (from) => {
    for (const to of REWARD_STATUSES.filter((status) => status !== from)) {
      const id = await rowAs(from)
      const before = await bench.history({ taskId: id })
      const listed = MOVES[from].includes(to)
      expect(await refused(move(id, to)), `${from} to ${to}`).toBe(listed ? 'done' : CHECK_VIOLATION)
      expect(await bench.status({ taskId: id })).toBe(listed ? to : from)
      expect(await bench.history({ taskId: id })).toEqual(listed ? [...before, `${to} by anna`] : before)
    }
  })

  test.each(REWARD_STATUSES)('a row begins as %s only where pending may go there', async (status) => {
    const insert = bench.query(sql`
      INSERT INTO reward_ledger (reward_task_id, user_id, type, value, cost, rule_id, issued_at, status, reserves, payout_id)
      VALUES (${`begin_${status}`}, 'u', 'cash', 1, 1, 'r', now(), ${status}, ${['reserved', 'sent'].includes(status)},
        ${status === 'succeeded' ? 'po' : null})`)
    const may = status === 'pending' || (status !== 'succeeded' && MOVES.pending.includes(status))
    expect(await refused(insert)).toBe(may ? 'done' : CHECK_VIOLATION)
    expect(await bench.history({ taskId: `begin_${status}` })).toEqual(
      !may ? [] : status === 'pending' ? ['pending by sink'] : ['pending by sink', `${status} by sink`],
    )
  })

  test('one statement that moves many rows tells of each', async () => {
    const ids = [await rowAs('held'), await rowAs('pending'), await rowAs('failed')]
    await bench.query(sql`
      UPDATE reward_ledger SET status = 'voided', actor = 'ben', reason = 'all of them'
      WHERE reward_task_id = ANY(${ids}::text[])`)
    for (const id of ids) expect((await bench.history({ taskId: id })).at(-1)).toBe('voided by ben')
    const [{ count } = {}] = await bench.query(
      sql`SELECT count(*)::int AS count FROM reward_history WHERE reason = 'all of them' AND actor = 'ben'`,
    )
    expect(count).toBe(3)
  })
})

describe('what is written stays', () => {
  let id = ''
  beforeEach(async () => {
    id = await rowAs('sent')
  })

  test.each([
    ['a move is rewritten', sql`UPDATE reward_history SET actor = 'nobody'`],
    ['a move is deleted', sql`DELETE FROM reward_history`],
    ['the history is emptied', sql`TRUNCATE reward_history`],
    ['a reward is deleted', sql`DELETE FROM reward_ledger`],
    ['the ledger is emptied', sql`TRUNCATE reward_ledger CASCADE`],
    ['an audit record is rewritten', sql`UPDATE audit_log SET actor = 'nobody'`],
    ['an audit record is deleted', sql`DELETE FROM audit_log`],
    ['the audit log is emptied', sql`TRUNCATE audit_log`],
    ['a move is made up', sql`UPDATE reward_ledger SET moves = moves + 1`],
    ['a reward gets another id', sql`UPDATE reward_ledger SET reward_task_id = reward_task_id || 'x'`],
    ['a reward gets another player', sql`UPDATE reward_ledger SET user_id = 'u_other'`],
    ['a reward gets another type', sql`UPDATE reward_ledger SET type = 'loot'`],
    ['a reward gets another value', sql`UPDATE reward_ledger SET value = value + 1`],
    ['a reward gets another currency', sql`UPDATE reward_ledger SET currency = 'TRY'`],
    ['a reward gets another pool', sql`UPDATE reward_ledger SET pool_id = 'other'`],
    ['a reward gets another period', sql`UPDATE reward_ledger SET pool_period = 'other'`],
    ['a reward gets another origin', sql`UPDATE reward_ledger SET origin = 'manual'`],
    ['a reserved cost changes', sql`UPDATE reward_ledger SET cost = cost + 1 WHERE reserves`],
    ['a paid cost changes', sql`UPDATE reward_ledger SET cost = cost + 1 WHERE status = 'succeeded'`],
    ['what is due gives its reservation back', sql`UPDATE reward_ledger SET reserves = false WHERE status = 'sent'`],
    ['what is over reserves', sql`UPDATE reward_ledger SET reserves = true WHERE status = 'held'`],
    [
      'a payment without an id',
      sql`UPDATE reward_ledger SET status = 'succeeded', reserves = false WHERE status = 'sent'`,
    ],
    [
      'a budget begins with money gone',
      sql`INSERT INTO reward_budget (pool_id, period, spent) VALUES ('new', 'all', 1)`,
    ],
    ['a budget is spent below nothing', sql`UPDATE reward_budget SET spent = spent - 1`],
    ['a budget is reserved above itself', sql`UPDATE reward_budget SET reserved = budget + 1`],
  ])('refused: %s', async (_, statement) => {
    await book(bench.ledger, [entry(rows + 1_000)])
    await rowAs('held')
    await rowAs('succeeded')
    await bench.query(sql`INSERT INTO audit_log (actor, action, subject) VALUES ('anna', 'test', ${id})`)
    expect(await refused(bench.query(statement))).toBe(CHECK_VIOLATION)
    expect(await bench.history({ taskId: id })).toEqual(['pending by sink', 'reserved by sink', 'sent by anna'])
  })

  test('the cost of what is held may still be worked out', async () => {
    const held = await rowAs('held')
    await bench.query(sql`UPDATE reward_ledger SET cost = 7 WHERE reward_task_id = ${held}`)
    expect(await bench.query(sql`SELECT cost FROM reward_ledger WHERE reward_task_id = ${held}`)).toEqual([
      { cost: '7.00' },
    ])
  })
})

describe('the budget follows whatever statement moves a reward', () => {
  test('to nobody’s surprise where the pool has no row', async () => {
    const insert = bench.query(sql`
      INSERT INTO reward_ledger (reward_task_id, user_id, type, value, cost, rule_id, issued_at, pool_id, status, reserves)
      VALUES ('poolless', 'u', 'cash', 1, 1, 'r', now(), 'nowhere', 'reserved', true)`)
    expect(await refused(insert)).toBe(CHECK_VIOLATION)
  })

  test('by hand, in one statement, over two pools', async () => {
    const own = await openWorkbench(postgres)
    await book(own.ledger, [entry(1), entry(2), entry(3, { poolId: 'other' }), entry(4)])
    await own.query(sql`
      UPDATE reward_ledger SET status = 'succeeded', payout_id = 'po', reserves = false WHERE threshold IN (1, 3)`)
    await own.query(sql`UPDATE reward_ledger SET status = 'voided', reserves = false WHERE threshold = 2`)
    await own.query(sql`DELETE FROM reward_outbox o USING reward_ledger l WHERE l.id = o.ledger_id AND NOT l.reserves`)
    expect(await own.ledger.budgets()).toMatchObject([
      { poolId: 'nov_season', spent: 10n, reserved: 10n },
      { poolId: 'other', spent: 10n, reserved: 0n },
    ])
    await expectInvariants(own)
    await own.close()
  })

  test('a reservation moves to spent when it is paid', async () => {
    const own = await openWorkbench(postgres)
    await book(own.ledger, [entry(1)])
    const [claimed] = await send(own.ledger, 1)
    expect(await own.ledger.budgets()).toMatchObject([{ spent: 0n, reserved: 10n, overrun: 0n }])
    await own.ledger.settle([paid(claimed?.taskId ?? '')])
    expect(await own.ledger.budgets()).toMatchObject([{ spent: 10n, reserved: 0n, overrun: 0n }])
    expect(await own.history(entry(1))).toEqual([
      'pending by sink',
      'reserved by sink',
      'sent by sink',
      'succeeded by sink',
    ])
    await own.close()
  })
})
