import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../core/model/event.ts'
import { compileFix, compileFixFlags, type Fix, type FixReading } from '../../rules/mapping-fix.ts'

const EVENT: JsonObject = {
  event_id: 'e1',
  event_name: 'bet',
  ts: '2025-11-03T12:00:00Z',
  user: { id: 'u_1', geo: 'TR' },
  payload: { stake: 1999, cur: 'eur', amount: '12.50', state: 'OK', at: 1_762_171_200 },
}

function fixOf(reading: FixReading): Fix {
  if (!reading.ok) throw new Error(reading.problems.map(({ message }) => message).join('\n'))
  return reading.fix
}

function fixed(text: string, event: JsonObject = EVENT): ReturnType<Fix> {
  return fixOf(compileFix({ file: 'fix.yaml', text }))(event)
}

function problems(reading: FixReading): readonly string[] {
  return reading.ok ? [] : reading.problems.map(({ line, column, message }) => `${line}:${column} ${message}`)
}

test('a fix of too many changes is told that alone: no change is held against all others', () => {
  const unset = Array.from({ length: 5_000 }, () => '- payload.stake').join('\n')
  expect(problems(compileFix({ file: 'fix.yaml', text: `unset:\n${unset}\n` }))).toEqual([
    '1:1 a fix changes at most 100 fields',
  ])
})

describe('a fix', () => {
  test('sets what a formula, a text, a template, a table and a time give, and unsets', () => {
    const text = `
description: the provider sent cents
when: payload.stake > 0 and not exists(payload.bet)
set:
  payload.bet: payload.stake * 0.01
  payload.currency: { text: payload.cur, case: upper }
  payload.amount: { number: payload.amount }
  payload.provider: '"gameco"'
  payload.note: "stake {payload.stake} of {user.id}"
  payload.done: { lookup: payload.state, table: { OK: true }, else: false }
  context.session_id: { value: s_1 }
  version: '"1.0.0"'
  ts: { time: payload.at, unit: s }
unset: [payload.stake, payload.cur, payload.state, payload.at, nothing.here]
`
    expect(fixed(text)).toEqual({
      ok: true,
      event: {
        event_id: 'e1',
        event_name: 'bet',
        ts: '2025-11-03T12:00:00.000Z',
        version: '1.0.0',
        user: { id: 'u_1', geo: 'TR' },
        context: { session_id: 's_1' },
        payload: {
          bet: 19.99,
          currency: 'EUR',
          amount: 12.5,
          provider: 'gameco',
          note: 'stake 1999 of u_1',
          done: true,
        },
      },
    })
    expect(EVENT.payload).toHaveProperty('stake', 1999)
  })

  test('reads every value from the event as it was', () => {
    const event = { ...EVENT, payload: { a: 1, b: 2 } }
    expect(fixed('set: { payload.a: payload.b, payload.b: payload.a }', event)).toMatchObject({
      event: { payload: { a: 2, b: 1 } },
    })
  })

  test('reads ts as a field, and now by its whole path', () => {
    const event = { ...EVENT, now: 'soon' }
    expect(fixed('set: { payload.when: ts, payload.now: event.now }', event)).toMatchObject({
      event: { payload: { when: '2025-11-03T12:00:00Z', now: 'soon' } },
    })
  })

  test('is not for an event whose `when` does not surely hold', () => {
    for (const when of ['payload.stake > 2000', 'payload.missing == 1', 'payload.cur > 1']) {
      expect(fixed(`{ when: ${JSON.stringify(when)}, unset: [payload.stake] }`)).toMatchObject({
        ok: false,
        why: 'other',
      })
    }
  })

  test.each([
    [
      'payload.bet: payload.missing / 100',
      /^payload\.bet cannot be set: payload\.missing is missing \(fix\.yaml:1:21\)$/,
    ],
    ['payload.bet: payload.cur / 100', /payload.cur is a text, not a number; .*number: …/],
    ['payload.bet: payload.stake / 0', /division by zero/],
    ['payload.stake.x: 1', /what holds it is no object/],
    ['payload.x: { lookup: payload.state, table: { NO: 1 } }', /payload.state is "OK", which is not in the table/],
    ['ts: { time: payload.at, unit: ms }', /payload.at is 1762171200, .* is it in s\?/],
    ['payload.x: { number: payload.state }', /payload.state is no number/],
  ])('fails where it cannot be carried out: %s', (change, detail) => {
    const result = fixed(`set: { ${change} }`)
    expect(result).toMatchObject({ ok: false, why: 'failed', detail: expect.stringMatching(detail) })
  })

  test('changes which event or player it is only where that is said', () => {
    for (const change of [
      'set: { event_id: ts }',
      'set: { user.id: user.geo }',
      'set: { user: { value: {} } }',
      'unset: [user]',
    ]) {
      expect(problems(compileFix({ file: 'fix.yaml', text: change }))).toEqual([
        expect.stringContaining('changed, it is another'),
      ])
      expect(compileFix({ file: 'fix.yaml', text: `${change}\nallow_ids: true` }).ok).toBe(true)
    }
    expect(problems(compileFix({ file: 'fix.yaml', text: 'set: { user.geo: payload.cur }' }))).toEqual([])
  })
})

test('all problems of a fix are told at once, each with its place', () => {
  const text = `
when: payload.stake + 1
set:
  paylod.bet: payload.stake
  payload.a: now
  payload.a.b: 1
  payload.__proto__: 1
  payload.c: { lookupp: payload.state }
  payload.d: "{payload.stake"
unsets: [x]
`
  expect(problems(compileFix({ file: 'fix.yaml', text }))).toEqual([
    '2:7 a condition is needed here, this is a number',
    '4:3 an event has no field "paylod"',
    expect.stringMatching(/^5:14 now has no meaning here/),
    '7:3 "__proto__" cannot be the name of a field',
    '8:14 this map is none of the forms of a value',
    '9:15 this { is never closed',
    '10:1 a fix has no key "unsets"',
  ])
})

describe('flags', () => {
  test('say the same as a file', () => {
    const flags = { set: ['payload.bet=payload.stake / 100', 'payload.currency = "EUR"'], unset: ['payload.stake'] }
    const file = `
when: payload.stake > 1
set: { payload.bet: payload.stake / 100, payload.currency: '"EUR"' }
unset: [payload.stake]
`
    const fix = fixOf(compileFixFlags({ ...flags, when: 'payload.stake > 1', allowIds: false }))
    expect(fix(EVENT)).toEqual(fixed(file))
    expect(fix(EVENT)).toMatchObject({ ok: true, event: { payload: { bet: 19.99, currency: 'EUR' } } })
  })

  test('show what was written where something is wrong with it', () => {
    const reading = compileFixFlags({ set: ['payload.bet=stake +', 'payload.x'], unset: [], allowIds: false })
    expect(reading.ok ? [] : reading.problems).toEqual([
      expect.objectContaining({ file: '(flags)', snippet: expect.stringContaining('"payload.bet": "stake +"') }),
      expect.objectContaining({ message: 'the expression is empty' }),
    ])
  })
})

test('whatever the event, a fix never throws, leaves it as it was, and touches nothing else', () => {
  const fix = fixOf(
    compileFixFlags({ set: ['payload.a.b=payload.x / 100'], unset: ['payload.x', 'context.ip'], allowIds: false }),
  )
  const key = fc.oneof(
    fc.constantFrom('payload', 'a', 'b', 'x', 'context', 'ip', '__proto__', 'constructor'),
    fc.string(),
  )
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 6 },
      fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null)),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.array(fc.tuple(key, tie('tree')), { maxLength: 5 }).map((pairs) => Object.fromEntries(pairs)),
    ),
  }))
  const event = fc.array(fc.tuple(key, tree), { maxLength: 6 }).map((pairs) => Object.fromEntries(pairs) as JsonObject)
  fc.assert(
    fc.property(event, (given) => {
      const before = JSON.stringify(given)
      const result = fix(given)
      expect(JSON.stringify(given)).toBe(before)
      if (!result.ok) return
      const { payload: _a, context: _b, ...rest } = result.event
      const { payload: _c, context: _d, ...was } = given
      expect(JSON.stringify(rest)).toBe(JSON.stringify(was))
    }),
    { numRuns: 1_000 },
  )
})
