import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json, JsonObject } from '../../core/model/event.ts'
import { avroType } from '../../operators/avro-type.ts'
import { createWireEncoder } from '../../operators/wire-encoder.ts'
import { withHeader } from '../../operators/wire-format.ts'
import { Build, event, payloadFile, shipped, valueOf, withoutNulls } from './support.ts'

const build = new Build()
for (const [index, { text }] of build.records.entries()) build.decoder.learn(index + 1, { schema: text })
const idOf = (eventName: string): number =>
  build.records.findIndex(({ payload }) => payload.eventName === eventName) + 1

/** Events of a base type, as far as its schema declares them. */
function declared(eventName: string): fc.Arbitrary<JsonObject> {
  const { payload } = build.record(eventName)
  const optional = (value: fc.Arbitrary<Json>) => fc.option(value, { nil: undefined })
  return fc
    .record({
      event_id: fc.uuid(),
      payload: valueOf(payload.json),
      version: optional(fc.constant('1.2.0')),
      geo: optional(fc.constantFrom('TR', null)),
      risk_flags: optional(fc.array(fc.string(), { maxLength: 3 })),
      context: optional(fc.constantFrom(null, { session_id: 's_1', ip: null })),
    })
    .map(({ event_id, payload: given, version, geo, risk_flags, context }) => {
      const user = { id: 'u_1', ...some({ geo, risk_flags }) }
      return event(eventName, given as JsonObject, { event_id, user, ...some({ version, context }) })
    })
}

const some = (fields: Readonly<Record<string, Json | undefined>>): JsonObject =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

describe('an event in Avro', () => {
  test.each(build.records.map(({ payload }) => payload.eventName))(
    'of the type %s is the one that JSON would be',
    (name) => {
      fc.assert(
        fc.property(declared(name), (written) => {
          const fromAvro = build.normalize(build.write(written, idOf(name)))
          const fromJson = build.normalize(Buffer.from(JSON.stringify(withoutNulls(written))))
          expect(fromAvro).toEqual(fromJson)
          expect(fromAvro.kind).toBe('event')
        }),
        { numRuns: 50 },
      )
    },
  )

  test('that breaks a bound of events is rejected with the sentence of JSON', () => {
    for (const broken of [
      event('bet', { bet: 1 }, { event_id: '' }),
      event('bet', { bet: 1 }, { event_id: 'a\0b' }),
      event('bet', { bet: 1 }, { ts: 'yesterday' }),
      event('bet', { bet: 1 }, { user: { id: 'x'.repeat(300) } }),
    ]) {
      const raw = build.normalize(build.write(broken, idOf('bet')))
      expect(raw).toEqual(build.normalize(Buffer.from(JSON.stringify(broken))))
      expect(raw.kind).toBe('rejected')
    }
    const infinite = withHeader(
      idOf('bet'),
      avroType(build.record('bet').schema).toBuffer({
        ...event('bet', {}),
        payload: { bet: Number.POSITIVE_INFINITY },
      }),
    )
    expect(build.normalize(infinite)).toMatchObject({
      kind: 'rejected',
      detail: expect.stringContaining('payload.bet'),
    })
  })

  test('must be of the type that its schema is of', () => {
    const raw = withHeader(
      idOf('bet'),
      avroType(build.record('bet').schema).toBuffer({ ...event('win', {}), payload: { bet: 1 } }),
    )
    expect(build.normalize(raw)).toMatchObject({
      kind: 'rejected',
      eventId: 'e-1',
      detail: 'event_name is the text "win", but the Avro schema that it was written by is that of "bet"',
    })
  })
})

/** The types of one field, what a producer wrote, and what the event holds. */
const VALUES: readonly [name: string, type: unknown, written: unknown, held: unknown][] = [
  ['a long', 'long', 2 ** 53 - 2, 2 ** 53 - 2],
  ['an int', 'int', -(2 ** 31), -(2 ** 31)],
  ['a float is the double that it is', 'float', Math.fround(0.1), Math.fround(0.1)],
  ['bytes are their Latin-1 characters', 'bytes', Buffer.from([0, 65, 255]), '\u0000A\u00ff'],
  ['a fixed too', { type: 'fixed', name: 'hash', size: 2 }, Buffer.from([1, 254]), '\u0001\u00fe'],
  ['an enum is its symbol', { type: 'enum', name: 'color', symbols: ['RED', 'BLUE'] }, 'BLUE', 'BLUE'],
  ['a decimal is a number', { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 }, 12.35, 12.35],
  [
    'below zero too',
    { type: 'fixed', name: 'd', size: 8, logicalType: 'decimal', precision: 9, scale: 3 },
    -0.125,
    -0.125,
  ],
  ['a time stays a number', { type: 'long', logicalType: 'timestamp-millis' }, 1_762_171_200_000, 1_762_171_200_000],
  ['a union is the bare value', ['null', 'string', 'long'], 7, 7],
  [
    'of two kinds of text too',
    ['null', 'string', { type: 'enum', name: 'color', symbols: ['RED'] }],
    { 'acme.color': 'RED' },
    'RED',
  ],
  ['of two kinds of numbers too', ['int', 'double'], { double: 0.5 }, 0.5],
  ['with bytes', ['null', 'bytes'], Buffer.from('é', 'latin1'), 'é'],
  [
    'of two kinds of bytes',
    ['bytes', { type: 'fixed', name: 'hash', size: 1 }],
    { 'acme.hash': Buffer.from([200]) },
    'È',
  ],
  ['a decimal in a union', ['null', { type: 'bytes', logicalType: 'decimal', precision: 4, scale: 1 }], 3.5, 3.5],
  ['a list', { type: 'array', items: ['null', 'bytes'] }, [null, Buffer.from('x')], [null, 'x']],
  ['a map, without its nulls', { type: 'map', values: ['null', 'long'] }, { a: 1, b: null }, { a: 1 }],
  [
    'a record within',
    { type: 'record', name: 'part', fields: [{ name: 'n', type: ['null', 'int'] }] },
    { n: null },
    {},
  ],
  ['text of any language', 'string', 'çok — 賞金 🎰', 'çok — 賞金 🎰'],
]

/** A build that knows the event `own`, whose payload has one field, and its schema under the id 7. */
function buildOf(type: unknown, more: object = {}): Build {
  const own = new Build([...shipped, payloadFile('own', [{ name: 'f', type, ...more }])])
  own.decoder.learn(7, { schema: own.record('own').text })
  return own
}

function writtenBy(own: Build, payload: object): Buffer {
  return withHeader(7, avroType(own.record('own').schema).toBuffer({ ...event('own', {}), payload }))
}

const BEYOND = /the field "f" a whole number beyond 2\^53.*send it as text/

describe('values', () => {
  test.each(VALUES)('%s', (_, type, written, held) => {
    const own = buildOf(type)
    expect(own.normalize(writtenBy(own, { f: written }))).toMatchObject({
      kind: 'event',
      event: { data: { payload: { f: held } } },
    })
  })

  test.each(VALUES)('%s, as this producer writes it', (_, type, __, held) => {
    const own = buildOf(type)
    const read = own.normalize(own.write(event('own', { f: held as Json }), 7))
    expect(read).toMatchObject({ kind: 'event', event: { data: { payload: { f: held } } } })
  })

  test('a field that is null is as if it were not there', () => {
    const own = buildOf(['null', 'string'])
    const read = own.normalize(writtenBy(own, { f: null }))
    expect(read.kind === 'event' && read.event.data['payload']).toEqual({})
  })

  test('a whole number beyond 2^53 is refused by name, and not rounded', () => {
    const own = buildOf('long')
    const small = writtenBy(own, { f: 0 })
    for (const [bytes, says] of [
      [[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], BEYOND],
      [[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20], BEYOND],
      // -(2^52 + 1), which avsc takes for 2^52
      [[0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], /below -2\^52.*send it as text, in or after the field "f"/],
    ] as const) {
      const raw = Buffer.concat([small.subarray(0, -1), Buffer.from(bytes)])
      expect(own.normalize(raw)).toMatchObject({ detail: expect.stringMatching(says) })
    }
  })

  test('a decimal that a number does not hold exactly is refused', () => {
    const own = buildOf({ type: 'bytes', logicalType: 'decimal', precision: 38, scale: 2 })
    const plain = new Build([...shipped, payloadFile('own', [{ name: 'f', type: 'bytes' }])])
    const many = withHeader(
      7,
      avroType(plain.record('own').schema).toBuffer({ ...event('own', {}), payload: { f: Buffer.alloc(9, 0x7f) } }),
    )
    expect(own.normalize(many)).toMatchObject({ detail: expect.stringContaining('a decimal of more than 15 digits') })
  })

  test('the encoder refuses what would be lost, what is missing, and what does not fit', () => {
    const encode = createWireEncoder(build.record('bet').schema, 1)
    expect(encode(event('bet', { bet: 1, stake: 2 }))).toEqual({
      ok: false,
      detail: 'payload.stake is not declared in the schema and would be lost',
    })
    expect(encode(event('bet', {}))).toEqual({ ok: false, detail: 'payload.bet must be a number' })
    expect(encode(event('bet', { bet: 'one' }))).toEqual({ ok: false, detail: 'payload.bet must be a number' })
    expect(encode(event('bet', { bet: 1, win: 'x' }))).toMatchObject({
      detail: 'payload.win must be a number, or nothing',
    })
  })
})
