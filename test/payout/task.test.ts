import { expect, test } from 'vitest'
import { KYC_DEFAULTS, NO_POLICY, type PayoutPolicy, type PoolPolicy } from '../../core/model/policy.ts'
import type { Arrival } from '../../core/ports/ledger.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import { parseRecord, type TaskView } from '../../pipeline/payout/task.ts'
import { PLAIN, task } from './fixtures.ts'

function record(value: unknown): LogRecord {
  const bytes = value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  return { topic: 'reward.tasks', partition: 2, offset: 17, timestamp: 0, key: null, value: bytes }
}

function arrival(value: unknown, view: TaskView = PLAIN): Arrival {
  const result = parseRecord(record(value), view)
  if (!result.ok) throw new Error(result.detail)
  if (result.kind !== 'reward') throw new Error('no reward')
  return result.arrival
}

function parsed(value: unknown, view: TaskView = PLAIN): Record<string, unknown> {
  return { ...arrival(value, view).task }
}

test('the task of SPEC S12 is accepted as it stands', () => {
  const text = `{"type":"reward_task.created","reward_task_id":"rt_456","user_id":"u_123",
 "origin":{"rule_id":"r_points_winmult_v2","threshold":300},
 "reward":{"type":"bonus_cash","amount":2,"currency":"EUR","wagering":15},
 "pool_id":"nov_season","status":"pending","created_at":"2025-10-24T11:38:30Z"}`
  expect(parsed(text)).toMatchObject({
    taskId: 'rt_456',
    value: 200n,
    cost: 200n,
    currency: 'EUR',
    threshold: 300,
    period: null,
    issuedAt: '2025-10-24T11:38:30.000Z',
    source: { topic: 'reward.tasks', partition: 2, offset: 17 },
    raw: text,
  })
})

test.each([
  ['its cost, where it has one', { type: 'bonus_cash', amount: 2, cost: 1.5 }, 150n, 200n],
  ['the amount, for cash', { type: 'cash', amount: 12.34 }, 1234n, 1234n],
  ['nothing, for what is counted', { type: 'fs', amount: 10 }, 0n, 1000n],
  ['nothing, for what has no amount', { type: 'loot', rarity: 'rare' }, 0n, 0n],
])('a reward costs %s', (_, reward, cost, value) => {
  expect(parsed(task(1, { reward }))).toMatchObject({ cost, value })
})

const good = task(0)
test.each([
  ['a tombstone', null],
  ['no JSON', '{"type":'],
  ['no object', '[1]'],
  ['another type', { ...good, type: 'reward_task.updated' }],
  ['no id', { ...good, reward_task_id: undefined }],
  ['an empty id', { ...good, reward_task_id: '' }],
  ['an id without end', { ...good, reward_task_id: 'x'.repeat(513) }],
  ['a user that is a number', { ...good, user_id: 7 }],
  ['no origin', { ...good, origin: undefined }],
  ['no rule', { ...good, origin: { threshold: 1 } }],
  ['no reward', { ...good, reward: null }],
  ['no reward type', { ...good, reward: { amount: 1 } }],
  ['cash without an amount', { ...good, reward: { type: 'cash' } }],
  ['cash of zero', { ...good, reward: { type: 'cash', amount: 0 } }],
  ['a negative amount', { ...good, reward: { type: 'fs', amount: -1 } }],
  ['an amount with three decimals', { ...good, reward: { type: 'cash', amount: 1.005 } }],
  ['an amount as text', { ...good, reward: { type: 'cash', amount: '2' } }],
  ['an amount beyond all bounds', { ...good, reward: { type: 'cash', amount: 1e300 } }],
  ['a negative cost', { ...good, reward: { type: 'cash', amount: 1, cost: -1 } }],
  ['a soft cap as text', { ...good, guardrails: { budget_soft_cap: 'much' } }],
  ['a threshold as text', { ...good, origin: { rule_id: 'r', threshold: '300' } }],
  ['no time', { ...good, created_at: 'yesterday' }],
  ['a NUL, which Postgres cannot store', { ...good, user_id: 'u\0' }],
  ['a NUL deep inside', { ...good, reward: { type: 'loot', items: [{ 'a\0': 1 }] } }],
  ['half a surrogate pair', { ...good, user_id: 'u\uD800' }],
  ['a cost that is a number', { ...good, cost: 1.5 }],
  ['a cost with three decimals', { ...good, cost: '1.505' }],
  ['a negative cost of the task', { ...good, cost: '-1.00' }],
  ['a cost that is NaN', { ...good, cost: 'NaN' }],
  ['a cost of many digits', { ...good, cost: '9'.repeat(40) }],
  ['a level that is a text', { ...good, kyc: { required: '2', level: null } }],
  ['a level that is no whole number', { ...good, kyc: { required: 1.5, level: null } }],
  ['a level of the rule below zero', { ...good, guardrails: { kyc_min_level: -1 } }],
  ['holds that are no list', { ...good, holds: 'yes' }],
  ['a hold without a reason', { ...good, holds: [{ by: 'somebody' }] }],
  ['more holds than anyone reads', { ...good, holds: Array.from({ length: 101 }, () => ({ by: 'x', detail: '' })) }],
  ['a country that is a number', { ...good, geo: 90 }],
  ['a payer that is a text', { ...good, payer: 'yes' }],
  ['a release at no time', { ...good, released_at: 'now' }],
  ['frozen without reasons', { ...good, type: 'reward_task.frozen' }],
  ['frozen by an unknown gate', { ...good, type: 'reward_task.frozen', reasons: [{ gate: 'mood' }] }],
  ['depth without end', `${'{"a":'.repeat(50)}1${'}'.repeat(50)}`],
])('%s is refused with a reason', (_, value) => {
  const result = parseRecord(record(value), PLAIN)
  expect(result).toMatchObject({ ok: false, detail: expect.stringMatching(/^not a reward task: .{10,}/) })
})

test('what could be read of a refused task is kept for the review', () => {
  expect(parseRecord(record({ ...good, reward: null }), PLAIN)).toMatchObject({ userId: 'u_0', eventId: 'e_0' })
})

test.each([
  ['a level below zero', { kyc_level: -1 }],
  ['a level as text', { kyc_level: '2' }],
  ['no restrictions', { restrictions: undefined }],
  ['a restriction without a beginning', { restrictions: [{ kind: 'self_exclusion', until: null }] }],
  ['a restriction without a kind', { restrictions: [{ since: '2025-11-03T00:00:00Z', until: null }] }],
  ['no time', { as_of: undefined }],
  ['a seq below zero', { seq: -1 }],
  ['no user', { user_id: undefined }],
])('a change of a player with %s is refused with a reason', (_, change) => {
  const result = parseRecord(record({ ...CHANGED, ...change }), PLAIN)
  expect(result).toMatchObject({ ok: false, detail: expect.stringMatching(/^not a change of a player: .{10,}/) })
})

const CHANGED = {
  type: 'player.changed',
  user_id: 'u_1',
  kyc_level: null,
  restrictions: [{ kind: 'self_exclusion', since: '2025-11-03T00:00:00Z', until: null }],
  as_of: '2025-11-03T00:00:00Z',
  seq: 3,
  event_id: 'e_1',
}

test('a change of a player is read as the gates look at it', () => {
  expect(parseRecord(record(CHANGED), PLAIN)).toEqual({
    ok: true,
    kind: 'player',
    change: {
      userId: 'u_1',
      player: {
        kycLevel: null,
        restrictions: [{ kind: 'self_exclusion', since: Date.parse('2025-11-03T00:00:00Z'), until: null }],
      },
      asOf: '2025-11-03T00:00:00.000Z',
      seq: 3,
    },
  })
})

test('frozen, released and expired are told apart', () => {
  const reasons = [{ gate: 'kyc', required: 2, level: null }]
  const frozen = { ...good, type: 'reward_task.frozen', reasons, expires_at: '2025-12-01T00:00:00Z' }
  expect(arrival(frozen)).toMatchObject({ kind: 'frozen', reasons, expiresAt: '2025-12-01T00:00:00.000Z' })
  expect(arrival({ ...good, released_at: '2025-11-04T00:00:00Z' })).toMatchObject({ kind: 'created', released: true })
  expect(arrival(good)).toMatchObject({ kind: 'created', released: false })
  expect(arrival({ ...good, type: 'reward_task.expired' })).toMatchObject({ kind: 'expired' })
})

const AT = Date.parse('2025-11-03T11:38:30Z')
const POOL: PoolPolicy = {
  poolId: 'nov_season',
  budget: 100_000n,
  softCap: 80_000n,
  period: 'weekly',
  timeZone: 'Europe/Istanbul',
  from: undefined,
  until: undefined,
  geo: undefined,
  whenClosed: 'dlq',
  breakerPercent: 90,
  largePrize: undefined,
  reviewFrom: undefined,
}

function under(change: Partial<PayoutPolicy>, pool: Partial<PoolPolicy> = {}): TaskView {
  const policy: PayoutPolicy = {
    ...NO_POLICY,
    version: '1',
    currency: 'EUR',
    closedWorld: true,
    pools: new Map([['nov_season', { ...POOL, ...pool }]]),
    ...change,
  }
  return { ...PLAIN, policyAt: (ts) => ({ policy, effectiveFrom: ts - 1_000 }) }
}

const cash = (more: object = {}): object => task(0, { reward: { type: 'cash', amount: 40, currency: 'EUR' }, ...more })

test('what a task lacks is worked out by the policy in effect at its own time', () => {
  expect(parsed(cash(), under({ largePrize: 5_000n, reviewFrom: 10_000n }))).toMatchObject({
    cost: 4_000n,
    poolPeriod: '2025-W45',
    terms: { budget: 100_000n, softCap: 80_000n, whenClosed: 'dlq', largePrize: 5_000n, since: AT - 1_000 },
    closed: null,
    kycRequired: 2,
    holds: [],
    approvals: 1,
    partner: 'wallet',
  })
})

test('what a task says of its cost and of the level goes before what the sink would make of it', () => {
  expect(parsed(cash({ cost: '12.34', kyc: { required: 1, level: 1 } }), under({}))).toMatchObject({
    cost: 1_234n,
    kycRequired: 1,
  })
})

test.each([
  ['the type', { reward: { type: 'fs', amount: 1 }, guardrails: {} }, {}, 1],
  ['the rule, where it asks for more', { reward: { type: 'fs', amount: 1 } }, {}, 2],
  ['a large prize', { reward: { type: 'fs', amount: 1, cost: 50 }, guardrails: {} }, { largePrize: 5_000n }, 2],
  ['others', { reward: { type: 'loot' }, guardrails: {} }, { kyc: { ...KYC_DEFAULTS, other: 1 } }, 1],
])('the level is that of %s', (_, change, policy, level) => {
  expect(parsed({ ...task(0, change), kyc: null }, under(policy))).toMatchObject({ kycRequired: level })
})

test('what nobody can price may be large, and takes as many people to approve as a prize may', () => {
  const bounds = { largePrize: 5_000n, fourEyesFrom: 9_000n, kyc: { ...KYC_DEFAULTS, largePrize: 3 } }
  const small = { ...task(0), reward: { type: 'cash', amount: 40, currency: 'EUR' }, kyc: null }
  expect(parsed(small, under(bounds))).toMatchObject({ cost: 4_000n, approvals: 1, kycRequired: 2 })
  const unpriced = { ...small, reward: { type: 'cash', amount: 40, currency: 'TRY' } }
  expect(parsed(unpriced, under({ ...bounds, currency: 'EUR' }))).toMatchObject({
    cost: 0n,
    approvals: 2,
    kycRequired: 3,
  })
})

test.each<[string, object, TaskView, number | null]>([
  ['the stream, which has judged it', { kyc: { required: 2, level: null } }, under({}), null],
  ['another, under a policy', { kyc: null }, under({}), 0],
  [
    'another, under a policy by which unknown players are level 1',
    { kyc: null },
    under({ kyc: { ...KYC_DEFAULTS, unknown: 1 } }),
    1,
  ],
  ['another, whose rule asks for a level', { kyc: null }, PLAIN, 0],
  ['another, where nobody asks for one', { kyc: null, guardrails: {} }, PLAIN, null],
])('what counts for a player whose level nobody has told, of a task by %s', (_, change, view, unknown) => {
  expect(parsed({ ...task(0), ...change }, view)).toMatchObject({ kycUnknown: unknown })
})

test.each([
  ['not declared', { pool_id: 'other' }, {}, 'the policy declares no pool other'],
  ['not open yet', {}, { from: AT + 1 }, 'pool nov_season opens at 2025-11-03T11:38:30.001Z'],
  ['open from that instant', {}, { from: AT }, null],
  ['closed since', {}, { until: AT }, 'pool nov_season was closed at 2025-11-03T11:38:30.000Z'],
  ['open until after', {}, { until: AT + 1 }, null],
  ['not for the country', { geo: 'DE' }, { geo: ['TR'] }, 'pool nov_season is not for players of DE'],
  [
    'for those who are in a country',
    {},
    { geo: ['TR'] },
    'pool nov_season is not for players of a country that the task does not name',
  ],
  ['for the country', { geo: 'TR' }, { geo: ['TR'] }, null],
  ['no pool at all', { pool_id: null }, {}, null],
] as const)('a pool that is %s', (_, change, pool, closed) => {
  expect(parsed(cash(change), under({}, pool))).toMatchObject({ closed })
})

test('without a rate the pool is closed to it, it costs nothing yet, and a person is asked', () => {
  const lira = cash({ reward: { type: 'cash', amount: 40, currency: 'TRY' } })
  const detail = 'there is no exchange rate from TRY to EUR on 2025-11-03'
  expect(parsed(lira, under({}))).toMatchObject({ cost: 0n, closed: detail, holds: [{ by: 'no_rate', detail }] })
  // The stream said it first: once is enough.
  const said = { ...lira, holds: [{ by: 'no_rate', detail: 'none' }] }
  expect(parsed(said, under({}))).toMatchObject({ holds: [{ by: 'no_rate', detail: 'none' }] })
  const rates = [{ currency: 'TRY', from: 0, micros: 25_000n }]
  expect(parsed(lira, under({ rates }))).toMatchObject({ cost: 100n, closed: null, holds: [] })
})

test.each([
  [3_999n, undefined, []],
  [4_000n, undefined, ['large_prize']],
  [9_000n, 4_000n, ['large_prize']],
  [1_000n, 4_001n, []],
])('a review from %s of the policy, %s of the pool', (reviewFrom, ofPool, by) => {
  const task = cash({ cost: reviewFrom === 3_999n ? '39.98' : '40.00' })
  expect(parsed(task, under({ reviewFrom }, { reviewFrom: ofPool }))['holds']).toEqual(
    by.map((each) => ({ by: each, detail: expect.any(String) })),
  )
})

test('from four eyes on a review takes two', () => {
  expect(parsed(cash(), under({ fourEyesFrom: 4_000n }))).toMatchObject({ approvals: 2 })
  expect(parsed(cash(), under({ fourEyesFrom: 4_001n }))).toMatchObject({ approvals: 1 })
})

test('what nobody pays is held', () => {
  const view: TaskView = {
    ...under({}),
    route: (type) => (type === 'fs' ? { partner: 'games', ordered: true } : undefined),
  }
  expect(parsed(cash(), view)).toMatchObject({ partner: null, holds: [{ by: 'no_partner' }] })
  expect(parsed(task(1), view)).toMatchObject({ partner: 'games', ordered: true, holds: [] })
})

test('what others leave empty is as if it was not there', () => {
  const reward = { type: 'loot', amount: null, cost: null, currency: null }
  expect(parsed({ ...good, reward, cost: null, kyc: null, holds: null, geo: null, payer: null })).toMatchObject({
    value: 0n,
    cost: 0n,
    currency: null,
    payer: null,
  })
})
