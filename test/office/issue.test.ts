import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ManualReward, Mandate, Outcome } from '../../core/ports/back-office.ts'
import {
  ANN,
  audited,
  command,
  EXCLUDED,
  give,
  manual,
  type Office,
  player,
  pool,
  standing,
  startOffices,
  requireBalance,
} from './office.ts'

let offices: Awaited<ReturnType<typeof startOffices>>
let office: Office
beforeAll(async () => {
  offices = await startOffices()
})
afterAll(() => offices.stop())
beforeEach(async () => {
  office = await offices.open()
})
afterEach(async () => {
  await requireBalance(office)
  await office.close()
})

const OVERRIDE: Mandate = { ...ANN, override: true }

async function issue(reward: ManualReward, mandate: Mandate = ANN): Promise<Outcome | undefined> {
  const [forecast] = await office.office.forecastIssue(mandate, [reward], new Map())
  const [outcome] = await office.office.issue(mandate, [reward])
  expect(outcome?.kind).toBe(forecast?.kind)
  if (outcome?.kind === 'done' && forecast?.kind === 'done') expect(outcome.to).toBe(forecast.to)
  return outcome
}

test('what is given is booked, queued for whoever pays its type, and told in history and audit', async () => {
  await pool(office)
  const reward = manual('ticket 7')
  expect(await issue(reward)).toMatchObject({ kind: 'done', from: null, to: 'reserved', reserved: 1000n })
  const view = await office.office.reward(reward.taskId)
  expect(view).toMatchObject({
    status: 'reserved',
    origin: 'manual',
    ruleId: 'manual',
    eventId: 'ticket 7',
    partner: '?',
  })
  expect(view.history).toMatchObject([
    { from: null, to: 'pending', actor: 'ann' },
    { from: 'pending', to: 'reserved', actor: 'ann', reason: 'sorry' },
  ])
  expect(view.audit).toMatchObject([{ action: 'reward.issued', actor: 'ann', reason: 'sorry' }])
  expect(await office.office.reward(view.requestId)).toMatchObject({ taskId: reward.taskId })
})

test('the same reference again is the same reward; with other content it is refused', async () => {
  await pool(office)
  await issue(manual('ticket 7'))
  expect(await issue(manual('ticket 7'))).toMatchObject({ kind: 'unchanged' })
  expect(await issue(manual('ticket 7', { value: 2000n, cost: 2000n }))).toMatchObject({
    kind: 'refused',
    detail: expect.stringContaining('take a new reference'),
  })
  expect(await standing(office, manual('ticket 7').taskId)).toMatchObject({ reserved: '10.00' })
  expect(await audited(office)).toHaveLength(1)
})

describe('gates and budget', () => {
  type Row = [
    string,
    { kyc?: number; restricted?: boolean; reward?: Partial<ManualReward>; whenClosed?: string; override?: boolean },
    string,
    string?,
  ]
  const big = { value: 200_000n, cost: 200_000n }
  const review = { holds: [{ by: 'large_prize', detail: 'it is reviewed' }], approvals: 2 }
  const table: Row[] = [
    ['enough of everything', { kyc: 2, reward: { kycRequired: 2 } }, 'reserved'],
    ['an unknown level where one is needed', { reward: { kycRequired: 2 } }, 'frozen', 'manual'],
    ['a low level', { kyc: 1, reward: { kycRequired: 2 } }, 'frozen'],
    ['a low level, overridden', { kyc: 1, reward: { kycRequired: 2 }, override: true }, 'reserved'],
    ['a player who is excluded', { kyc: 2, restricted: true }, 'frozen'],
    ['a player who is excluded, overridden', { kyc: 2, restricted: true, override: true }, 'frozen'],
    [
      'an excluded player of a low level, overridden',
      { kyc: 0, restricted: true, reward: { kycRequired: 2 }, override: true },
      'frozen',
    ],
    ['more than the budget has', { reward: big }, 'held'],
    ['more than the budget has, where the pool sends away', { reward: big, whenClosed: 'dlq' }, 'refused'],
    ['more than the budget has, overridden', { reward: big, override: true }, 'reserved'],
    ['a pool that is closed at this date', { reward: { closed: 'it is over' } }, 'held'],
    [
      'a pool that is closed at this date, overridden',
      { reward: { closed: 'it is over' }, override: true },
      'reserved',
    ],
    ['a review', { reward: review }, 'held'],
    ['a review, overridden: no override stands in for a person', { reward: review, override: true }, 'held'],
    ['a review of an excluded player: approved only once the gates pass', { restricted: true, reward: review }, 'held'],
    ['a large prize beyond the soft cap', { reward: { value: 60_000n, cost: 60_000n } }, 'held'],
    [
      'a large prize beyond the soft cap, overridden',
      { reward: { value: 60_000n, cost: 60_000n }, override: true },
      'reserved',
    ],
    ['a small one beyond nothing', { reward: { value: 100n, cost: 100n } }, 'reserved'],
  ]
  test.each(table)('%s', async (_, given, becomes, frozenBy = 'sink') => {
    await pool(office, 'season', {
      budget: '1000.00',
      softCap: '500.00',
      largePrize: '500.00',
      whenClosed: given.whenClosed ?? 'hold',
    })
    const restrictions = given.restricted === true ? [EXCLUDED] : []
    if (given.kyc !== undefined || restrictions.length > 0)
      await player(office, 'u_1', { kyc: given.kyc ?? null, restrictions })
    const reward = manual('r', given.reward)
    const outcome = await issue(reward, given.override === true ? OVERRIDE : ANN)
    if (becomes === 'refused') {
      expect(outcome).toMatchObject({ kind: 'refused' })
      expect(await standing(office, reward.taskId)).toEqual({})
      return
    }
    expect(outcome).toMatchObject({ kind: 'done', to: becomes })
    expect(await standing(office, reward.taskId)).toMatchObject({
      status: becomes,
      queued: becomes === 'reserved' ? 1 : 0,
      open: becomes === 'held' ? 1 : 0,
      // By the sink: it lets it go once the gates pass; it would do so at once where the level is not known.
      frozen_by: becomes === 'frozen' ? frozenBy : null,
    })
  })
})

test('who issued a reward is not one of the two who approve it', async () => {
  await pool(office)
  const reward = manual('r', { holds: [{ by: 'large_prize', detail: 'large' }], approvals: 2 })
  await issue(reward)
  const [own] = await office.office.carryOut(command('approve', ANN), [reward.taskId])
  expect(own).toMatchObject({ kind: 'refused', detail: expect.stringContaining('ann issued it') })
})

test('terms of a policy are those of the ledger from then on, where they are newer', async () => {
  await pool(office, 'season', { budget: '5.00' })
  const terms = {
    budget: 1_000n,
    softCap: null,
    breakerPercent: 90,
    whenClosed: 'hold',
    largePrize: null,
    since: 5,
  } as const
  expect(await issue(manual('a', { terms }))).toMatchObject({ to: 'reserved' })
  expect(await issue(manual('b', { terms: { ...terms, budget: 999_999n, since: 4 } }))).toMatchObject({ to: 'held' })
  expect(await office.office.budgets()).toMatchObject([{ budget: 1_000n, reserved: 1_000n }])
})

describe('text of any kind is text', () => {
  const texts = [
    "'; DROP TABLE reward_ledger; --",
    'a"b\\c',
    '$1 ${x}',
    '😀 ünïcode \u202E',
    '{"a":1}',
    '=1+1',
    '%_',
    'x\ny',
  ]
  test.each(texts)('%j', async (text) => {
    await pool(office, text)
    const reward = manual(text, {
      userId: text,
      poolId: text,
      reason: text,
      reward: { type: text, amount: 10, currency: text },
    })
    const mandate = { ...ANN, actor: text, reason: text }
    expect(await issue(reward, mandate)).toMatchObject({ to: 'reserved' })
    await office.office.carryOut(command('freeze', mandate), [reward.taskId, text])
    await give(office, { id: `rt_${text}`, status: 'held', user: text, pool: text, type: text, rule: text })
    await office.office.carryOut({ ...mandate, name: 'assign', to: text }, [`rt_${text}`])
    const filter = { pool: text, type: text, user: text, assignee: text }
    expect(await office.office.holds(filter, 10)).toMatchObject([
      { taskId: `rt_${text}`, userId: text, assignee: text },
    ])
    expect(await office.office.holds({ by: text }, 10)).toEqual([])
    expect(await office.office.rewardIds({ statuses: ['frozen'], user: text, pool: text, type: text })).toEqual([
      reward.taskId,
    ])
    const view = await office.office.reward(reward.taskId)
    expect(view).toMatchObject({ userId: text, eventId: text, poolId: text })
    expect(view.history.at(-1)).toMatchObject({ actor: text, reason: text })
    await expect(office.office.reward(text)).rejects.toMatchObject({ code: 'ONCEWARD_E_REWARD_UNKNOWN' })
  })

  test('NUL, which Postgres does not hold, is an error that says so and changes nothing', async () => {
    await pool(office)
    await expect(office.office.issue(ANN, [manual('a\0b')])).rejects.toMatchObject({
      code: expect.stringMatching(/^ONCEWARD_E_/),
    })
    await give(office, { id: 'rt_1', status: 'held' })
    await expect(office.office.carryOut(command('reject', { ...ANN, reason: 'a\0b' }), ['rt_1'])).rejects.toMatchObject(
      {
        code: expect.stringMatching(/^ONCEWARD_E_/),
      },
    )
    expect(await standing(office, 'rt_1')).toMatchObject({ status: 'held' })
  })
})

test('costs by pool: what was paid, what is open, and to how many players and payers', async () => {
  await give(office, { id: 'a', status: 'succeeded', cost: '10.00', user: 'u_1', payer: true })
  await give(office, { id: 'b', status: 'succeeded', cost: '5.50', user: 'u_1', payer: true })
  await give(office, { id: 'c', status: 'succeeded', cost: '4.00', user: 'u_2', payer: false, pool: 'other' })
  await give(office, { id: 'd', status: 'sent', cost: '3.00', user: 'u_3' })
  await give(office, { id: 'e', status: 'held', cost: '90.00', user: 'u_4' })
  await give(office, { id: 'f', status: 'succeeded', cost: '7.00', user: 'u_5', issuedAt: '2024-01-01T00:00:00Z' })
  const from = Date.parse('2025-01-01T00:00:00Z')
  expect(await office.office.costs({ by: 'pool', from })).toEqual([
    { group: 'other', rewards: 1, paid: 400n, open: 0n, players: 1, payers: 0 },
    { group: 'season', rewards: 2, paid: 1550n, open: 300n, players: 1, payers: 1 },
    { group: null, rewards: 3, paid: 1950n, open: 300n, players: 2, payers: 1 },
  ])
})
