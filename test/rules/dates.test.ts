import { describe, expect, it } from 'vitest'
import { readDate } from '../../rules/dates.ts'
import { eventOf, truthOf } from './expressions.ts'

const at = (text: string, ts: string, zone = 'UTC') => truthOf(text, eventOf({}, ts), zone)

describe('now and dates', () => {
  it.each([
    ['now between "2025-11-01" and "2025-11-30"', '2025-10-31T23:59:59.999Z', false],
    ['now between "2025-11-01" and "2025-11-30"', '2025-11-01T00:00:00.000Z', true],
    ['now between "2025-11-01" and "2025-11-30"', '2025-11-30T23:59:59.999Z', true],
    ['now between "2025-11-01" and "2025-11-30"', '2025-12-01T00:00:00.000Z', false],
    ['now not between "2025-11-01" and "2025-11-30"', '2025-12-01T00:00:00.000Z', true],
    ['now <= "2025-11-30"', '2025-11-30T23:59:59.999Z', true],
    ['now <= "2025-11-30"', '2025-12-01T00:00:00Z', false],
    ['now < "2025-11-30"', '2025-11-29T23:59:59.999Z', true],
    ['now < "2025-11-30"', '2025-11-30T00:00:00Z', false],
    ['now > "2025-11-30"', '2025-11-30T23:59:59.999Z', false],
    ['now > "2025-11-30"', '2025-12-01T00:00:00Z', true],
    ['now >= "2025-11-30"', '2025-11-29T23:59:59.999Z', false],
    ['now >= "2025-11-30"', '2025-11-30T00:00:00Z', true],
    ['now == "2025-11-30"', '2025-11-30T13:00:00Z', true],
    ['now == "2025-11-30"', '2025-12-01T00:00:00Z', false],
    ['now != "2025-11-30"', '2025-12-01T00:00:00Z', true],
    ['not (now == "2025-11-30")', '2025-12-01T00:00:00Z', true],
    ['"2025-11-30" < now', '2025-12-01T00:00:00Z', true],
    ['"2025-11-30" >= now', '2025-11-30T23:00:00Z', true],
    ['now in ["2025-11-30", "2025-12-24"]', '2025-12-24T05:00:00Z', true],
    ['now not in ["2025-11-30", "2025-12-24"]', '2025-12-24T05:00:00Z', false],
    ['ts >= "2025-11-30"', '2025-11-30T00:00:00Z', true],
    ['now > "2025-11-30T18:00:00Z"', '2025-11-30T18:00:00.000Z', false],
    ['now > "2025-11-30T18:00:00Z"', '2025-11-30T18:00:00.001Z', true],
    ['now >= "2025-11-30T18:00+03:00"', '2025-11-30T15:00:00Z', true],
    ['now <= "2025-11-30T18:00:00.5Z"', '2025-11-30T18:00:00.500Z', true],
  ])('%s at %s is %s', (text, ts, truth) => {
    expect(at(text, ts)).toBe(truth)
  })

  it.each([
    ['now == "2025-11-30"', '2025-11-29T21:00:00.000Z', true],
    ['now == "2025-11-30"', '2025-11-29T20:59:59.999Z', false],
    ['now == "2025-11-30"', '2025-11-30T20:59:59.999Z', true],
    ['now == "2025-11-30"', '2025-11-30T21:00:00.000Z', false],
    ['now >= "2025-11-30T18:00"', '2025-11-30T15:00:00Z', true],
    ['now >= "2025-11-30 18:00:00"', '2025-11-30T14:59:59.999Z', false],
  ])('%s in Istanbul at %s is %s', (text, ts, truth) => {
    expect(at(text, ts, 'Europe/Istanbul')).toBe(truth)
  })
})

describe('readDate', () => {
  it.each([
    '2025-02-29',
    '2025-13-01',
    '2025-00-10',
    '2025-11-31T10:00',
    '0000-01-01',
    '2025-11-30T24:00:00',
    '2025-11-30T10:60',
    '2025-11-30T10:00:60',
    '2025-11-30T10:00:00+24:00',
    '2025-11-30T10:00:00+0300',
    '2025-1-1',
    '30.11.2025',
    'yesterday',
    '',
  ])('refuses "%s" with a hint', (text) => {
    const reading = readDate(text, 'UTC')
    expect(reading.ok).toBe(false)
    if (!reading.ok) expect(reading.hint).not.toBe('')
  })

  it('reads a leap day', () => {
    expect(readDate('2024-02-29', 'UTC')).toEqual({
      ok: true,
      range: { from: Date.UTC(2024, 1, 29), until: Date.UTC(2024, 2, 1) },
    })
  })

  it('a day on which clocks change has 23 or 25 hours', () => {
    const hours = (text: string): number => {
      const reading = readDate(text, 'Europe/Berlin')
      return reading.ok ? (reading.range.until - reading.range.from) / 3_600_000 : 0
    }
    expect([hours('2025-03-30'), hours('2025-10-26'), hours('2025-10-27')]).toEqual([23, 25, 24])
  })
})
