import { expect, test } from 'vitest'
import type { LogRecord } from '../../core/ports/log.ts'
import { parseTask } from '../../pipeline/payout/task.ts'
import { task } from './fixtures.ts'

function record(value: unknown): LogRecord {
  const bytes = value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  return { topic: 'reward.tasks', partition: 2, offset: 17, timestamp: 0, key: null, value: bytes }
}

function parsed(value: unknown): Record<string, unknown> {
  const result = parseTask(record(value))
  if (!result.ok) throw new Error(result.detail)
  return { ...result.task }
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
  ['depth without end', `${'{"a":'.repeat(50)}1${'}'.repeat(50)}`],
])('%s is refused with a reason', (_, value) => {
  const result = parseTask(record(value))
  expect(result).toMatchObject({ ok: false, detail: expect.stringMatching(/^not a reward task: .{10,}/) })
})

test('what could be read of a refused task is kept for the review', () => {
  expect(parseTask(record({ ...good, reward: null }))).toMatchObject({ userId: 'u_0', eventId: 'e_0' })
})
