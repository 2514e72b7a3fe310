import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../core/model/event.ts'
import { compileMapping, MAPPED_EVENTS_MAX } from '../../rules/mapping.ts'
import { BODY, itemsOf, mappingOf, only, REQUEST, simple, valueOf } from './mapping-texts.ts'

describe('a value', () => {
  const body: JsonObject = {
    stake: 250,
    text: 'abc',
    list: ['a', 'b'],
    object: { b: { c: 1 } },
    yes: true,
    nothing: null,
    blank: '',
    amount: '12.50',
    cents: '1999',
    big: 12_345_678_901_234_567_890,
    ts: 'its own',
    'a-b': 7,
  }
  test.each<[string, string, unknown]>([
    ['a field as it stands', 'list', ['a', 'b']],
    ['a field within', 'object.b.c', 1],
    ['an object', 'object', { b: { c: 1 } }],
    ['a field named ts', 'ts', 'its own'],
    ['the same by its whole path', 'body.ts', 'its own'],
    ['what is not there', 'object.x', undefined],
    ['null', 'nothing', undefined],
    ['a formula', 'stake / 100', 2.5],
    ['a formula over what is not there', 'x / 100', undefined],
    ['a condition', 'stake >= 250 and text == "abc"', true],
    ['a condition that does not hold', 'text contains "z"', false],
    ['a condition over what is not there', 'x == 1', undefined],
    ['exists', 'exists(x)', false],
    ['a text', '\'"EUR"\'', 'EUR'],
    ['a number', '7', 7],
    ['true', 'true', true],
    ['anything as it stands', '{ value: [1, { a: EUR }] }', [1, { a: 'EUR' }]],
    ['a template', '"{text}-{stake}-{yes} {{x}}"', 'abc-250-true {x}'],
    ['a template with a formula', '"{stake / 100} EUR"', '2.5 EUR'],
    ['a template over what is not there', '"{text}-{x}"', undefined],
    ['a template over an empty text', '"{text}-{blank}"', undefined],
    ['a number within quotes', '{ number: amount }', 12.5],
    ['cents within quotes', '{ number: cents, divide_by: 100 }', 19.99],
    ['an empty number', '{ number: blank }', undefined],
    ['a number as a text', '{ text: stake }', '250'],
    ['capitals', '{ text: text, case: upper }', 'ABC'],
    ['a table', '{ lookup: text, table: { abc: x, 250: y } }', 'x'],
    ['a table over a number', '{ lookup: stake, table: { abc: x, 250: y } }', 'y'],
    ['a table over true', '{ lookup: yes, table: { true: 1, false: 0 } }', 1],
    ['a table over what is not there', '{ lookup: x, table: { a: 1 } }', undefined],
    ['the same with else', '{ lookup: x, table: { a: 1 }, else: other }', 'other'],
    ['a table with else', '{ lookup: text, table: { a: 1 }, else: other }', 'other'],
    ['the first that is there', '{ first_of: [x, nothing, text] }', 'abc'],
    ['none of them', '{ first_of: [x, nothing] }', undefined],
    ['an object of values', '{ object: { a: stake / 100, b: x } }', { a: 2.5 }],
    ['a time in text', '{ time: { value: "2025-11-03T15:00:00+03:00" } }', '2025-11-03T12:00:00.000Z'],
    ['a local time', '{ time: { value: "2025-11-03 15:00:00" }, zone: Europe/Istanbul }', '2025-11-03T12:00:00.000Z'],
    ['a time in seconds', '{ time: { value: 1762171200 }, unit: s }', '2025-11-03T12:00:00.000Z'],
    [
      'a time in seconds with a fraction, as text',
      '{ time: { value: "1762171200.25" }, unit: s }',
      '2025-11-03T12:00:00.250Z',
    ],
    ['a time in milliseconds', '{ time: { value: 1762171200123 }, unit: ms }', '2025-11-03T12:00:00.123Z'],
  ])('can be %s: %s', (_, written, value) => expect(valueOf(written, body)).toEqual(value))

  test.each([
    ['text / 100', /text is a text, not a number/],
    ['amount / 100', /amount is a text, not a number; .*\{ number: … \}/],
    ['stake / 0', /division by zero/],
    ['{ number: text }', /text is no number/],
    ['{ number: { value: "0x10" } }', /is no number/],
    ['{ number: { value: "1,250.00" } }', /is no number/],
    ['"{list}"', /list is a list or an object/],
    ['"{big}"', /big is a number of more than 15 digits/],
    ['{ lookup: text, table: { a: 1 } }', /text is "abc", which is not in the table/],
    ['{ lookup: object, table: { a: 1 } }', /which is not in the table/],
    ['{ time: text }', /"abc" is not a date/],
    ['{ time: { value: "2025-11-03T15:00:00" } }', /no offset; write zone:/],
    ['{ time: { value: "2025-02-30T15:00:00Z" } }', /a day that does not exist/],
    ['{ time: { value: 1762171200123 } }', /write unit: ms/],
    ['{ time: { value: 1762171200 } }', /write unit: s/],
    ['{ time: { value: 1762171200123 }, unit: s }', /is it in ms\?/],
    ['{ time: { value: 1762171200 }, unit: ms }', /is it in s\?/],
    ['{ time: { value: -5 }, unit: s }', /is not between/],
    ['{ first_of: [x, text / 2] }', /text is a text/],
    ['{ object: { a: text / 2 } }', /a: text is a text/],
    ['text == 1', /text cannot be compared so/],
  ])('that is there and cannot be used rejects the event: %s', (written, why) => {
    expect(valueOf(written, body)).toMatch(why)
    expect(valueOf(written, body)).toMatch(
      /^the body: payload\.v cannot be made: .* \(gameco\.mapping\.yaml:\d+:\d+\)$/,
    )
  })

  test('nested deeper than an event may be, or with a number that JSON cannot say, rejects the event', () => {
    let deep: JsonObject = {}
    for (let level = 0; level < 40; level++) deep = { deep }
    for (const object of [deep, { a: [Number.POSITIVE_INFINITY] }]) {
      expect(valueOf('object', { object })).toMatch(/object is nested too deep, or holds a number too large/)
    }
  })
})

describe('what an event must have', () => {
  test.each([
    ['event_id', { id: undefined }, 'event_id cannot be made: id is missing (gameco.mapping.yaml:4:15)'],
    ['event_id that is empty', { id: '' }, 'event_id cannot be made: id is an empty text'],
    ['ts', { at: undefined }, 'ts cannot be made: at is missing (gameco.mapping.yaml:5:9)'],
    ['user.id', { player: null }, 'user.id cannot be made: player is missing (gameco.mapping.yaml:6:17)'],
    ['user.id that is a list', { player: ['u'] }, 'user.id cannot be made: player is a list'],
  ])('and has not, rejects it and says where: %s', (_, change, detail) => {
    expect(only(simple(), { ...BODY, ...change } as JsonObject)).toContain(`the body: ${detail}`)
  })

  test('and may have as a number, becomes a text', () => {
    expect(only(simple(), { ...BODY, id: 17, player: 4711 })).toMatchObject({ event_id: 'g:17', user: { id: '4711' } })
  })

  test('and of which nothing is said, is an empty payload', () => {
    const text = simple().replace(/ {4}payload:.*\n/, '')
    expect(only(text)).toEqual({
      event_id: 'g:t1',
      event_name: 'bet',
      ts: '2025-11-03T12:00:00.000Z',
      user: { id: 'u_1' },
      payload: {},
    })
  })

  test('is told all together, with what there was of the event', () => {
    const [item] = itemsOf(mappingOf(simple()).map({ stake: 5 }, REQUEST))
    expect(item).toEqual({
      ok: false,
      item: 'the body',
      detail: expect.stringMatching(/event_id cannot .*; ts cannot .*; user\.id cannot/),
      event: { event_name: 'bet', user: {}, payload: { bet: 0.05 } },
      leftOut: [],
    })
  })
})

describe('several events', () => {
  const LIST = `
provider: gameco
each: data.rounds
fields: { ref: [player, "user-ref"], leg: [legs, 1, odds], batch: [body, "batch-id"] }
ignore: type == "STARTED"
common:
  event_id: "{body.id}:{index}"
  ts: { time: request.received_at, unit: ms }
  user: { id: ref, geo: '"TR"' }
  payload: { currency: body.currency, odds: leg, batch: batch }
events:
  - { when: type == "BET" and stake > 0, event_name: bet, payload: { bet: stake } }
  - { when: item.type == "WIN", event_name: "{name}", payload: { win: win, currency: '"TRY"' } }
  - when: kind in ["A", "B"]
    event_name: { lookup: kind, table: { A: login, B: spin } }
    event_id: "other:{n}"
`
  const body = (rounds: readonly unknown[]): JsonObject =>
    ({ id: 'b1', currency: 'EUR', 'batch-id': 9, data: { rounds } }) as unknown as JsonObject

  test('are made of the items of a list, each by the first form that fits', () => {
    const player = { 'user-ref': 'u_1' }
    const items = itemsOf(
      mappingOf(LIST).map(
        body([
          { type: 'STARTED' },
          { type: 'BET', stake: 2, player, legs: [{}, { odds: 1.5 }] },
          { type: 'WIN', win: 3, name: 'win', player },
          { kind: 'B', n: 5, player },
          { type: 'BET', stake: 0, player },
          7,
        ]),
        REQUEST,
      ),
    )
    const common = { ts: '2025-11-03T12:01:40.000Z', user: { id: 'u_1', geo: 'TR' } }
    expect(items.map(({ event }) => event).slice(0, 3)).toEqual([
      { ...common, event_id: 'b1:1', event_name: 'bet', payload: { bet: 2, currency: 'EUR', odds: 1.5, batch: 9 } },
      { ...common, event_id: 'b1:2', event_name: 'win', payload: { win: 3, currency: 'TRY', batch: 9 } },
      { ...common, event_id: 'other:5', event_name: 'spin', payload: { currency: 'EUR', batch: 9 } },
    ])
    expect(items.slice(3)).toMatchObject([
      { ok: false, item: 'data.rounds[4]', detail: expect.stringContaining('data.rounds[4] fits none of the events') },
      { ok: false, item: 'data.rounds[5]', detail: 'data.rounds[5] is no object' },
    ])
  })

  test('one that cannot be mapped leaves the others as they are', () => {
    const rounds = [
      { type: 'BET', stake: 2 },
      { type: 'BET', stake: 3, player: { 'user-ref': 'u_2' } },
    ]
    expect(itemsOf(mappingOf(LIST).map(body(rounds), REQUEST))).toMatchObject([
      { ok: false, detail: expect.stringMatching(/^data\.rounds\[0\]: user\.id cannot be made: ref is missing/) },
      { ok: true, event: { event_id: 'b1:1' } },
    ])
  })

  test('what was left out is told', () => {
    const [item] = itemsOf(
      mappingOf(LIST).map(body([{ type: 'BET', stake: 2, player: { 'user-ref': 'u_2' } }]), REQUEST),
    )
    expect(item?.leftOut).toEqual(['payload.odds is left out: leg is missing (gameco.mapping.yaml:10:45)'])
  })

  test('are none where there is no list, or more than one call may bring', () => {
    const mapping = mappingOf(LIST)
    expect(mapping.map({ id: 'b1' }, REQUEST)).toEqual({
      ok: false,
      detail: 'data.rounds is missing in the body; the mapping takes its items (gameco.mapping.yaml:3:7)',
    })
    expect(mapping.map({ data: { rounds: { 0: {} } } }, REQUEST)).toMatchObject({
      detail: expect.stringContaining('is no list'),
    })
    const many = (count: number) =>
      mapping.map(body(Array.from({ length: count }, () => ({ type: 'STARTED' }))), REQUEST)
    expect(many(MAPPED_EVENTS_MAX)).toEqual({ ok: true, events: [], ignored: MAPPED_EVENTS_MAX })
    expect(many(MAPPED_EVENTS_MAX + 1)).toMatchObject({ ok: false, detail: expect.stringContaining('has 501 items') })
  })

  test('of no form are ignored where the mapping says so', () => {
    const mapping = mappingOf(`${LIST}otherwise: ignore\n`)
    expect(mapping.map(body([{ type: 'NEW' }, 7]), REQUEST)).toMatchObject({
      ok: true,
      ignored: 1,
      events: [{ ok: false }],
    })
  })

  test('have names that are known beforehand, or not', () => {
    expect(mappingOf(simple()).eventNames).toEqual(new Set(['bet']))
    expect(mappingOf(LIST).eventNames).toBeUndefined()
    expect([mappingOf(simple()).usesRequest, mappingOf(LIST).usesRequest]).toEqual([false, true])
  })
})

describe('a mapping that is wrong', () => {
  const problemsOf = (text: string): readonly string[] => {
    const reading = compileMapping({ file: 'm.yaml', text })
    return reading.ok
      ? []
      : reading.problems.map(({ line, column, message, hint }) => `${line}:${column} ${message}; ${hint}`)
  }

  test.each([
    ['', '1:1 the file is empty'],
    ['provider: x\n', '1:1 events is missing'],
    ['provider: x\nevents: []\n', '2:9 events is a list of 1 to 100 events'],
    [simple({}, { provider: 'a b' }), '1:11 provider cannot be "a b"'],
    [simple({}, { evnts: '[]' }), '2:1 a mapping has no key "evnts"; did you mean events?'],
    [simple({ usr: '{}' }), '8:5 an event has no key "usr"; did you mean user?'],
    [simple({ event_id: '{id}' }), '4:15 event_id is a text with fields in braces'],
    [simple({ event_id: '"g:{id"' }), '4:18 this { is never closed'],
    [simple({ event_id: '"g:id}"' }), '4:20 no { belongs to this }'],
    [simple({ event_id: '"g:1"' }), '4:15 event_id holds nothing of the body'],
    [simple({ event_id: '"g:{id}:{request.id}"' }), '4:15 event_id holds something of the request'],
    [simple({ event_id: '"g:{id + 1}"' }), '4:15 event_id holds fields, and no formulas'],
    [simple({ event_id: '"{body.id}"' }, { each: 'rounds' }), '5:15 event_id holds nothing of the item'],
    [simple({ event_id: '"{index}"' }, { each: 'rounds' }), '5:15 event_id holds nothing of the body'],
    [simple({ ts: 'now' }), '5:9 now has no meaning here'],
    [simple({ ts: '{ time: at, unit: sec }' }), '5:27 unit is one of rfc3339, s, ms'],
    [simple({ ts: '{ time: at, unit: s, zone: Europe/Istanbul }' }), '5:30 a time in s is the same in every zone'],
    [simple({ ts: '{ tiem: at }' }), '5:9 this map is none of the forms of a value; did you mean time?'],
    [simple({ user: '{ geo: country }' }), '6:5 user has no id'],
    [simple({ user: '{ id: player, goe: country }' }), '6:25 user has no key "goe"; did you mean geo?'],
    [simple({ payload: '{ bet: stake / }' }), '7:28 the expression ends where'],
    [simple({ payload: `{ bet: "count(bet, 7d) > 1" }` }), '7:22 recent events are known to rules only'],
    [simple({ payload: '{ bet: user in segment("vip") }' }), '7:21 segments are known to rules only'],
    [simple({ payload: '{ bet: request.ip }' }), '7:21 a request has id and received_at, not "ip"'],
    [simple({ payload: '{ bet: player.__proto__ }' }), '7:21 "__proto__" is no field of an event'],
    [simple({ payload: '{ __proto__: stake }' }), '7:16 "__proto__" cannot be a key'],
    [simple({ payload: '{ bet: [a, b] }' }), '7:21 a list cannot stand here'],
    [simple({ payload: '{ bet: { lookup: a } }' }), '7:23 table is missing'],
    [simple({ payload: '{ bet: { lookup: a, table: { x: 1, "x": 2 } } }' }), '"x" stands in this table twice'],
    [simple({ payload: '{ bet: { number: a, divide_by: 0 } }' }), '7:45 divide_by is a number'],
    [simple({ payload: '{ bet: { first_of: a } }' }), '7:33 first_of is a list'],
    [simple({ payload: '{ bet: stake > 1 and 7 }' }), '7:35 a condition is needed here'],
    [simple({ payload: '&a { bet: stake }', context: '*a' }), 'references (*name) are not allowed'],
    [simple({ when: 'stake' }, { ignore: '[7]' }), '2:10 ignore is a condition'],
    [simple({}, { fields: '{ index: [a] }' }), '2:11 "index" has a meaning of its own'],
    [simple({}, { fields: '{ a: b }' }), '2:14 a path is a list'],
    [simple({}, { each: 'a + b' }), '2:7 each names the list of the body'],
    [simple({}, { otherwise: 'drop' }), '2:12 otherwise is one of reject, ignore'],
    [simple({}, { common: '{ when: a == 1 }' }), '2:11 common has no key "when"'],
    [simple({ event_name: '"a b"' }), '3:17 "a b" is no name of an event'],
    [`${simple()}  - event_name: win\n`, '8:5 nothing comes to this event'],
  ])('says what, where and what would be right: %j', (text, said) => {
    expect(problemsOf(text)).toContainEqual(expect.stringContaining(said))
  })

  test('says all of it at once, in order, and what is wrong in common once', () => {
    const text = `
provider: gameco
common:
  ts: { time: at, unit: sec }
  user: { id: player + }
events:
  - { when: a == 1, event_name: bet, event_id: "1" }
  - { event_name: win, event_id: "{id}", payload: { x: null } }
`
    expect(problemsOf(text).map((problem) => problem.split(' ')[0])).toEqual(['4:25', '5:23', '7:48', '8:53'])
  })
})
