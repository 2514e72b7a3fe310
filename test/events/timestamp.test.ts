import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTimestamp } from '../../operators/timestamp.ts'

const two = (n: number): string => String(n).padStart(2, '0')

/** Field by field, a little beyond what is right. */
const parts = fc.record({
  year: fc.integer({ min: 0, max: 9999 }),
  month: fc.integer({ min: 0, max: 13 }),
  day: fc.integer({ min: 0, max: 32 }),
  hour: fc.integer({ min: 0, max: 25 }),
  minute: fc.integer({ min: 0, max: 61 }),
  second: fc.integer({ min: 0, max: 61 }),
  fraction: fc.option(fc.stringMatching(/^[0-9]{1,12}$/), { nil: undefined }),
  offset: fc.option(
    fc.tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 })),
    { nil: undefined },
  ),
})

function daysIn(year: number, month: number): number {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  return month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31
}

describe('a timestamp is read as Date.parse reads it', () => {
  it('where the date and time exist, and refused where they do not', () => {
    fc.assert(
      fc.property(parts, ({ year, month, day, hour, minute, second, fraction, offset }) => {
        const zone = offset === undefined ? 'Z' : `${offset[0]}${two(offset[1])}:${two(offset[2])}`
        const date = `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`
        const at = `${date}T${two(hour)}:${two(minute)}:${two(second)}`
        const text = fraction === undefined ? `${at}${zone}` : `${at}.${fraction}${zone}`
        // Before 1970 V8 rounds further digits up: ask it without them.
        const oracle = fraction === undefined ? text : `${at}.${fraction.slice(0, 3)}${zone}`
        const real = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)
        const right = real && hour < 24 && minute < 60 && second < 60
        expect(parseTimestamp(text)).toBe(right ? Date.parse(oracle) : Number.NaN)
      }),
      { numRuns: 5_000 },
    )
  })

  it('for every instant that has one', () => {
    const instants = fc.date({
      min: new Date(-62_167_219_200_000),
      max: new Date(253_402_300_799_999),
      noInvalidDate: true,
    })
    fc.assert(
      fc.property(instants, (date) => {
        expect(parseTimestamp(date.toISOString())).toBe(date.getTime())
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('a text that is no RFC 3339 time is refused', () => {
  it('whatever it is', () => {
    fc.assert(fc.property(fc.string(), (text) => Number.isNaN(parseTimestamp(text))))
  })

  it('with one character left out, doubled, or replaced by one that cannot stand there', () => {
    const text = '2025-11-03T12:34:56.789+02:00'
    for (let at = 0; at < text.length; at++) {
      expect(parseTimestamp(`${text.slice(0, at)}x${text.slice(at + 1)}`), `x at ${at}`).toBeNaN()
      // Digits of the fraction may come and go.
      if (at >= 20 && at <= 22) continue
      expect(parseTimestamp(text.slice(0, at) + text.slice(at + 1)), `without ${at}`).toBeNaN()
      expect(parseTimestamp(text.slice(0, at + 1) + text.slice(at)), `doubled ${at}`).toBeNaN()
    }
  })

  it.each([
    '2025-11-03T12:00:00',
    '2025-11-03T12:00Z',
    '2025-11-03',
    '2025-11-03T12:00:00.Z',
    '2025-11-03T12:00:00+0100',
    '2025-11-03T12:00:00+24:00',
    '2025-11-03T12:00:00Z ',
    ' 2025-11-03T12:00:00Z',
    '2016-12-31T23:59:60Z',
    '+002025-11-03T12:00:00Z',
    '２０２５-11-03T12:00:00Z',
  ])('%s', (text) => {
    expect(parseTimestamp(text)).toBeNaN()
  })
})

it('lower case and a space are taken, and digits beyond the millisecond are cut off', () => {
  const noon = Date.UTC(2025, 10, 3, 12)
  expect(parseTimestamp('2025-11-03t12:00:00z')).toBe(noon)
  expect(parseTimestamp('2025-11-03 12:00:00Z')).toBe(noon)
  expect(parseTimestamp('2025-11-03T12:00:00.0009999999Z')).toBe(noon)
  expect(parseTimestamp('2025-11-03T15:00:00.5+03:00')).toBe(noon + 500)
  expect(parseTimestamp('2025-11-03T12:00:00-00:00')).toBe(noon)
})
