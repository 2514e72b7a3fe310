import { describe, expect, it } from 'vitest'
import { eventOf, explanationOf, faultsOf, numberOf, truthOf } from './expressions.ts'

describe('arithmetic', () => {
  it.each([
    ['1 + 2 * 3', 7],
    ['(1 + 2) * 3', 9],
    ['10 - 4 - 3', 3],
    ['2 ^ 3 ^ 2', 512],
    ['-2 ^ 2', -4],
    ['2 ^ -1', 0.5],
    ['- - 3', 3],
    ['7 % 4', 3],
    ['-7 % 4', 1],
    ['7 % -4', -1],
    ['3 % 0.3 + 0.3 % 0.1', 0],
    ['.5 + 1e3', 1000.5],
    ['min(3, 1, 2) + max(3, 1, 2)', 4],
    ['abs(-3) + ceil(1.2) + round(1.5) + sqrt(16)', 11],
    ['round(-2.5)', -3],
    ['log(8, 2)', 3],
    ['log(1)', 0],
    ['if(payload.bet > 0.4, 10, 20)', 10],
    ['if(payload.bet > 0.6, 10, 20)', 20],
    ['if(payload.gone > 0.6, payload.gone, 20)', 20],
    ['payload.win / payload.bet', 2.5],
  ])('%s is %d', (text, value) => {
    expect(numberOf(text)).toBeCloseTo(value, 12)
  })

  it.each([
    ['floor((payload.win / payload.bet) 3)', 7],
    ['2 payload.win', 2.5],
    ['2(1 + 2)', 6],
    ['(1 + 2)(3 + 4)', 21],
    ['payload.win payload.bet', 0.625],
    ['payload.win 4', 5],
    ['-2 payload.win', -2.5],
    ['payload.win / 2 payload.bet', 1.25],
    ['1 / 2 payload.win', 0.625],
    ['6 / 3 (1 + 1)', 4],
    ['2 floor(1.5) 3', 6],
  ])('%s multiplies implicitly, as mathjs does: %d', (text, value) => {
    expect(numberOf(text)).toBe(value)
  })
})

describe('tolerance of 1e-12', () => {
  it.each([
    ['floor((0.7 + 0.1) * 10)', 8],
    ['floor(2.9999999999999)', 3],
    ['floor(2.999999999)', 2],
    ['ceil(3.0000000000001)', 3],
    ['ceil(3.000000001)', 4],
    ['ceil((0.1 + 0.2) * 10)', 3],
    ['floor(-0.5)', -1],
  ])('%s is %d', (text, value) => {
    expect(numberOf(text)).toBe(value)
  })

  it.each([
    ['0.1 + 0.2 == 0.3', true],
    ['0.1 + 0.2 != 0.3', false],
    ['0.1 + 0.2 > 0.3', false],
    ['0.1 + 0.2 <= 0.3', true],
    ['0.3 < 0.1 + 0.2', false],
    ['0.3 >= 0.1 + 0.2', true],
    ['0.1 + 0.2 between 0.3 and 0.3', true],
    ['0.1 + 0.2 in [0.3]', true],
    ['1 == 1.00000000001', false],
    ['1 < 1.00000000001', true],
    ['0 == 1e-300', false],
    ['1 / 0 > 3', true],
    ['1 / 0 == 3', false],
    ['1 / 0 == 2 / 0', true],
    ['0 / 0 == 0 / 0', undefined],
  ])('%s is %s', (text, truth) => {
    expect(truthOf(text)).toBe(truth)
  })
})

describe('missing fields', () => {
  it.each([
    ['payload.gone == 1', undefined],
    ['payload.gone != 1', undefined],
    ['not (payload.gone == 1)', undefined],
    ['payload.gone in [1, 2]', undefined],
    ['payload.gone not in [1, 2]', undefined],
    ['payload.gone between 1 and 2', undefined],
    ['payload.gone not between 1 and 2', undefined],
    ['payload.gone + 1 > 0', undefined],
    ['payload.gone ^ 0 == 1', undefined],
    ['payload.gone', undefined],
    ['not payload.gone', undefined],
    ['payload.gone > 1 or payload.bet > 0', true],
    ['payload.bet > 0 or payload.gone > 1', true],
    ['payload.gone > 1 or payload.bet > 9', undefined],
    ['payload.gone > 1 and payload.bet > 0', undefined],
    ['payload.gone > 1 and payload.bet > 9', false],
    ['not (payload.gone > 1 and payload.bet > 9)', true],
    ['exists(payload.gone)', false],
    ['not exists(payload.gone)', true],
    ['exists(payload.bet) and exists(user.geo) and exists(payload) and exists(ts)', true],
    ['exists(payload.none)', false],
    ['payload.none == 1', undefined],
    ['user.geo.length > 0', undefined],
    ['user.risk_flags.length > 0', undefined],
    ['exists(user.risk_flags)', true],
    ['payload.bet.deep.down == 1', undefined],
    ['context.device.os == "ios"', true],
    ['context.device.gone.os == "ios"', undefined],
  ])('%s is %s', (text, truth) => {
    expect(truthOf(text, eventOf({ none: null }))).toBe(truth)
  })
})

describe('kinds are never mixed', () => {
  const event = eventOf({ text: '5', number: 5, yes: true, list: [1], object: {}, low: 1, high: 9 })
  it.each([
    ['payload.text == 5', undefined],
    ['payload.text != 5', undefined],
    ['payload.number == "5"', undefined],
    ['payload.text == "5"', true],
    ['payload.text in [5]', undefined],
    ['payload.text not in [5]', undefined],
    ['payload.number in ["5", 5]', true],
    ['payload.number not in ["5", 6]', true],
    ['payload.number in ["5"]', undefined],
    ['payload.yes == true', true],
    ['payload.yes != true', false],
    ['payload.yes', true],
    ['not payload.yes', false],
    ['payload.number', undefined],
    ['payload.yes == 1', undefined],
    ['payload.yes > payload.yes', undefined],
    ['payload.yes in [true]', true],
    ['payload.yes not in [false]', true],
    ['payload.number == payload.text', undefined],
    ['payload.number == payload.number', true],
    ['payload.text < payload.text', false],
    ['payload.list == payload.list', undefined],
    ['payload.object == payload.object', undefined],
    ['payload.number between payload.low and payload.high', true],
    ['payload.high between payload.low and payload.number', false],
    ['payload.number not between 6 and 9', true],
    ['payload.number * 2 not between payload.low and payload.high', true],
  ])('%s is %s', (text, truth) => {
    expect(truthOf(text, event)).toBe(truth)
  })

  it('compares texts by code point', () => {
    const texts = eventOf({ wide: '\uff5e', emoji: '😀' })
    expect(truthOf('payload.wide < payload.emoji', texts)).toBe(true)
    expect(truthOf('payload.emoji <= payload.wide', texts)).toBe(false)
    expect(truthOf('user.geo between "TA" and "TZ"', texts)).toBe(true)
    expect(truthOf('user.geo >= "TRA"', texts)).toBe(false)
  })
})

describe('logic and precedence', () => {
  it.each([
    ['true or false and false', true],
    ['(true or false) and false', false],
    ['not true or true', true],
    ['not (true or true)', false],
    ['not payload.bet > 1', true],
    ['!(payload.bet > 1) && true || false', true],
    ['!payload.gone or true', true],
    ['event_id == "e1" and event_name == "bet" and version == "1.2.0"', true],
    ['user.geo in ["TR", "BR",]', true],
    ["user.geo in ['US'] or user.geo == 'TR'", true],
    ['-1 in [-1, 2]', true],
    ['payload.bet + 1 between 1 and 2 and true', true],
  ])('%s is %s', (text, truth) => {
    expect(truthOf(text)).toBe(truth)
  })
})

describe('why a formula gives no number', () => {
  it.each([
    ['payload.gone * 2', 'payload.gone is missing'],
    ['payload.none * 2', 'payload.none is missing'],
    ['2 * user.geo', 'user.geo is a text, not a number'],
    ['user.risk_flags + 1', 'user.risk_flags is a list, not a number'],
    ['floor((payload.win / payload.zero) * 3)', 'division by zero: payload.zero is 0 in (payload.win / payload.zero)'],
    ['1 % payload.zero', 'division by zero: payload.zero is 0 in 1 % payload.zero'],
    ['payload.zero ^ -1', 'division by zero: 0 to a negative power in payload.zero ^ -1'],
    ['(-8) ^ 0.5', '(-8) ^ 0.5 has no real value'],
    ['sqrt(-1)', 'sqrt(-1) has no finite value'],
    ['log(payload.zero)', 'log(payload.zero) has no finite value'],
    ['10 ^ 308 * 10', '10 ^ 308 * 10 is too large'],
    ['if(payload.bet > 0, payload.gone, 1)', 'payload.gone is missing'],
    ['min(payload.gone, 5)', 'payload.gone is missing'],
    ['payload.gone ^ 0', 'payload.gone is missing'],
    ['min(payload.win / payload.zero, 5)', undefined],
  ])('%s: %s', (text, explanation) => {
    expect(explanationOf(text, eventOf({ none: null, zero: 0 }))).toBe(explanation)
  })
})

describe('mistakes are located and say what would be right', () => {
  it.each([
    ['payload.bet = 3', 12, 'write == to compare'],
    ['payload.bet === 3', 12, 'write == to compare'],
    ['payoad.bet > 3', 0, 'did you mean payload.bet?'],
    ['pyaload.bet > 3', 0, 'did you mean payload.bet?'],
    ['bet > 3', 0, 'write payload.bet for a field of the payload'],
    ['flor(3) > 2', 0, 'did you mean floor?'],
    ['floor(1, 2) > 2', 0, 'write floor(x)'],
    ['payload > 2', 0, 'write payload.name'],
    ['event_id.x == "a"', 0, 'write event_id'],
    ['now.second > 3', 0, 'its parts are year'],
    ['floor > 3', 0, 'write floor(x)'],
    ['1 < payload.bet < 3', 16, 'between a and c'],
    ['payload.bet == null', 15, 'exists(payload.name)'],
    ['payload.bet', undefined, undefined],
    ['payload.bet + 1', 0, 'compare it with something'],
    ['payload.bet > "3"', undefined, undefined],
    ['1 + "3" > 2', 4, 'write 3 without quotes'],
    ['1 == "3"', 0, 'numbers stand without quotes'],
    ['now > 5', 6, 'now >= "2025-11-01"'],
    ['now between "2025-11-30" and "2025-11-01"', 29, 'lower bound first'],
    ['payload.bet between 5 and 1', 26, 'lower bound first'],
    ['now > "2025-02-30"', 6, 'check the month and the day'],
    ['now > "2025-11-30T24:00"', 6, 'times go from 00:00:00 to 23:59:59'],
    ['now > "30.11.2025"', 6, 'write 2025-11-30'],
    ['user.geo in "TR"', 12, undefined],
    ['user.geo in []', 12, 'name what is allowed'],
    ['user.geo in ["TR", 5 + 1]', 19, 'field == other'],
    ['event_id in [5]', 13, 'numbers stand without quotes'],
    ['payload.bet > 3 AND true', 16, 'words are written small: and'],
    ['(payload.bet > 3', 0, 'close it with )'],
    ['user.geo == "TR', 12, 'close it with "'],
    ['user.geo == “TR”', 12, 'straight quotes'],
    ['payload. > 3', 7, 'payload.bet'],
    ['payload.bet > 3 payload.win > 2', 28, 'between a and c'],
    ['payload.bet (3) > 1', 12, 'payload.bet * (…)'],
    ['(payload.bet > 1) == true', 0, 'join conditions'],
    ['(payload.bet > 1) in [true]', 0, 'join conditions'],
    ['payload.flag > true', 0, 'write == or !='],
    ['', 0, undefined],
    ['payload.bet >', 13, undefined],
    ['payload.bet ? 1', 12, 'if(condition, value, otherwise)'],
    ['import("fs") == 1', 0, 'functions are'],
  ])('%s', (text, start, hint) => {
    const [fault] = faultsOf(text)
    expect(fault?.start).toBe(start)
    if (hint !== undefined) expect(fault?.hint).toContain(hint)
  })

  it('answers every type fault of an expression, not only the first', () => {
    expect(faultsOf('foo.a > 1 and bar(2) > now').map(({ start }) => start)).toEqual([0, 14, 14])
  })

  it('a formula that is a condition is told how to become a number', () => {
    expect(faultsOf('payload.win > 3', 'number')[0]?.hint).toBe('write if(condition, 1, 0) to make a number of it')
  })
})

describe('nothing but the data of the event can be reached', () => {
  it.each(['constructor', '__proto__', 'prototype', 'toString', 'hasOwnProperty', '__defineGetter__', 'valueOf'])(
    '%s is refused anywhere in a path',
    (name) => {
      for (const text of [`payload.${name} == 1`, `payload.${name}.x == 1`, `exists(user.${name})`, `${name}.x == 1`]) {
        expect(faultsOf(text)[0]?.code).toBe('ONCEWARD_E_RULE_UNKNOWN_FIELD')
      }
    },
  )

  it('an inherited field is missing', () => {
    const payload = Object.create({ hidden: 5 }) as { bet: number }
    payload.bet = 1
    const event = { ...eventOf(), data: { payload } }
    expect(truthOf('payload.bet == 1', event)).toBe(true)
    expect(truthOf('exists(payload.hidden)', event)).toBe(false)
  })
})

describe('bounds', () => {
  it.each([
    ['characters', `payload.bet > ${'1'.repeat(3)}${' '.repeat(20_001)}`],
    ['levels', `${'('.repeat(65)}true${')'.repeat(65)}`],
    ['levels', `${'not '.repeat(65)}true`],
    ['levels', `${'-'.repeat(70)}1 > 2`],
    ['levels', `${'1^'.repeat(70)}1 > 2`],
    ['levels', `${'abs('.repeat(70)}1${')'.repeat(70)} > 2`],
    ['operators', `1${' + 1'.repeat(400)} > 2`],
    ['parts', `payload.bet in [${'1,'.repeat(2500)}]`],
  ])('too many %s are refused', (word, text) => {
    const [fault] = faultsOf(text)
    expect(fault?.code).toBe('ONCEWARD_E_RULE_SYNTAX')
    expect(fault?.message).toContain(word)
  })

  it('a list of hundreds of games is allowed', () => {
    const games = Array.from({ length: 500 }, (_, i) => `"game_${i}"`).join(', ')
    expect(truthOf(`payload.game in [${games}]`, eventOf({ game: 'game_499' }))).toBe(true)
  })
})
