import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { differenceLine, IssueList, rewardText, SHOWN_MAX } from '../../cli/replay/report.ts'
import type { RewardTask } from '../../core/model/reward.ts'
import { compareTasks, rewardDifference } from '../../pipeline/replay/differences.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { Lab } from '../support/worker-harness.ts'
import { replay } from './replay-lab.ts'

const task = (change: { eventId?: string; version?: string } & Partial<RewardTask> = {}): RewardTask => {
  const { eventId = 'e1', version = '1.0', ...rest } = change
  return {
    type: 'reward_task.created',
    reward_task_id: 'rt_1',
    user_id: 'u_1',
    origin: { rule_id: 'r', rule_version: version, threshold: 100, period: 'all', event_id: eventId },
    reward: { type: 'bonus_cash', amount: 2, currency: 'EUR', wagering: 15 },
    pool_id: 'nov',
    guardrails: { kyc_min_level: 2 },
    status: 'pending',
    created_at: '2025-10-24T11:38:30.000Z',
    ...rest,
  }
}

describe('two tasks of one id', () => {
  const owed = { type: 'bonus_cash', amount: 2, currency: 'EUR' }
  test.each<[string, RewardTask, boolean, string]>([
    ['the same', task(), true, ''],
    ['another version of the rule', task({ version: '2.0' }), true, ''],
    ['another amount', task({ reward: { ...owed, amount: 3, wagering: 15 } }), true, 'different reward.amount'],
    ['an attribute less', task({ reward: owed }), true, 'different reward.wagering'],
    ['another pool', task({ pool_id: null }), true, 'different pool_id'],
    [
      'a guardrail more',
      task({ guardrails: { kyc_min_level: 2, rg_limits_ok: true } }),
      true,
      'different guardrails.rg_limits_ok',
    ],
    ['another event', task({ eventId: 'e2' }), true, 'moved origin.event_id'],
    [
      'another pool, issued for an event outside',
      task({ eventId: 'e2', pool_id: null }),
      false,
      'moved origin.event_id',
    ],
  ])('%s', (_, issued, within, expected) => {
    const once = (record: RewardTask) => ({ first: record, last: record })
    const found = compareTasks(
      { replayed: once(task()), issued: once(issued) },
      { issuedWithinSpan: within, knowsPlayers: true, replayedTo: 0 },
    )
    expect(found === undefined ? '' : [found.kind, ...found.fields].join(' ')).toBe(expected)
  })
})

test('a line says who, by which rule, and what', () => {
  expect(rewardText({ type: 'loot', rarity: 'rare' })).toBe('loot rare')
  expect(differenceLine(rewardDifference('missing', { replayed: task() }))).toBe(
    'missing    u_1  r  100  2 bonus_cash EUR',
  )
  const issued = task({ reward: { type: 'fs', amount: 5 } })
  expect(differenceLine(rewardDifference('different', { replayed: task(), issued, fields: ['reward.type'] }))).toBe(
    'different  u_1  r  100  5 fs issued, 2 bonus_cash EUR now  (reward.type)',
  )
  expect(differenceLine({ type: 'points', user_id: 'u', rule_id: 'r', issued: 1_000, replayed: 990 })).toBe(
    'points     u  r  1,000 issued, 990 now (-10)',
  )
})

test('amounts are added exactly', () => {
  const list = new IssueList()
  for (let i = 0; i < 3; i++) list.add(task({ reward: { type: 'cash', amount: 0.1, currency: 'EUR' } }))
  list.add(task({ reward: { type: 'coupon', code: 'X' } }))
  expect(list.table().split('\n').slice(1, 3)).toEqual([
    expect.stringMatching(/^r 1\.0, 100 +3 +0\.1 cash EUR +0\.30$/),
    expect.stringMatching(/^r 1\.0, 100 +1 +coupon X$/),
  ])
})

describe('the report', () => {
  let lab: Lab
  let dir = ''
  afterEach(async () => {
    await lab.close()
    rmSync(dir, { recursive: true, force: true })
  })

  test('is a table and the first differences for people; the files hold all of them', async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-report-'))
    const out = join(dir, 'diff')
    lab = await Lab.open({ partitions: 2, rules: RULE_FILES })
    await lab.produce(generatedBets(1_500, 51))
    const worker = lab.start()
    await lab.caughtUp()
    await worker.stop()
    const rules = { 'rounds.yaml': (RULE_FILES['rounds.yaml'] ?? '').replace('"1"', '"2"') }
    const { stdout } = await replay(lab, { rules, settings: { json: false, out } })
    const json = await replay(lab, { rules })
    const [head, ...rows] = stdout.split('\n')
    expect(head).toMatch(
      /^rule +issued +replayed +missing +extra +different +moved +points issued +points replayed +users differ$/,
    )
    expect(rows.slice(0, 3).map((row) => row.split(' ')[0])).toEqual(['r_points_winmult_v2', 'r_rounds', 'all'])
    expect(rows.slice(4, 4 + SHOWN_MAX).every((row) => /^(missing|extra|moved|points) +u_/.test(row))).toBe(true)
    expect(rows[4 + SHOWN_MAX]).toBe(
      `and ${(json.differences.length - SHOWN_MAX).toLocaleString('en-US')} more; --out DIR writes all of them`,
    )
    expect(readdirSync(out).sort()).toEqual(['points.ndjson', 'rewards.ndjson', 'summary.json'])
    const lines = ['rewards.ndjson', 'points.ndjson'].flatMap((file) =>
      readFileSync(join(out, file), 'utf8').trim().split('\n'),
    )
    expect(lines.sort()).toEqual(json.differences.map((each) => JSON.stringify(each)).sort())
    expect(JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8'))).toEqual(json.summary)
  })
})
