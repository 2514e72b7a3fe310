import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createNormalizer, createValueNormalizer, DEPTH_MAX } from '../../operators/normalize.ts'
import { validEvent } from '../events/support.ts'
import { bet, schemas } from './harness.ts'

const ofBytes = createNormalizer(schemas)
const ofValue = createValueNormalizer(schemas)

/** An event that is valid, or one with something put in the place of something else. */
const anything = fc.oneof(
  validEvent,
  fc.jsonValue(),
  fc
    .tuple(
      validEvent,
      fc.constantFrom('event_id', 'event_name', 'ts', 'user', 'context', 'payload', 'more'),
      fc.jsonValue(),
    )
    .map(([event, name, value]) => ({ ...event, [name]: value })),
)

describe('JSON that was parsed already', () => {
  it('is judged as its bytes are, in the same words', () => {
    fc.assert(
      fc.property(anything, (value) => {
        const text = JSON.stringify(value)
        expect(ofValue(JSON.parse(text))).toEqual(ofBytes(Buffer.from(text)))
      }),
      { numRuns: Number(process.env['ONCEWARD_FUZZ'] ?? 3_000) },
    )
  })

  const nested = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`)
  const rows: readonly (readonly [string, unknown, RegExp])[] = [
    ['deeper than an event may be', { ...bet('e'), more: nested(DEPTH_MAX) }, /levels deep/],
    ['half a pair of surrogates in text', { ...bet('e'), more: ['\ud800'] }, /surrogate/],
    ['and in a key', { ...bet('e'), more: { 'a\udc00': 1 } }, /surrogate/],
    [
      'a number that would be written as null',
      JSON.parse(JSON.stringify(bet('e')).replace('}', ',"n":1e999}')),
      /too large to hold/,
    ],
    ['no object', [bet('e')], /a list of 1, not a JSON object/],
  ]
  it.each(rows)('%s', (_, value, detail) => {
    expect(ofValue(value)).toMatchObject({ kind: 'rejected', detail: expect.stringMatching(detail) })
  })

  it('as deep as an event may be', () => {
    expect(ofValue({ ...bet('e'), more: nested(DEPTH_MAX - 1) }).kind).toBe('event')
  })
})
