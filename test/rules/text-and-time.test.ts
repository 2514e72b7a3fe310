import { describe, expect, it } from 'vitest'
import { checkExpression } from '../../rules/checker.ts'
import { compileCondition } from '../../rules/expression.ts'
import { parseExpression } from '../../rules/parser.ts'
import type { Membership, Segments } from '../../rules/segment.ts'
import { eventOf, faultsOf, numberOf, truthOf } from './expressions.ts'

describe('contains and starts_with', () => {
  const event = eventOf({ game: 'slot_wolf', tags: ['a', 5, true, null], none: [], number: 5, part: 'wolf' })
  it.each([
    ['payload.game contains "wolf"', true],
    ['payload.game contains "WOLF"', false],
    ['payload.game not contains "bear"', true],
    ['payload.game contains payload.part', true],
    ['payload.game contains ""', true],
    ['payload.game starts_with "slot_"', true],
    ['payload.game starts_with "wolf"', false],
    ['payload.game not starts_with "wolf"', true],
    ['user.risk_flags contains "vpn"', true],
    ['user.risk_flags contains "vp"', false],
    ['user.risk_flags not contains "bot"', true],
    ['payload.tags contains 5', true],
    ['payload.tags contains "5"', false],
    ['payload.tags contains true', true],
    ['payload.none contains "a"', false],
    ['payload.none not contains "a"', true],
    ['payload.number contains "5"', undefined],
    ['payload.number starts_with "5"', undefined],
    ['payload.tags starts_with "a"', undefined],
    ['payload.gone contains "a"', undefined],
    ['payload.gone not contains "a"', undefined],
    ['payload.game contains payload.gone', undefined],
    ['payload.game contains payload.number', undefined],
    ['payload.game contains "wolf" and payload.number > 1 or false', true],
    ['not payload.game contains "wolf"', false],
  ])('%s is %s', (text, truth) => {
    expect(truthOf(text, event)).toBe(truth)
  })

  it('look for a short text only, so that one search is soon done', () => {
    const long = eventOf({ game: 'a'.repeat(1_000), part: 'a'.repeat(257) })
    expect(truthOf('payload.game contains payload.part', long)).toBeUndefined()
    expect(faultsOf(`payload.game contains "${'a'.repeat(257)}"`)[0]?.message).toContain('at most 256 characters')
  })

  it.each([
    ['5 contains "a"', 0, 'on its left'],
    ['payload.game starts_with 5', 25, 'on its right'],
    ['payload.game contains (payload.bet + 1)', 22, 'on its right'],
    ['payload.game contains now', 22, 'on its right'],
    ['contains(payload.game, "a")', 0, 'cannot stand here'],
    ['payload.game contains "a" contains "b"', 26, 'cannot be chained'],
  ])('%s is refused', (text, start, message) => {
    const [fault] = faultsOf(text)
    expect([fault?.start, fault?.message]).toEqual([start, expect.stringContaining(message)])
  })
})

describe('parts of now', () => {
  const sunday = eventOf({}, '2025-11-09T22:45:30Z')
  it.each([
    ['now.year', 2025],
    ['now.month', 11],
    ['now.day', 9],
    ['now.weekday', 7],
    ['now.hour', 22],
    ['ts.minute', 45],
  ])('%s is %d', (text, value) => {
    expect(numberOf(text, sunday)).toBe(value)
  })

  it('are those of the clocks in the rule’s zone', () => {
    const monday = 'now.weekday == 1 and now.day == 10 and now.hour == 1'
    expect(truthOf(monday, sunday, 'Europe/Istanbul')).toBe(true)
    expect(truthOf(monday, sunday, 'UTC')).toBe(false)
    expect(truthOf('now.hour == 4 and now.minute == 15', sunday, 'Asia/Kathmandu')).toBe(false)
    expect(truthOf('now.hour == 4 and now.minute == 30', sunday, 'Asia/Kathmandu')).toBe(true)
    expect(truthOf('now.weekday == 3 and now.hour == 23', eventOf({}, '1969-12-31T23:10:00Z'))).toBe(true)
  })

  it.each([
    ['now.weekday == 0', 15, 'Monday is 1, Sunday 7'],
    ['now.weekday in [6, 7, 8]', 22, 'from 1 to 7'],
    ['now.weekday == "sunday"', 15, 'Monday is 1, Sunday 7'],
    ['24 > now.hour', 0, 'from 0 to 23'],
    ['now.hour between 18 and 24', 24, 'from 0 to 23'],
  ])('%s, which never is, is refused', (text, start, message) => {
    const [fault] = faultsOf(text)
    expect([fault?.start, fault?.message]).toEqual([start, expect.stringContaining(message)])
  })

  it('a part that there is not is refused, with the nearest', () => {
    expect(faultsOf('now.hours > 3')[0]).toMatchObject({ start: 0, hint: 'did you mean now.hour?' })
    expect(faultsOf('now.hour.x > 3')[0]?.message).toContain('no part')
  })
})

describe('segments', () => {
  const segments: Segments = new Map<string, Membership>([
    ['vip', (event) => event.userId === 'u1'],
    ['odd', () => undefined],
  ])
  const truth = (text: string): boolean | undefined => {
    const parsed = parseExpression(text)
    if (!parsed.ok) throw new Error(parsed.fault.message)
    const context = { zone: 'UTC', text, segments }
    const [yes, no] = [true, false].map((wanted) => compileCondition(parsed.expression, wanted, context)(eventOf()))
    return yes === true ? true : no === true ? false : undefined
  }

  it.each([
    ['user in segment("vip")', true],
    ['user not in segment("vip")', false],
    ['not user in segment("vip")', false],
    ['user in segment("odd")', undefined],
    ['user not in segment("odd")', undefined],
    ['user in segment("gone") or user in segment("vip")', true],
    ['user in segment("gone")', undefined],
  ])('%s is %s', (text, expected) => {
    expect(truth(text)).toBe(expected)
  })

  it('a name that no segment has is refused where the segments are known, with the nearest', () => {
    const parsed = parseExpression('user in segment("vpi")')
    const faults = parsed.ok ? checkExpression(parsed.expression, 'condition', 'UTC', { segments }) : []
    expect(faults).toEqual([
      {
        code: 'ONCEWARD_E_RULE_UNKNOWN_SEGMENT',
        start: 16,
        message: 'there is no segment "vpi"',
        hint: 'did you mean vip?',
      },
    ])
  })

  it.each([
    ['payload.bet in segment("vip")', 0, 'only a user'],
    ['user in segment(vip)', 16, 'in quotes'],
    ['user in segment "vip"', 16, 'in quotes'],
    ['user in segment("vip"', 21, ')'],
    ['user in vip', 8, 'segment("vip")'],
    ['segment("vip")', 0, 'no function'],
  ])('%s is refused', (text, start, message) => {
    const [fault] = faultsOf(text)
    expect([fault?.start, fault?.message]).toEqual([start, expect.stringContaining(message)])
  })
})
