import { describe, expect, it } from 'vitest'
import type { RuleSwitch, RuleVersion } from '../../rules/compiled.ts'
import { bucketsOf, isIn, rolloutSeed } from '../../rules/rollout.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { problemsOf, ruleOf, ruleText } from '../rules/rule-texts.ts'
import { eventLine, TestEngine } from '../support/engine.ts'

const USERS = Array.from({ length: 100_000 }, (_, i) => `u_${i}`)
const NOW = Date.parse('2025-11-03T10:00:00Z')
const SPLIT = 'experiment: { id: winter_ab, arms: [{ name: a }, { name: b }, { name: c, weight: 2 }] }'

function version(name: string, meta = '', from?: number, more: Parameters<typeof ruleText>[0] = {}): RuleVersion {
  const text = ruleText({ ...more }).replace('version: "1.0"', `version: "${name}"${meta === '' ? '' : `, ${meta}`}`)
  return { rule: ruleOf(text), effectiveFrom: from }
}

const ramp = (from: number, rollout: number, of = '1.0'): RuleSwitch => ({
  kind: 'ramped',
  ruleId: 'r',
  version: of,
  rollout,
  from,
})
const said = (kind: 'paused' | 'resumed' | 'retired', from: number): RuleSwitch => ({ kind, ruleId: 'r', from })
const event = (userId: string, ts: number, eventName = 'bet') => ({ eventId: 'e', eventName, userId, ts, data: {} })

/** The version and the arm by which a player is judged at an instant; undefined where the rule has nothing for them. */
function judged(set: ReturnType<typeof ruleSetOf>, userId: string, ts: number, eventName = 'bet') {
  const found = set.at(eventName, ts).filter((rule) => rule.matches(event(userId, ts, eventName)))
  if (found.length > 1) throw new Error(`${userId} is judged twice`)
  return found[0] && `${found[0].version}${found[0].arm === undefined ? '' : ` ${found[0].arm}`}`
}

describe('a rollout', () => {
  it('raised from 10 to 50 to 100 drops nobody, and each step has its share of 100,000 players', () => {
    const set = ruleSetOf([version('1.0', 'rollout: 10')], [ramp(100, 50), ramp(200, 100)])
    let before = new Set<string>()
    for (const [ts, share] of [
      [0, 0.1],
      [100, 0.5],
      [200, 1],
    ] as const) {
      const now = new Set(USERS.filter((user) => judged(set, user, ts) !== undefined))
      expect([...before].filter((user) => !now.has(user))).toEqual([])
      expect(Math.abs(now.size / USERS.length - share)).toBeLessThan(0.005)
      before = now
    }
  })

  it('leaves whom it does not take in with the version before', () => {
    const set = ruleSetOf(
      [version('1.0'), version('2.0', 'rollout: 25', 100), version('3.0', 'rollout: 10', 200)],
      [ramp(300, 60, '2.0')],
    )
    const shares = (ts: number) => {
      const counts: Record<string, number> = {}
      for (const user of USERS.slice(0, 20_000)) {
        const name = String(judged(set, user, ts))
        counts[name] = Math.round(((counts[name] ?? 0) + 1 / 200) * 1e6) / 1e6
      }
      return Object.fromEntries(Object.entries(counts).map(([name, percent]) => [name, Math.round(percent)]))
    }
    expect(shares(0)).toEqual({ '1.0': 100 })
    expect(shares(100)).toEqual({ '1.0': 75, '2.0': 25 })
    expect(shares(200)).toEqual({ '1.0': 75, '2.0': 15, '3.0': 10 })
    expect(shares(300)).toEqual({ '1.0': 40, '2.0': 50, '3.0': 10 })
  })

  it('of a new version takes in whom the one before had', () => {
    const set = ruleSetOf([version('1.0', 'rollout: 20'), version('2.0', 'rollout: 20', 100)])
    const at = (ts: number) => USERS.slice(0, 5_000).filter((user) => judged(set, user, ts) !== undefined)
    expect(at(100)).toEqual(at(0))
    expect(at(0).length).toBeGreaterThan(900)
  })

  it('of 0 percent has nobody, and brings the version before back to all', () => {
    const set = ruleSetOf([version('1.0'), version('2.0', '', 100)], [ramp(200, 0, '2.0')])
    expect([0, 100, 200].map((ts) => judged(set, 'u_1', ts))).toEqual(['1.0', '2.0', '1.0'])
  })

  it('counts for the events of the version: who is left with the old one is not judged on new events', () => {
    const wide = { event: '[bet, spin]' }
    const set = ruleSetOf([version('1.0'), version('2.0', 'rollout: 50', 100, wide)])
    const half = USERS.slice(0, 1_000)
    for (const user of half) {
      const newer = judged(set, user, 100) === '2.0'
      expect(judged(set, user, 100, 'spin')).toBe(newer ? '2.0' : undefined)
    }
  })

  it('keeps the windows of the version that some players still have', () => {
    const looksBack = { formula: 'count(deposit, 7d)' }
    const set = ruleSetOf(
      [version('1.0', '', undefined, looksBack), version('2.0', 'rollout: 10', 100)],
      [ramp(200, 100, '2.0'), ramp(300, 0, '2.0'), said('retired', 400)],
    )
    const counted = (ts: number) => set.windows.at(ts).byEvent.has('deposit')
    expect([0, 100, 199, 200, 299, 300, 399, 400].map(counted)).toEqual([
      true,
      true,
      true,
      false,
      false,
      true,
      true,
      false,
    ])
  })
})

describe('a rule that is paused, resumed, retired', () => {
  it('judges nothing from the instant on at which it is paused until it is resumed, and nothing after its end', () => {
    const switches = [said('retired', 400), said('paused', 100), said('resumed', 200), said('resumed', 500)]
    const set = ruleSetOf([version('1.0'), version('2.0', '', 150), version('3.0', '', 600)], switches)
    expect([99, 100, 150, 199, 200, 399, 400, 500, 600].map((ts) => judged(set, 'u', ts))).toEqual([
      '1.0',
      undefined,
      undefined,
      undefined,
      '2.0',
      '2.0',
      undefined,
      undefined,
      undefined,
    ])
  })

  it('keeps its windows while it is paused', () => {
    const set = ruleSetOf([version('1.0', '', undefined, { formula: 'count(deposit, 7d)' })], [said('paused', 100)])
    expect(set.windows.at(150).byEvent.has('deposit')).toBe(true)
  })
})

describe('the arms of an experiment', () => {
  const set = ruleSetOf([version('1.0', SPLIT)])
  const armOf = (user: string): string => judged(set, user, 0)?.split(' ')[1] ?? ''

  it('have the players by their weights, in every stratum, and a player has always the same', () => {
    const users = USERS.map((user, i) => ({ user, stratum: i % 12 }))
    const expected = [0.25, 0.25, 0.5]
    const table = Array.from({ length: 12 }, () => [0, 0, 0])
    for (const { user, stratum } of users) {
      const row = table[stratum] ?? []
      const arm = 'abc'.indexOf(armOf(user))
      row[arm] = (row[arm] ?? 0) + 1
    }
    // 12 strata with 2 degrees of freedom each: p > 0.001 below 51.18.
    const total = table.reduce((sum, row) => sum + chiSquare([row], [expected.map((share) => share * rowSum(row))]), 0)
    expect(total).toBeLessThan(51.18)
    expect(armOf('u_7')).toBe(armOf('u_7'))
  })

  it('are independent of the rollout', () => {
    const tenth = bucketsOf(10)
    const table = Array.from({ length: 10 }, () => [0, 0, 0])
    for (const user of USERS) {
      const inTenth = (i: number): boolean =>
        isIn({ seed: rolloutSeed('r'), from: i * tenth, below: (i + 1) * tenth }, user)
      const row = table.find((_, i) => inTenth(i)) ?? []
      const arm = 'abc'.indexOf(armOf(user))
      row[arm] = (row[arm] ?? 0) + 1
    }
    const columns = [0, 1, 2].map((i) => table.reduce((sum, row) => sum + (row[i] ?? 0), 0))
    const expected = table.map((row) => columns.map((column) => (rowSum(row) * column) / USERS.length))
    // 18 degrees of freedom: p > 0.001 below 42.31.
    expect(chiSquare(table, expected)).toBeLessThan(42.31)
  })

  it('have what they say in place of what the rule says, and scores and rewards name arm and stratum', async () => {
    const text = `
rule_id: r
when: { event_name: bet }
score: { formula: 1, caps: { per_day: 9 } }
reward_trigger: { on_progress: { threshold: [1], reward: { type: fs, value: 5 } } }
meta:
  experiment:
    id: winter_ab
    arms:
      - name: control
      - name: double
        score: { formula: 4, caps: { per_bet: 3 } }
        reward_trigger: { on_progress: { threshold: [3], reward: { type: fs, value: 7 } } }
`
    const engine = new TestEngine(ruleSetOf([{ rule: ruleOf(text), effectiveFrom: undefined }]))
    const users = USERS.slice(0, 20)
    await engine.feed(
      users.map((user, i) => {
        const line = JSON.parse(eventLine({ id: `e${i}`, name: 'bet', ts: NOW + i, user, payload: { bet: 1 } }))
        return { value: JSON.stringify({ ...line, user: { ...line.user, geo: 'TR', payer_flag: i % 2 === 0 } }) }
      }),
    )
    const { scores, rewards } = engine.output
    expect(scores).toHaveLength(20)
    expect(new Set(scores.map(({ value }) => value.arm))).toEqual(new Set(['control', 'double']))
    for (const { value } of scores) {
      const i = users.indexOf(value.user_id)
      const stratum = { payer: i % 2 === 0, geo: 'TR', platform: null }
      const double = value.arm === 'double'
      expect(value).toMatchObject({ experiment: 'winter_ab', stratum, points: double ? 3 : 1 })
      const [reward, ...more] = rewards.flatMap(({ value: one }) =>
        one.type !== 'player.changed' && one.user_id === value.user_id ? [one] : [],
      )
      expect(more).toEqual([])
      expect(reward?.origin).toMatchObject({ experiment: 'winter_ab', arm: value.arm, stratum })
      expect(reward?.reward).toMatchObject({ amount: double ? 7 : 5 })
    }
  })

  it('a rule without arms says nothing of them', async () => {
    const engine = new TestEngine(ruleSetOf([version('1.0', 'experiment: only_a_name')]))
    await engine.feed([{ value: eventLine({ id: 'e', name: 'bet', ts: NOW, payload: { bet: 1 } }) }])
    expect(Object.keys(engine.output.scores[0]?.value ?? {})).not.toContain('arm')
    expect(Object.keys(engine.output.scores[0]?.value ?? {})).not.toContain('experiment')
  })

  it('one that looks back takes all of them to the strict lane', () => {
    const arms = 'experiment: { id: x, arms: [{ name: a }, { name: b, score: { formula: "count(deposit, 7d)" } }] }'
    const [a, b] = ruleSetOf([version('1.0', arms)]).at('bet', 0)
    expect([a?.ordering, b?.ordering]).toEqual(['strict', 'strict'])
    expect(a?.windows).toEqual(b?.windows)
    expect(a?.windows).toHaveLength(1)
  })
})

describe('what a rule says of its rollout and its arms', () => {
  it.each([
    ['rollout: 110', 'rollout is a number with at most 2 decimals from 0 to 100, not 110'],
    ['rollout: 0.001', 'at most 2 decimals'],
    ['experiment: { arms: [{ name: a }, { name: b }] }', 'id is missing'],
    ['experiment: { id: x }', 'arms is missing'],
    ['experiment: { id: x, arms: [{ name: a }] }', 'from 2 to 20 arms, not 1'],
    ['experiment: { id: x, arms: [{ name: a }, { name: a }] }', 'two arms named a'],
    ['experiment: { id: x, arms: [{ name: a }, { weight: 2 }] }', 'name is missing'],
    ['experiment: { id: x, arms: [{ name: a }, { name: b, weight: 0 }] }', 'weight is a number'],
    ['experiment: { id: x, arms: [{ name: a, weight: 1000000 }, { name: b, weight: 1 }] }', 'weight of b is less than'],
    ['experiment: { id: x, arms: [{ name: a }, { name: b, when: 5 }] }', 'an arm has no key "when"'],
    ['experiment: { id: x, arms: [{ name: a }, { name: b, score: { formula: "flor(1)" } }] }', 'no function "flor"'],
    [
      'experiment: { id: x, arms: [{ name: a }, { name: b, score: { formula: 1, time_zone: UTC } }] }',
      'the score of an arm has no key "time_zone"',
    ],
  ])('%s is refused', (meta, message) => {
    const problems = problemsOf(ruleText().replace('version: "1.0"', `version: "1.0", ${meta}`))
    expect(problems.map((problem) => problem.message).join()).toContain(message)
  })
})

function rowSum(row: readonly number[]): number {
  return row.reduce((sum, count) => sum + count, 0)
}

function chiSquare(observed: readonly (readonly number[])[], expected: readonly (readonly number[])[]): number {
  let sum = 0
  for (const [i, row] of observed.entries()) {
    for (const [j, count] of row.entries()) {
      const wanted = expected[i]?.[j] ?? 0
      sum += (count - wanted) ** 2 / wanted
    }
  }
  return sum
}
