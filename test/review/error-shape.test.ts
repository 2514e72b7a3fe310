import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { errorShape } from '../../pipeline/review/error-shape.ts'
import { normalize } from '../support/engine.ts'
import { bet } from './office.ts'

const detailOf = (event: Record<string, unknown> | string): string => {
  const read = normalize(Buffer.from(typeof event === 'string' ? event : JSON.stringify(event)))
  return read.kind === 'rejected' ? read.detail : 'valid'
}
const shapeOf = (event: Record<string, unknown> | string): string => errorShape(detailOf(event))

test.each<[string, string, string]>([
  ['a value', 'payload.bet is the text "1\\"2"; it must be a number', 'payload.bet is …; it must be a number'],
  ['a time', 'ts 2025-11-03T00:00:00.000Z is 300 s older than 2025-11-03T00:05:00Z', 'ts … is … s older than …'],
  ['an amount', 'pool nov_2025 has 1.20 of 5.00 left', 'pool nov_2025 has … of … left'],
  ['a reward', 'the ledger says nothing of rt_0123456789abcdef', 'the ledger says nothing of …'],
  ['a place in a list', 'payload.items[3].id is missing', 'payload.items[…].id is missing'],
  ['names stay', 'r_points_v2 takes e2e events of version 2x', 'r_points_v2 takes e2e events of version 2x'],
])('%s', (_, detail, shape) => {
  expect(errorShape(detail)).toBe(shape)
})

test('events with the same mistake have the same error, whatever they hold; with another mistake another one', () => {
  const value = fc.oneof(
    fc.string({ minLength: 1 }),
    fc.string({ unit: 'grapheme-composite', minLength: 1, maxLength: 80 }),
  )
  fc.assert(
    fc.property(value, value, (a, b) => {
      const wrong = (text: string) => bet('e', { payload: { bet: text, win: 2, currency: 'EUR' } })
      expect(shapeOf(wrong(a))).toBe(shapeOf(wrong(b)))
      expect(shapeOf(bet('e', { ts: `x${a}` }))).toBe(shapeOf(bet('e', { ts: `x${b}` })))
      expect(shapeOf(wrong(a))).not.toBe(shapeOf(bet('e', { ts: `x${a}` })))
      expect(shapeOf(wrong(a))).not.toBe(shapeOf(bet('e', { payload: { bet: 1, win: a, currency: 'EUR' } })))
    }),
  )
})

test('what is no JSON has few errors', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (text) => {
      const shape = shapeOf(`{"a": ${text}`)
      expect(shape.length).toBeLessThan(120)
    }),
  )
})

test('an error is its own error, so that what a list shows can be asked for', () => {
  for (const event of [
    bet('e', { ts: 5 }),
    bet('e', { payload: { bet: -1.5e300, win: [] } }),
    bet('e', { event_name: 'nobody' }),
    '{',
    '[1]',
    '"x"',
  ]) {
    expect(errorShape(shapeOf(event))).toBe(shapeOf(event))
  }
})
