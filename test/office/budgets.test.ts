import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { leftOf } from '../../cli/budgets/list.ts'
import { perHead } from '../../cli/budgets/costs.ts'
import { countActives } from '../../cli/budgets/actives.ts'
import type { OutRecord } from '../../core/ports/log.ts'
import { loadNormalizer } from '../../cli/runtime.ts'
import { dryAt } from '../../connectors/ledger/back-office/budget-list.ts'
import { openTestLog } from '../payout/test-log.ts'
import { runLine, type Ran } from './command-line.ts'
import { give, type Office, pool, startOffices } from './office.ts'

let offices: Awaited<ReturnType<typeof startOffices>>
let office: Office
beforeAll(async () => {
  offices = await startOffices()
})
afterAll(() => offices.stop())
beforeEach(async () => {
  office = await offices.open()
})
afterEach(() => office.close())

function bet({ user, ts, payer }: { user: string; ts: string; payer: boolean }): OutRecord {
  const event = {
    event_id: `e_${user}_${ts}`,
    event_name: 'bet',
    version: '1.2.0',
    ts,
    user: { id: user, geo: 'TR', platform: 'android', payer_flag: payer, risk_flags: [] },
    context: { session_id: 's_1', device_fp: 'fp', ip: '203.0.113.24' },
    payload: { game_id: 'slot_wolf', bet: 0.5, win: 1.25, currency: 'EUR', provider: 'GameCo' },
  }
  return {
    topic: 'events.raw',
    partition: user.length % 2,
    key: user,
    value: JSON.stringify(event),
    timestamp: Date.parse(ts),
  }
}

const run = (...line: string[]): Promise<Ran> => runLine(office, line)

test('budgets: what each pool has, what is gone and what is left', async () => {
  await pool(office, 'season', { budget: '1000.00', softCap: '800.00' })
  await pool(office, 'open', { budget: null })
  await give(office, { id: 'a', status: 'succeeded', cost: '100.00' })
  await give(office, { id: 'b', status: 'sent', cost: '25.50' })
  await give(office, { id: 'c', status: 'held', cost: '300.00' })
  const { stdout } = await run('budgets')
  expect(stdout).toMatch(/^open +all +none +- +0\.00 +0\.00 +- +- +- +-$/m)
  expect(stdout).toMatch(/^season +all +1000\.00 +800\.00 +100\.00 +25\.50 +874\.50 +12\.55 % +- +2\d{3}-/m)
  const json = JSON.parse((await run('budgets', '--pool', 'season', '--json')).stdout) as { budgets: unknown[] }
  expect(json.budgets).toMatchObject([{ pool: 'season', left: '874.50', percent: '12.55', overrun: '0.00' }])
})

test.each([
  ['nothing of nothing', { budget: 0n, spent: 0n, reserved: 0n }, { left: 0n, usedBp: 0n }],
  ['a budget of nothing', { budget: 0n, spent: 1n, reserved: 0n }, { left: -1n, usedBp: 10_000n }],
  ['a part, rounded down', { budget: 300n, spent: 100n, reserved: 100n }, { left: 100n, usedBp: 6_666n }],
  ['no budget', { budget: null, spent: 100n, reserved: 100n }, null],
])('what is left: %s', (_, some, left) => {
  const now = new Date(0)
  const terms = { poolId: 'p', period: 'all', softCap: null, overrun: 0n, breakerPercent: 90 }
  expect(leftOf({ ...terms, since: now, dryAt: null, ...some })).toEqual(left)
})

describe('when a pool runs dry', () => {
  const [since, now] = [new Date(0), new Date(1_000)]
  test.each([
    ['at the pace so far', { since, now, gone: 50n, budget: 150n }, 3_000],
    ['never, where nothing is gone', { since, now, gone: 0n, budget: 100n }, undefined],
    ['no more, where all is gone', { since, now, gone: 100n, budget: 100n }, undefined],
    ['not to be told at once', { since, now: since, gone: 1n, budget: 100n }, undefined],
    ['later than there are dates', { since, now, gone: 1n, budget: 10n ** 17n }, undefined],
  ])('%s', (_, of, at) => {
    expect(dryAt(of)?.getTime()).toBe(at)
  })
})

describe('budgets cost', () => {
  test('for each who was rewarded, and for each active and payer that is told', async () => {
    await give(office, { id: 'a', status: 'succeeded', cost: '10.00', user: 'u_1', payer: true })
    await give(office, { id: 'b', status: 'succeeded', cost: '5.00', user: 'u_2', payer: false, rule: 'r_other' })
    const { stdout } = await run(
      'budgets',
      'cost',
      '--by',
      'rule',
      '--actives',
      '300',
      '--payers',
      '7',
      '--from',
      '2025-11-03',
    )
    expect(stdout).toMatch(/^r_test +1 +10\.00 +0\.00 +1 +10\.00 +1 +10\.00 +0\.03 +1\.43$/m)
    expect(stdout).toMatch(/^all +2 +15\.00 +0\.00 +2 +7\.50 +1 +15\.00 +0\.05 +2\.14$/m)
    expect(stdout).toContain('300 were active, 7 pay')
    const none = await run('budgets', 'cost', '--until', '2025-11-03', '--json')
    expect(JSON.parse(none.stdout)).toMatchObject({
      costs: [{ all: true, paid: '0.00', per_rewarded_player: null, per_active: null }],
    })
  })

  test('counted and given at once is a mistake', async () => {
    const { error } = await run('budgets', 'cost', '--actives', '3', '--brokers', 'localhost:1')
    expect(error?.code).toBe('ONCEWARD_E_USAGE')
  })

  test.each([
    [1000n, 3, '3.33'],
    [1n, 2, '0.00'],
    [3n, 2, '0.02'],
    [1000n, 0, null],
    [1000n, undefined, null],
  ])('%d cents over %s are %s', (cost, players, each) => {
    expect(perHead(cost, players)).toBe(each)
  })

  test('active players and payers are counted once each, by event time, whatever repeats itself', async () => {
    const at = (day: number): string => `2025-11-0${day}T12:00:00Z`
    const test = await openTestLog({ 'events.raw': 2 })
    await test.append([
      bet({ user: 'u_1', ts: at(3), payer: false }),
      bet({ user: 'u_1', ts: at(3), payer: true }),
      bet({ user: 'u_1', ts: at(3), payer: true }),
      bet({ user: 'u_2', ts: at(3), payer: false }),
      bet({ user: 'u_3', ts: at(2), payer: true }),
      bet({ user: 'u_4', ts: at(4), payer: true }),
      { ...bet({ user: 'u_5', ts: at(3), payer: true }), value: 'no event' },
    ])
    const { log } = test
    const question = {
      topic: 'events.raw',
      normalize: await loadNormalizer(),
      from: Date.parse('2025-11-03T00:00:00Z'),
      until: Date.parse('2025-11-04T00:00:00Z'),
      playersMax: 10,
      signal: new AbortController().signal,
    }
    expect(await countActives(log, question)).toEqual({ actives: 2, payers: 1 })
    expect(await countActives(log, { ...question, from: undefined, until: undefined })).toEqual({
      actives: 4,
      payers: 3,
    })
    await expect(countActives(log, { ...question, playersMax: 1 })).rejects.toMatchObject({
      code: 'ONCEWARD_E_GAVE_UP',
    })
    await test.close()
  })
})
