import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { loadSchemas } from '../../connectors/files/schemas.ts'
import type { Json, JsonObject } from '../../core/model/event.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { createNormalizer, type Normalized } from '../../operators/normalize.ts'
import type { CompiledMapping } from '../../rules/mapping.ts'
import { mappingOf, REQUEST, simple, valueOf } from './mapping-texts.ts'

/** Bodies of each property; ONCEWARD_FUZZ has more. */
const RUNS = Number(process.env['ONCEWARD_FUZZ'] ?? 2_000)

const FOLDER = join(import.meta.dirname, '../../examples/gateway')
const example = (name: string): CompiledMapping => mappingOf(readFileSync(join(FOLDER, `${name}.mapping.yaml`), 'utf8'))
const bodyOf = (name: string): JsonObject => JSON.parse(readFileSync(join(FOLDER, `bodies/${name}.json`), 'utf8'))
const EVERYTHING = mappingOf(`
provider: gameco
each: rounds
fields: { f: [a, 0, "__b"], g: [body, rounds, 1] }
events:
  - when: a == 1 or b contains "x" or exists(c) or d in [1, "2", true] or e between 1 and 5 or a != b
    event_name: "{n}"
    event_id: "{id}:{body.id}:{f}"
    ts: { first_of: [{ time: t, unit: s }, { time: t, unit: ms }, { time: t, zone: UTC }, u] }
    user: { id: player.id, geo: g, risk_flags: a }
    context: { ip: body, session_id: item, device_fp: { text: a, case: upper } }
    payload:
      a: a / b + c * d - e % f ^ g
      b: { number: a, divide_by: 3 }
      c: { lookup: a, table: { x: 1, 1: 2 } }
      d: "{a}{b}{c}"
      e: { object: { a: a, b: { object: { c: f } } } }
      f: a == b and not (c < d)
      g: if(a == 1, b, sqrt(c))
`)

let normalize: (raw: Buffer) => Normalized
beforeAll(async () => {
  normalize = createNormalizer(parseSchemas(await loadSchemas()))
})

const KEYS = ['rounds', 'id', 'a', 'b', 'c', 'd', 'e', 't', 'u', 'n', 'player', 'data', 'payment', 'type', 'status']
const HOSTILE = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'length',
  '',
  '.item',
  '\u0000',
  '\ud800',
]
const scalar = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('x', '1', 'bet', 'ROUND_SETTLED', '2025-11-03T12:00:00Z', '9'.repeat(400), '\u0000', '\ud800'),
  fc.double(),
  fc.constantFrom(0, -0, 1, 1e308, -1e308, 1e-300, Number.POSITIVE_INFINITY, 2 ** 53, 1_762_171_200, 1_762_171_200_000),
  fc.boolean(),
  fc.constant(null),
)
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    scalar,
    fc.array(tie('json'), { maxLength: 5 }),
    fc
      .array(fc.tuple(fc.oneof(fc.constantFrom(...KEYS), fc.constantFrom(...HOSTILE), fc.string()), tie('json')), {
        maxLength: 8,
      })
      // As JSON.parse makes them: __proto__ is a key like any other.
      .map((pairs) => Object.fromEntries(pairs)),
  ),
}))
const anyBody = fc
  .array(fc.tuple(fc.constantFrom(...KEYS, ...HOSTILE), json), { maxLength: 8 })
  .map((pairs) => Object.fromEntries(pairs) as JsonObject)

/** A body that was right, with a part of it replaced or removed. */
function mutated(body: JsonObject): fc.Arbitrary<JsonObject> {
  return fc.array(fc.tuple(fc.nat({ max: 200 }), fc.option(json)), { minLength: 1, maxLength: 4 }).map((changes) => {
    const copy: unknown = structuredClone(body)
    const places: { holder: Record<string, unknown>; key: string }[] = []
    const walk = (holder: unknown): void => {
      if (typeof holder !== 'object' || holder === null) return
      for (const key of Object.keys(holder)) {
        places.push({ holder: holder as Record<string, unknown>, key })
        walk((holder as Record<string, unknown>)[key])
      }
    }
    walk(copy)
    for (const [at, value] of changes) {
      const place = places[at % places.length]
      if (place === undefined) continue
      if (value === null) delete place.holder[place.key]
      else place.holder[place.key] = value
    }
    return copy as JsonObject
  })
}

/** Holds whatever the body: no throw, the same again, JSON that can be written, a sentence for each rejection. */
function holds(mapping: CompiledMapping, body: JsonObject): void {
  const before = JSON.stringify(body)
  const mapped = mapping.map(body, REQUEST)
  expect(mapping.map(body, REQUEST)).toEqual(mapped)
  expect(JSON.stringify(body)).toBe(before)
  if (!mapped.ok) {
    expect(mapped.detail).not.toBe('')
    return
  }
  for (const item of mapped.events) {
    expect(Object.getPrototypeOf(item.event)).toBe(Object.prototype)
    if (item.ok) {
      const { event_id: id, event_name: name, ts, user } = item.event
      for (const text of [id, name, (user as JsonObject)['id']]) expect(text).toEqual(expect.stringMatching(/./s))
      expect(ts === undefined).toBe(false)
      normalize(Buffer.from(JSON.stringify(item.event)))
    } else expect(item.detail).not.toBe('')
  }
}

test.each([
  ['one that uses everything', EVERYTHING],
  ['the example of a game aggregator', example('gameco')],
  ['the example of a payment provider', example('paygrid')],
])('whatever the body, %s never throws, and the same body gives the same', (_, mapping) => {
  fc.assert(
    fc.property(anyBody, (body) => holds(mapping, body)),
    { numRuns: RUNS },
  )
})

test.each([
  ['gameco', 'gameco-rounds'],
  ['paygrid', 'paygrid-deposit'],
])('whatever is changed in a real body, the mapping of %s never throws', (provider, body) => {
  const mapping = example(provider)
  fc.assert(
    fc.property(mutated(bodyOf(body)), (changed) => holds(mapping, changed)),
    { numRuns: RUNS },
  )
})

test('a body of ten thousand levels is no trouble', () => {
  const deep = JSON.parse(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`)
  expect(valueOf('{ first_of: [x, deep] }', { deep })).toMatch(/nested too deep/)
  expect(EVERYTHING.map({ rounds: [deep] }, REQUEST)).toMatchObject({ ok: true, events: [{ ok: false }] })
})

test('cents become amounts of two decimals, exactly, as far as a double holds them', () => {
  const cents = fc.oneof(fc.integer(), fc.bigInt(1n - 10n ** 15n, 10n ** 15n - 1n).map(Number))
  const mapping = mappingOf(
    simple({
      payload: '{ a: c / 100, b: c * 0.01, c: { number: c, divide_by: 100 }, d: { number: t, divide_by: 100 } }',
    }),
  )
  fc.assert(
    fc.property(cents, (c) => {
      const body = { id: 't', at: REQUEST.receivedAt, player: 'u', c, t: String(c) }
      const mapped = mapping.map(body, REQUEST)
      const payload = mapped.ok ? (mapped.events[0]?.event['payload'] as JsonObject) : {}
      const digits = String(Math.abs(c)).padStart(3, '0')
      const written = Number(`${c < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`)
      expect(payload).toEqual({ a: written, b: written, c: written, d: written })
    }),
    { numRuns: RUNS },
  )
})

test('sums of amounts have no more decimals than their parts', () => {
  const amount = fc.integer({ min: 0, max: 100_000_00 }).map((c) => c / 100)
  fc.assert(
    fc.property(amount, amount, amount, (a, b, c) => {
      const exact = (Math.round(a * 100) + Math.round(b * 100) + Math.round(c * 100)) / 100
      expect(valueOf('a + b + c', { a, b, c })).toBe(exact)
    }),
    { numRuns: 300 },
  )
})
