import { describe, expect, test } from 'vitest'
import { KYC_DEFAULTS, NO_POLICY, type PayoutPolicy, type PolicyTimeline } from '../../core/model/policy.ts'
import type { Reward, RewardTask } from '../../core/model/reward.ts'
import type { CompiledRule } from '../../rules/compiled.ts'
import { FROZEN_MAX, RESTRICTION_KINDS_MAX } from '../../state/player-state.ts'
import { FROZEN, PLAYERS, TIMERS } from '../../state/stores.ts'
import { type EventFields, eventLine, type Line, TestEngine, testRule, testRules } from '../support/engine.ts'

const T0 = Date.parse('2025-11-03T10:00:00Z')
const MINUTE = 60_000
const at = (minutes: number): string => new Date(T0 + minutes * MINUTE).toISOString()

const line = (fields: Omit<EventFields, 'ts'> & { minute: number }): Line => ({
  value: eventLine({ ...fields, ts: T0 + fields.minute * MINUTE }),
  ingestTs: T0 + fields.minute * MINUTE,
})
const login = (id: string, minute: number, more: Partial<EventFields> = {}): Line => line({ id, minute, ...more })
const kyc = (id: string, minute: number, payload: object): Line =>
  line({ id, minute, name: 'kyc_status_changed', payload })
const rg = (id: string, minute: number, payload: object): Line => line({ id, minute, name: 'rg_event', payload })
const tick = (minute: number): Line => ({ value: '', tick: T0 + minute * MINUTE })

const always = (policy: Partial<PayoutPolicy>): PolicyTimeline => ({
  at: () => ({ policy: { ...NO_POLICY, ...policy }, effectiveFrom: undefined }),
  versions: [],
})

/** A reward for every login. */
function engineOf(reward: Reward, rule: Partial<CompiledRule> = {}, policy: Partial<PayoutPolicy> = {}): TestEngine {
  const thresholds = Array.from({ length: FROZEN_MAX + 10 }, (_, i) => i + 1)
  const rewards = thresholds.map(() => reward)
  const made = testRule({ ruleId: 'r', trigger: { thresholds, rewards, reset: 'never' }, ...rule })
  return new TestEngine(testRules([made], always(policy)))
}

/** Each record on reward.tasks: what it is about, and what it says. */
function told(engine: TestEngine): string[] {
  return engine.output.rewards.map(({ value }) => {
    if (value.type === 'player.changed') {
      const kinds = value.restrictions.map(({ kind, until }) => (until === null ? kind : `${kind} until ${until}`))
      return ['player', `kyc ${value.kyc_level}`, ...kinds].join(', ')
    }
    const what = `${value.type.replace('reward_task.', '')} ${value.origin.event_id}`
    if (value.type === 'reward_task.expired') return `${what} ${value.expired_at}`
    if (value.type === 'reward_task.created') return [what, value.released_at].filter(Boolean).join(' ')
    return `${what} ${value.reasons.map((each) => (each.gate === 'rg' ? each.restriction : 'kyc')).join('+')}`
  })
}

const PLAYERS_BEFORE: Readonly<Record<string, readonly Line[]>> = {
  'nobody told': [],
  'level 0': [kyc('k', -1, { kyc_level: 0 })],
  'level 1': [kyc('k', -1, { kyc_level: 1 })],
  'level 2': [kyc('k', -1, { kyc_level: 2 })],
  'level 2, then rejected': [kyc('k', -2, { kyc_level: 2 }), kyc('k2', -1, { status: 'rejected' })],
  'level 2, then another status': [kyc('k', -2, { kyc_level: 2 }), kyc('k2', -1, { status: 'pending' })],
  'level 2, self-excluded': [kyc('k', -2, { kyc_level: 2 }), rg('x', -1, { type: 'self_exclusion', action: 'set' })],
  'level 2, cooling off': [kyc('k', -2, { kyc_level: 2 }), rg('x', -1, { type: 'Cool-Off', until: at(9) })],
  'level 2, cooled off': [kyc('k', -2, { kyc_level: 2 }), rg('x', -1, { type: 'cool_off', until: at(0) })],
  'level 2, at the deposit limit': [
    kyc('k', -2, { kyc_level: 2 }),
    rg('x', -1, { type: 'deposit_limit', action: 'reached' }),
  ],
  'level 2, with a deposit limit': [
    kyc('k', -2, { kyc_level: 2 }),
    rg('x', -1, { type: 'deposit_limit', action: 'set', limit: 100 }),
  ],
  'level 0, self-excluded': [rg('x', -1, { type: 'self_exclusion' })],
}

/** What becomes of cash, bonus_cash, fs and loot: `-` passes. */
const DECISIONS: Readonly<
  Record<keyof typeof PLAYERS_BEFORE, readonly [cash: string, bonus: string, fs: string, loot: string]>
> = {
  'nobody told': ['kyc', 'kyc', 'kyc', '-'],
  'level 0': ['kyc', 'kyc', 'kyc', '-'],
  'level 1': ['kyc', 'kyc', '-', '-'],
  'level 2': ['-', '-', '-', '-'],
  'level 2, then rejected': ['kyc', 'kyc', 'kyc', '-'],
  'level 2, then another status': ['-', '-', '-', '-'],
  'level 2, self-excluded': ['self_exclusion', 'self_exclusion', 'self_exclusion', 'self_exclusion'],
  'level 2, cooling off': ['cool_off', 'cool_off', 'cool_off', 'cool_off'],
  'level 2, cooled off': ['-', '-', '-', '-'],
  'level 2, at the deposit limit': ['deposit_limit', 'deposit_limit', 'deposit_limit', 'deposit_limit'],
  'level 2, with a deposit limit': ['-', '-', '-', '-'],
  'level 0, self-excluded': ['self_exclusion+kyc', 'self_exclusion+kyc', 'self_exclusion+kyc', 'self_exclusion'],
}

const rows = Object.entries(DECISIONS).flatMap(([player, decisions]) =>
  ['cash', 'bonus_cash', 'fs', 'loot'].map((type, i) => [player, type, decisions[i] ?? ''] as const),
)

describe('gate × player × reward, without a policy and whatever the rule says of responsible gaming', () => {
  test.each(rows)('%s: %s → %s', async (player, type, decision) => {
    for (const ordering of ['any', 'strict'] as const) {
      const engine = engineOf({ type, amount: 2, currency: 'EUR' }, { ordering, guardrails: { rg_limits_ok: false } })
      await engine.feed([...(PLAYERS_BEFORE[player] ?? []), login('e', 0), tick(2)])
      const rewards = told(engine).filter((text) => !text.startsWith('player'))
      expect(rewards).toEqual([decision === '-' ? 'created e' : `frozen e ${decision}`])
    }
  })
})

describe('what a reward needs', () => {
  const LARGE = { largePrize: 5_000n, kyc: { ...KYC_DEFAULTS, largePrize: 3 } }
  test.each<[string, { reward: Reward; rule?: Partial<CompiledRule>; policy?: Partial<PayoutPolicy> }, number]>([
    [
      'what the rule asks for, where that is more',
      { reward: { type: 'fs', amount: 1 }, rule: { guardrails: { kyc_min_level: 3 } } },
      3,
    ],
    [
      'what the type needs, where that is more',
      { reward: { type: 'cash', amount: 1 }, rule: { guardrails: { kyc_min_level: 1 } } },
      2,
    ],
    ['what other types need', { reward: { type: 'nft' }, policy: { kyc: { ...KYC_DEFAULTS, other: 1 } } }, 1],
    ['a prize just below large', { reward: { type: 'cash', amount: 49.99 }, policy: LARGE }, 2],
    ['a large prize', { reward: { type: 'cash', amount: 50 }, policy: LARGE }, 3],
    [
      'a prize whose cost nobody knows',
      { reward: { type: 'cash', amount: 1, currency: 'XYZ' }, policy: { ...LARGE, currency: 'EUR' } },
      3,
    ],
  ])('%s', async (_, { reward, rule, policy }, required) => {
    const engine = engineOf(reward, rule, policy)
    await engine.feed([login('e', 0)])
    expect(engine.earned()).toMatchObject([{ type: 'reward_task.frozen', kyc: { required, level: null } }])
  })

  test('what counts for a player whom nobody has told of is the policy’s', async () => {
    const engine = engineOf({ type: 'cash', amount: 1 }, {}, { kyc: { ...KYC_DEFAULTS, unknown: 2 } })
    await engine.feed([login('e', 0), kyc('k', 1, { kyc_level: 1 }), login('f', 2)])
    expect(told(engine)).toEqual(['created e', 'player, kyc 1', 'frozen f kyc'])
  })
})

describe('what a task carries', () => {
  async function task(reward: Reward, rule: Partial<CompiledRule> = {}, policy: Partial<PayoutPolicy> = {}, more = {}) {
    const engine = engineOf(reward, rule, policy)
    await engine.feed([kyc('k', -1, { kyc_level: 2 }), login('e', 0, more)])
    return engine.output.rewards.find(({ value }) => value.type === 'reward_task.created')?.value as RewardTask
  }

  test('cost, KYC, country, payer, and the pool of the country', async () => {
    const poolByGeo = new Map([
      ['TR', 'nov_tr'],
      ['default', 'nov'],
    ])
    const rule = { poolByGeo, guardrails: { budget_pool: 'other', rg_limits_ok: true } }
    const turkish = await task({ type: 'cash', amount: 2.5, currency: 'EUR' }, rule, {}, { payer: true })
    expect(turkish).toMatchObject({
      cost: '2.50',
      kyc: { required: 2, level: 2 },
      geo: 'TR',
      payer: true,
      pool_id: 'nov_tr',
      guardrails: { budget_pool: 'nov_tr', rg_limits_ok: true },
    })
    expect(turkish).not.toHaveProperty('holds')
    expect((await task({ type: 'loot' }, rule, {}, { geo: 'BR' })).pool_id).toBe('nov')
    const nowhere = await task({ type: 'loot' }, { poolByGeo: new Map([['TR', 'nov_tr']]) }, {}, { geo: null })
    expect(nowhere).toMatchObject({ pool_id: null, guardrails: {} })
    expect(nowhere.guardrails).not.toHaveProperty('budget_pool')
    expect(nowhere).not.toHaveProperty('geo')
  })

  test.each<[string, Reward, string]>([
    ['a currency without a rate', { type: 'cash', amount: 2, currency: 'XYZ' }, 'no_rate'],
    ['an amount with more than two decimals', { type: 'cash', amount: 0.333 }, 'no_cost'],
    ['a negative cost', { type: 'loot', cost: -1 }, 'no_cost'],
    ['an amount that no float holds exactly', { type: 'cash', amount: 1e21 }, 'no_cost'],
  ])('%s: no cost, and a hold; the partition goes on', async (_, reward, by) => {
    const made = await task(reward, {}, { currency: 'EUR' })
    expect(made.holds).toMatchObject([{ by }])
    expect(made).not.toHaveProperty('cost')
  })

  test.each<['minute' | 'hour' | 'day', number, boolean]>([
    ['minute', 0.5, false],
    ['hour', 0.5, true],
    ['hour', 0.51, false],
    ['day', 1, true],
  ])('a sharp rise within the %s by %d of the threshold: held %s', async (within, share, held) => {
    const trigger = { thresholds: [4], rewards: [{ type: 'loot' }], reset: 'never' } as const
    const engine = engineOf({ type: 'loot' }, { trigger, sharpRise: { share, within } })
    // Two of four points in the hour of the crossing, one in its minute.
    await engine.feed([login('a', -20), login('b', -10), login('c', 1), login('d', 2)])
    const [crossing] = engine.earned()
    expect(crossing?.holds?.map(({ by }) => by)).toEqual(held ? ['sharp_rise'] : undefined)
  })
})

describe('countries', () => {
  const pool = { geo: ['TR'] }
  test.each<[string, Partial<CompiledRule>, string | null, string | undefined]>([
    ['the rule allows it', { guardrails: { geo: ['TR', 'BR'] } }, 'TR', undefined],
    ['the rule does not', { guardrails: { geo: ['BR'] } }, 'TR', 'the player is in TR, and the rule is for BR'],
    [
      'the event names none',
      { guardrails: { geo: ['BR'] } },
      null,
      'the event names no country, and the rule is for BR',
    ],
    ['no list', {}, null, undefined],
    [
      'the pool does not',
      { guardrails: { budget_pool: 'nov' } },
      'BR',
      'the player is in BR, and the pool nov is for TR',
    ],
    ['the pool allows it', { guardrails: { budget_pool: 'nov' } }, 'TR', undefined],
    ['another pool', { guardrails: { budget_pool: 'dec' } }, 'BR', undefined],
  ])('%s', async (_, rule, geo, detail) => {
    const pools = new Map([['nov', pool as never]])
    const engine = engineOf({ type: 'loot' }, rule, { pools })
    await engine.feed([login('e', 0, { geo })])
    expect(engine.output.scores[0]?.value.withheld).toEqual(
      detail === undefined ? undefined : [{ threshold: 1, reason: 'geo', detail }],
    )
    expect(told(engine)).toEqual(detail === undefined ? ['created e'] : [])
    // What was withheld was not given: limits do not count it, and it is not given later.
    await engine.feed([login('f', 1, { geo: 'TR' })])
    expect(engine.output.counts.rewards).toBe(
      (detail === undefined ? 1 : 0) + (rule.guardrails?.geo?.[0] === 'BR' ? 0 : 1),
    )
  })
})

describe('what events say', () => {
  const REACHED = ['deposit_limit', 'loss_limit'].map((type, i) => rg(`l${i}`, 1 + i, { type, action: 'reached' }))
  test.each<[string, readonly Line[], readonly string[]]>([
    ['a kind that nobody has heard of restricts', [rg('x', 1, { type: 'panic_button' })], ['panic_button']],
    ['a reality check does not', [rg('x', 1, { type: 'reality_check', action: 'shown' })], []],
    ['an end that cannot be read is none', [rg('x', 1, { type: 'cool_off', until: 'tomorrow' })], ['cool_off']],
    ['the type may say what was done', [rg('x', 1, { type: 'deposit_limit_reached' })], ['deposit_limit']],
    ['everything is restricted, whatever that is', [rg('x', 1, { type: 'all', action: 'set' })], ['all']],
    ['one limit lifted', [...REACHED, rg('x', 3, { type: 'deposit_limit', action: 'lifted' })], ['loss_limit']],
    ['limits lifted', [...REACHED, rg('x', 3, { type: 'limit_lifted' })], []],
    ['a limit lifted that does not say of what', [...REACHED, rg('x', 3, { type: 'limit', action: 'lifted' })], []],
    [
      'limits lifted leave an exclusion alone',
      [rg('s', 1, { type: 'self_exclusion' }), rg('x', 3, { type: 'limits_lifted' })],
      ['self_exclusion'],
    ],
    [
      'everything lifted',
      [rg('s', 1, { type: 'self_exclusion' }), ...REACHED, rg('x', 3, { type: 'all', action: 'lifted' })],
      [],
    ],
    [
      'lifted, and an older word that comes later',
      [rg('x', 3, { type: 'cool_off', action: 'ended' }), rg('s', 2.5, { type: 'cool_off', action: 'started' })],
      [],
    ],
    [
      'all lifted, and an older word on a kind that comes later',
      [rg('x', 3, { type: 'all', action: 'lifted' }), rg('s', 2.5, { type: 'cool_off', action: 'started' })],
      [],
    ],
    [
      'a lifting of limits, and a limit reached after it',
      [rg('x', 1, { type: 'limit_lifted' }), rg('s', 2, { type: 'deposit_limit', action: 'exceeded' })],
      ['deposit_limit'],
    ],
  ])('%s', async (_, lines, expected) => {
    const engine = engineOf({ type: 'loot' })
    await engine.feed([...lines, login('e', 4)])
    const [reward] = engine.earned()
    const reasons = reward?.type === 'reward_task.frozen' ? reward.reasons : []
    expect(reasons.map((each) => (each.gate === 'rg' ? each.restriction : each.gate))).toEqual(expected)
  })

  test('a late self-exclusion is dead-lettered as any other event, and protects all the same', async () => {
    const engine = engineOf({ type: 'loot' })
    await engine.feed([login('e', 0), rg('x', -5, { type: 'self_exclusion' }), login('f', 1)])
    expect(engine.output.counts).toMatchObject({ late: 1, unique: 2, events: 3 })
    expect(told(engine)).toEqual(['created e', 'player, kyc null, self_exclusion', 'frozen f self_exclusion'])
    await engine.feed([rg('x', -5, { type: 'self_exclusion' })])
    expect(told(engine)).toHaveLength(3)
  })

  test('a self-exclusion under an id that somebody has used before protects all the same', async () => {
    const engine = engineOf({ type: 'loot' })
    await engine.feed([login('x', 0), rg('x', 1, { type: 'self_exclusion' }), login('f', 2)])
    expect(engine.output.counts).toMatchObject({ duplicates: 1, unique: 2, events: 3 })
    expect(told(engine)).toEqual(['created x', 'player, kyc null, self_exclusion', 'frozen f self_exclusion'])
    await engine.feed([
      rg('y', 3, { type: 'self_exclusion', action: 'lifted' }),
      rg('x', 1, { type: 'self_exclusion' }),
    ])
    expect(told(engine).slice(3)).toEqual(['player, kyc null', 'created f 2025-11-03T10:03:00.000Z'])
  })

  test('the event that brings a reward is judged by what it says itself', async () => {
    const rule = { eventNames: ['kyc_status_changed', 'rg_event'] }
    const engine = engineOf({ type: 'cash', amount: 1 }, rule)
    await engine.feed([kyc('k', 0, { kyc_level: 2 }), rg('x', 1, { type: 'cool_off' })])
    expect(told(engine)).toEqual(['player, kyc 2', 'created k', 'player, kyc 2, cool_off', 'frozen x cool_off'])
  })

  test('more kinds than are told apart still restrict, until everything is lifted', async () => {
    const engine = engineOf({ type: 'loot' })
    const kinds = Array.from({ length: RESTRICTION_KINDS_MAX + 5 }, (_, i) => `kind_${i}`)
    await engine.feed(kinds.map((type, i) => rg(`x${i}`, 0, { type, until: at(60) })))
    await engine.feed(kinds.map((type, i) => rg(`y${i}`, 1, { type, action: 'lifted' })))
    await engine.feed([login('e', 2)])
    expect(told(engine).at(-1)).toBe('frozen e other')
    await engine.feed([rg('z', 3, { type: 'all', action: 'lifted' })])
    expect(told(engine).slice(-2)).toEqual(['player, kyc null', `created e ${at(3)}`])
  })
})

describe('a frozen reward', () => {
  test('is released with its own id by the event that lifts it, and nothing of it is left', async () => {
    const engine = engineOf({ type: 'cash', amount: 1, currency: 'EUR' })
    await engine.feed([login('e', 0)])
    engine.restart()
    await engine.feed([kyc('k', 5, { kyc_level: 2 })])
    const [frozen, , created] = engine.output.rewards.map(({ value }) => value)
    const {
      type: _,
      status: _status,
      reasons: _reasons,
      frozen_at: _at,
      ...base
    } = frozen as never as Record<string, object>
    expect(created).toEqual({
      ...base,
      type: 'reward_task.created',
      status: 'pending',
      kyc: { required: 2, level: 2 },
      released_at: at(5),
    })
    expect(await keys(engine, FROZEN.prefix)).toEqual([])
    expect(await keys(engine, TIMERS.prefix)).toEqual([])
  })

  test('is released by an early lifting, and the end that was told before is no timer any more', async () => {
    const engine = engineOf({ type: 'loot' })
    await engine.feed([rg('a', 0, { type: 'cool_off', until: at(10) }), login('e', 1)])
    expect(await keys(engine, TIMERS.prefix)).toHaveLength(1)
    await engine.feed([rg('b', 2, { type: 'cool_off', action: 'lifted' })])
    expect(told(engine).slice(-2)).toEqual(['player, kyc null', `created e ${at(2)}`])
    expect(await keys(engine, TIMERS.prefix)).toEqual([])
    await engine.feed([tick(20)])
    expect(engine.output.rewards).toHaveLength(4)
  })

  test('is released by the tick that ends the last restriction, at the instant at which it ended', async () => {
    const engine = engineOf({ type: 'loot' })
    await engine.feed([rg('a', 0, { type: 'cool_off', until: at(10) }), rg('b', 0, { type: 'timeout', until: at(20) })])
    await engine.feed([login('e', 1), tick(19)])
    expect(told(engine).slice(-2)).toEqual(['frozen e cool_off+timeout', `player, kyc null, timeout until ${at(20)}`])
    await engine.feed([tick(25)])
    expect(told(engine).slice(-2)).toEqual(['player, kyc null', `created e ${at(20)}`])
  })

  test.each<[string, number, readonly string[]]>([
    ['before its time is up', 29, [`player, kyc null`, `created e ${at(29)}`]],
    ['when its time is up', 30, [`player, kyc null`, `expired e ${at(30)}`]],
    ['after', 31, [`expired e ${at(30)}`, 'player, kyc null']],
  ])('with an expiry, lifted %s', async (_, minute, expected) => {
    const engine = engineOf({ type: 'loot' }, { guardrails: { frozen_expiry_ms: 29 * MINUTE } })
    await engine.feed([rg('a', 0, { type: 'cool_off', until: at(minute) }), login('e', 1), tick(60)])
    expect(told(engine).slice(-2)).toEqual(expected)
    const [frozen] = engine.earned()
    expect(frozen).toMatchObject({ frozen_at: at(1), expires_at: at(30) })
  })

  test('beyond the most that wait for one player goes out with a hold, and is never lost', async () => {
    const engine = engineOf({ type: 'cash', amount: 1 })
    await engine.feed(Array.from({ length: FROZEN_MAX + 2 }, (_, i) => login(`e${i}`, i / 100)))
    const { counts } = engine.output
    expect(counts).toMatchObject({ rewards: FROZEN_MAX + 2, frozen: FROZEN_MAX })
    const beyond = engine.earned().slice(FROZEN_MAX)
    expect(beyond).toMatchObject([
      { type: 'reward_task.created', holds: [{ by: 'frozen_limit' }] },
      { type: 'reward_task.created', holds: [{ by: 'frozen_limit' }] },
    ])
    await engine.feed([kyc('k', 5, { kyc_level: 2 })])
    expect(counts.released).toBe(FROZEN_MAX)
  })
})

describe('what the gates cost', () => {
  test('events of players with nothing leave no trace, and no event of theirs reads a player', async () => {
    const engine = engineOf({ type: 'loot' })
    await engine.feed([login('e', 0), login('f', 1)])
    expect(await keys(engine, PLAYERS.prefix)).toEqual([])
  })
})

async function keys(engine: TestEngine, prefix: string): Promise<string[]> {
  const found: string[] = []
  const lt = Buffer.from(String.fromCharCode(prefix.charCodeAt(0) + 1))
  for await (const [key] of engine.kv.range({ gte: Buffer.from(prefix), lt })) found.push(key.toString())
  return found
}
