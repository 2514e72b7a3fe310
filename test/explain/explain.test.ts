import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explain as explainRecords, type Explanation, type PlayerRecords } from '../../cli/explain/explanation.ts'
import { sentences } from '../../cli/explain/sentences.ts'
import type { FrozenRewardTask } from '../../core/model/reward.ts'
import { runCli } from '../cli/process.ts'
import { eventLine } from '../support/engine.ts'

const RULE = `
rule_id: r_bets
when: { event_name: bet, filters: [payload.bet >= 1] }
score:
  formula: "payload.win / payload.bet * 10"
  caps: { per_bet: 50, per_day: 120 }
reward_trigger:
  on_progress:
    threshold: [60, 100, 110, 500]
    reward: [{ type: fs, value: 10 }, { type: bonus_cash, value: 2.50 }, { type: fs, value: 1 }, { type: loot }]
  limits: { cool_down: 10m }
guardrails: { kyc_min_level: 2, budget_pool: nov_season }
`
const START = Date.parse('2025-11-03T10:00:00Z')
const bet = (id: string, minute: number, payload: object, user = 'u_1'): string =>
  eventLine({ id, user, name: 'bet', ts: START + minute * 60_000, payload: { currency: 'EUR', ...payload } })

const kyc = (id: string, minute: number, level: number, user: string): string =>
  eventLine({ id, user, name: 'kyc_status_changed', ts: START + minute * 60_000, payload: { kyc_level: level } })

let dir = ''
let looked: string[] = []
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'onceward-explain-'))
  const [rules, events, out] = [join(dir, 'rules.yaml'), join(dir, 'events.ndjson'), join(dir, 'out')]
  writeFileSync(rules, RULE)
  const lines = [
    kyc('k1', -1, 2, 'u_1'),
    bet('e1', 0, { bet: 1, win: 9 }),
    bet('e2', 1, { bet: 0.5, win: 9 }),
    bet('e3', 20, { bet: 2, win: 4 }),
    bet('e4', 21, { bet: 1, win: 1 }, 'u_2'),
    kyc('k3', 22, 1, 'u_3'),
    bet('f1', 22, { bet: 1, win: 9 }, 'u_3'),
    bet('f2', 23, { bet: 2, win: 4 }, 'u_3'),
    eventLine({ id: 'x3', user: 'u_3', name: 'rg_event', ts: START + 24 * 60_000, payload: { type: 'cool_off' } }),
    bet('e5', 40, { bet: 2, win: 6 }),
    bet('e6', 41, { bet: 2, win: 4 }),
    bet('late', 5, { bet: 2, win: 4 }),
    bet('e7', 42, { bet: 2 }),
  ]
  writeFileSync(events, `${lines.join('\n')}\n`)
  const { code, stderr } = await runCli([
    'run',
    '--events',
    events,
    '--rules',
    rules,
    '--out',
    out,
    '--partitions',
    '1',
  ])
  if (code !== 0) throw new Error(stderr)
  looked = ['--out', out, '--rules', rules]
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

async function explain(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(['explain', ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

describe('onceward explain', () => {
  test('says in sentences what counted, what was cut, what was issued and why not', async () => {
    const text = await explain('--user', 'u_1', ...looked)
    for (const sentence of [
      '5 events counted between 2025-11-03 10:00:00 UTC and 2025-11-03 10:42:00 UTC. 4 of them gave points, 120 in all.',
      'The cap for one event (at most 50 points) took 40 points from 1 event.',
      '1 event gave nothing because the formula came to no number, such as e7: ',
      'Progress is 120 as of 2025-11-03 10:42:00 UTC. The next reward, loot, comes at 500: 380 points are missing, so it was not issued yet.',
      'Issued: 10 fs for 60 points, earned by event e3 on 2025-11-03 10:20:00 UTC, from the pool nov_season (rt_',
      'Issued: 2.50 EUR bonus_cash for 100 points, earned by event e5',
      'Paying it asks for KYC level 2.',
      'The reward for 110 points was not given when event e6 reached them on 2025-11-03 10:41:00 UTC, because the last one was too short ago: ',
      'e1: 90 points, cut to 50 by per_bet; progress 50',
      '1 event never reached a rule:',
      'late (late): ts 2025-11-03T10:05:00.000Z is',
    ]) {
      expect(text).toContain(sentence)
    }
    // It fails the filter, and u_2 is somebody else.
    expect(text).not.toMatch(/\be2\b|\be4\b/)
  })

  // A rule with a cool-down is of the strict lane: the reward was judged when event e5 had moved the time past f2.
  test('says that a reward is frozen, since when, why, and what lifts it', async () => {
    const text = await explain('--user', 'u_3', ...looked)
    expect(text).toContain('Frozen: 10 fs for 60 points, earned by event f2 on 2025-11-03 10:23:00 UTC, from the pool')
    expect(text).toContain(
      'It is frozen since 2025-11-03 10:40:00 UTC (cool_off and KYC level 1, and 2 is needed). It is released once this is lifted: cool_off and KYC level 1, and 2 is needed.',
    )
  })

  test('tells the same to a program', async () => {
    const {
      user_id: userId,
      rules,
      set_aside: setAside,
    } = JSON.parse(await explain('--user', 'u_1', ...looked, '--json')) as Explanation
    expect(userId).toBe('u_1')
    expect(rules).toMatchObject([
      {
        rule_id: 'r_bets',
        points: 120,
        cut: [{ cap: 'per_bet', events: 1, points: 40, limit: 50 }],
        progress: { points: 120, next: { threshold: 500, missing: 380, reward: 'loot' } },
        withheld: [{ threshold: 110, reason: 'cool_down', event_id: 'e6' }],
      },
    ])
    expect(rules[0]?.rewards.map(({ origin }) => origin.threshold)).toEqual([60, 100])
    expect(setAside).toMatchObject([{ event_id: 'late', reason: 'late' }])
  })

  test('looks at one rule and a range of time alone, where asked', async () => {
    const asked = async (...args: readonly string[]): Promise<string[]> =>
      (JSON.parse(await explain('--user', 'u_1', ...looked, '--json', ...args)) as Explanation).rules.flatMap(
        ({ events }) => events.map(({ event_id: id }) => id),
      )
    expect(await asked('--from', '2025-11-03T10:20:00Z', '--to', '2025-11-03T10:41:00Z')).toEqual(['e3', 'e5'])
    expect(await asked('--rule', 'r_other')).toEqual([])
    expect(await asked('--rule', 'r_bets', '--from', '2025-11-04')).toEqual([])
  })

  test('says so where there is nothing, and where it does not know the rules', async () => {
    expect(await explain('--user', 'u_nobody', ...looked)).toContain('No rule has matched an event of this player')
    const text = await explain('--user', 'u_2', ...looked.slice(0, 2))
    expect(text).toContain('Progress is 10 as of 2025-11-03 10:21:00 UTC. What the next reward needs is not known')
  })

  test('needs a place to look', async () => {
    const { code, stderr } = await runCli(['explain', '--user', 'u_1'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('either --out DIR of a run, or --brokers HOST:PORT')])
  })
})

describe('what became of a frozen reward', () => {
  const base = {
    reward_task_id: 'rt_1',
    user_id: 'u',
    origin: { rule_id: 'r', rule_version: '1', threshold: 10, period: 'all', event_id: 'e' },
    reward: { type: 'bonus_cash', amount: 2, currency: 'EUR' },
    pool_id: null,
    guardrails: {},
    kyc: { required: 2, level: 0 },
    created_at: '2025-11-03T10:00:00.000Z',
  }
  const frozen: FrozenRewardTask = {
    ...base,
    type: 'reward_task.frozen',
    status: 'frozen',
    reasons: [{ gate: 'kyc', required: 2, level: 0 }],
    frozen_at: '2025-11-03T10:01:00.000Z',
    expires_at: '2025-11-10T10:01:00.000Z',
  }
  const excluded = {
    type: 'player.changed',
    user_id: 'u',
    kyc_level: 2,
    restrictions: [{ kind: 'self_exclusion', since: '2025-11-04T00:00:00.000Z', until: '2025-12-01T00:00:00.000Z' }],
    as_of: '2025-11-04T00:00:00.000Z',
    seq: 1,
    event_id: 'x',
  } as const
  const saidOf = (rewards: PlayerRecords['rewards']): string => {
    const question = { userId: 'u', ruleId: undefined, fromMs: undefined, toMs: undefined }
    return sentences(explainRecords({ scores: [], rewards, deadLetters: [] }, [], question), 10)
  }

  test('what it waits for is what stands against it now, not what did once', () => {
    expect(saidOf([frozen, excluded])).toContain(
      'It is frozen since 2025-11-03 10:01:00 UTC (KYC level 0, and 2 is needed). It is released once this is lifted: self_exclusion until 2025-12-01T00:00:00.000Z, unless that takes longer than until 2025-11-10 10:01:00 UTC, when it expires.',
    )
  })

  test('a released one is issued once, and says how long it waited', () => {
    const released = { ...base, type: 'reward_task.created', status: 'pending' } as const
    const text = saidOf([frozen, excluded, { ...released, released_at: '2025-11-05T00:00:00.000Z' }])
    expect(text.match(/rt_1/g)).toHaveLength(1)
    expect(text).toContain(
      'Issued: 2.00 EUR bonus_cash for 10 points, earned by event e on 2025-11-03 10:00:00 UTC (rt_1).',
    )
    expect(text).toContain(
      'It was frozen on 2025-11-03 10:01:00 UTC (KYC level 0, and 2 is needed) and released on 2025-11-05 00:00:00 UTC.',
    )
  })

  test('an expired one says so', () => {
    const expired = { ...base, type: 'reward_task.expired', status: 'expired' } as const
    expect(saidOf([frozen, { ...expired, expired_at: '2025-11-10T10:01:00.000Z' }])).toMatch(
      /^ {2}Expired: .*its time was up on 2025-11-10 10:01:00 UTC before that was lifted\.$/m,
    )
  })
})
