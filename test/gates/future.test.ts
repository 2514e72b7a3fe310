import { describe, expect, test } from 'vitest'
import type { Reward } from '../../core/model/reward.ts'
import { eventLine, type Line, TestEngine, testRule } from '../support/engine.ts'

const T0 = Date.parse('2025-11-03T10:00:00Z')
const MINUTE = 60_000
const at = (minutes: number): string => new Date(T0 + minutes * MINUTE).toISOString()

const line = (id: string, minute: number, name: string, payload: object = {}): Line => {
  const ts = T0 + minute * MINUTE
  return { value: eventLine({ id, ts, name, payload }), ingestTs: ts }
}
const login = (id: string, minute: number): Line => line(id, minute, 'login')
const kyc = (id: string, minute: number, payload: object): Line => line(id, minute, 'kyc_status_changed', payload)
const rg = (id: string, minute: number, payload: object): Line => line(id, minute, 'rg_event', payload)

function engineOf(reward: Reward): TestEngine {
  const trigger = { thresholds: [1, 2, 3], rewards: [reward, reward, reward], reset: 'never' } as const
  return new TestEngine([testRule({ ruleId: 'r', trigger })])
}

function told(engine: TestEngine): string[] {
  return engine.output.rewards.map(({ value }) => {
    if (value.type === 'player.changed') {
      return ['player', `kyc ${value.kyc_level}`, ...value.restrictions.map(({ kind }) => kind)].join(', ')
    }
    const what = `${value.type.replace('reward_task.', '')} ${value.origin.event_id}`
    if (value.type === 'reward_task.created') return [what, value.released_at].filter(Boolean).join(' ')
    if (value.type === 'reward_task.expired') return what
    return `${what} ${value.reasons.map((each) => (each.gate === 'rg' ? each.restriction : 'kyc')).join('+')}`
  })
}

describe('protection by an event from the future', () => {
  test('a self-exclusion from the future is dead-lettered, and protects from when it came until it is lifted', async () => {
    const engine = engineOf({ type: 'loot' })
    const ahead = (payload: object, name = 'rg_event') => ({
      value: eventLine({ id: 'x', ts: T0 + 999 * MINUTE, name, payload }),
      ingestTs: T0,
    })
    await engine.feed([ahead({ type: 'self_exclusion' })])
    await engine.feed([
      login('e', 1),
      ahead({ type: 'all', action: 'lifted' }),
      ahead({ type: 'cool_off', action: 'ended' }),
    ])
    expect(engine.output.counts).toMatchObject({ future: 3, unique: 1, events: 4 })
    expect(told(engine)).toEqual(['player, kyc null, self_exclusion', 'frozen e self_exclusion'])
    await engine.feed([rg('y', 2, { type: 'self_exclusion', action: 'lifted' })])
    expect(told(engine).slice(2)).toEqual(['player, kyc null', `created e ${at(2)}`])
  })

  test('where old events are fed, what comes from the future is lifted by what is later among them', async () => {
    const engine = engineOf({ type: 'loot' })
    const ingestTs = T0 + 10_000 * MINUTE
    const ahead = eventLine({ id: 'x', ts: ingestTs + 999 * MINUTE, name: 'rg_event', payload: { type: 'cool_off' } })
    await engine.feed([login('e', 0), { value: ahead, ingestTs }, login('f', 1)])
    await engine.feed([rg('y', 2, { type: 'cool_off', action: 'ended' })])
    expect(told(engine).slice(-2)).toEqual(['player, kyc null', `created f ${at(2)}`])
  })

  test('from the future a level is taken away and not given', async () => {
    const engine = engineOf({ type: 'cash', amount: 1 })
    const ahead = (id: string, payload: object) => ({
      value: eventLine({ id, ts: T0 + 999 * MINUTE, name: 'kyc_status_changed', payload }),
      ingestTs: T0 + 2 * MINUTE,
    })
    await engine.feed([ahead('v', { kyc_level: 2 }), login('e', 1)])
    await engine.feed([kyc('k', 2, { kyc_level: 2 }), ahead('w', { status: 'rejected' }), login('f', 3)])
    expect(told(engine)).toEqual([
      'frozen e kyc',
      'player, kyc 2',
      `created e ${at(2)}`,
      'player, kyc 0',
      'frozen f kyc',
    ])
  })
})
