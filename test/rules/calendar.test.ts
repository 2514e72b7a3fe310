import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { instantOf, isValidZone, localMs, periodOf, zoneOffsetMs } from '../../rules/calendar.ts'

/** With rules that differ in kind: none, whole hours, half hours, at midnight, over the date line, odd ones of the past. */
const ZONES = [
  'UTC',
  'Europe/Istanbul',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'America/Havana',
  'America/Lima',
  'Asia/Kolkata',
  'Asia/Kathmandu',
  'Asia/Beirut',
  'Africa/Cairo',
  'Africa/Casablanca',
  'Africa/Monrovia',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Chatham',
] as const

const zone = fc.constantFrom(...ZONES)
const instant = fc.integer({ min: Date.UTC(1900, 0, 1), max: Date.UTC(2100, 0, 1) })

/** The local time as the runtime shows it, by another road than the code's. */
const formats = new Map<string, Intl.DateTimeFormat>(
  ZONES.map((timeZone) => {
    const options = { timeZone, dateStyle: 'short', timeStyle: 'medium' } as const
    return [timeZone, new Intl.DateTimeFormat('sv-SE', options)] as const
  }),
)

function shown(timeZone: string, ts: number): string {
  const text = formats.get(timeZone)?.format(ts) ?? ''
  return `${text}.${String(((ts % 1000) + 1000) % 1000).padStart(3, '0')}`
}

function digits(local: number): string {
  return new Date(local).toISOString().replace('T', ' ').replace('Z', '')
}

describe('local time', () => {
  it('is what Intl shows, at any instant in any zone', () => {
    fc.assert(
      fc.property(zone, instant, (timeZone, ts) => {
        expect(digits(localMs(timeZone, ts))).toBe(shown(timeZone, ts))
      }),
      { numRuns: 2_000 },
    )
  })

  it('is right at each side of every change of the clocks', () => {
    for (const timeZone of ZONES) {
      for (const change of changesOf(timeZone, 1970, 2030)) {
        for (const ts of [change - 1, change, change + 1])
          expect(digits(localMs(timeZone, ts))).toBe(shown(timeZone, ts))
      }
    }
  })

  it('is within a day of UTC in any year, the first ones and those before included', () => {
    for (const year of [-100, 0, 1, 99, 1582, 9999]) {
      const ts = new Date(0).setUTCFullYear(year, 5, 1)
      expect(Math.abs(zoneOffsetMs('Asia/Kolkata', ts))).toBeLessThan(86_400_000)
    }
  })

  it('does not depend on what was asked before', () => {
    const slotsApart = 1024 * 86_400_000
    const ts = Date.UTC(2025, 6, 1, 12)
    expect(zoneOffsetMs('Europe/Berlin', ts)).toBe(7_200_000)
    expect(zoneOffsetMs('Europe/Berlin', ts - slotsApart * 2)).toBe(zoneOffsetMs('Europe/Berlin', ts - slotsApart * 2))
    expect(zoneOffsetMs('America/New_York', ts)).toBe(-14_400_000)
    expect(zoneOffsetMs('Europe/Berlin', ts)).toBe(7_200_000)
  })
})

describe('instantOf', () => {
  it('finds an instant that shows the local time, the first where there are two', () => {
    fc.assert(
      fc.property(zone, instant, (timeZone, ts) => {
        const found = instantOf(timeZone, localMs(timeZone, ts))
        expect(localMs(timeZone, found)).toBe(localMs(timeZone, ts))
        expect(found).toBeLessThanOrEqual(ts)
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    ['clocks set forward: as far after the change', '2025-03-30T02:30', '2025-03-30T01:30:00.000Z'],
    ['clocks set back: the first of the two', '2025-10-26T02:30', '2025-10-26T00:30:00.000Z'],
    ['an ordinary time', '2025-07-01T12:00', '2025-07-01T10:00:00.000Z'],
  ])('%s', (_, local, expected) => {
    expect(new Date(instantOf('Europe/Berlin', Date.parse(`${local}Z`))).toISOString()).toBe(expected)
  })
})

it('a day begins at its first instant, also where midnight is skipped', () => {
  // Cuba and Lebanon set their clocks forward at midnight; Samoa once skipped a whole day.
  for (const [timeZone, day] of [
    ['America/Havana', '2025-03-09'],
    ['Asia/Beirut', '2025-03-30'],
    ['America/Sao_Paulo', '2018-11-04'],
    ['Pacific/Apia', '2011-12-31'],
    ['Europe/Berlin', '2025-06-01'],
  ] as const) {
    const start = instantOf(timeZone, Date.parse(`${day}T00:00:00Z`))
    expect(shown(timeZone, start).slice(0, 10)).toBe(day)
    expect(shown(timeZone, start - 1).slice(0, 10) < day).toBe(true)
  }
})

describe('periodOf', () => {
  it.each([
    ['never', '2025-11-03T12:00:00Z', 'all'],
    ['daily', '2025-11-03T20:59:59Z', '2025-11-03'],
    ['daily', '2025-11-03T21:00:00Z', '2025-11-04'],
    ['weekly', '2025-11-09T20:59:59Z', '2025-W45'],
    ['weekly', '2025-11-09T21:00:00Z', '2025-W46'],
    ['weekly', '2024-12-31T12:00:00Z', '2025-W01'],
    ['weekly', '2021-01-03T12:00:00Z', '2020-W53'],
    ['weekly', '2026-01-01T12:00:00Z', '2026-W01'],
    ['weekly', '1969-12-31T12:00:00Z', '1970-W01'],
    ['monthly', '2025-10-31T21:00:00Z', '2025-11'],
    ['monthly', '2025-10-31T20:59:59Z', '2025-10'],
  ] as const)('%s in Istanbul at %s is %s', (reset, ts, period) => {
    expect(periodOf(reset, 'Europe/Istanbul', Date.parse(ts))).toBe(period)
  })

  it('weeks begin on Monday, have seven days, and sort as time does', () => {
    fc.assert(
      fc.property(fc.integer({ min: -30_000, max: 40_000 }), (day) => {
        const ts = day * 86_400_000
        const monday = ts - ((new Date(ts).getUTCDay() + 6) % 7) * 86_400_000
        const week = periodOf('weekly', 'UTC', ts)
        expect(week).toMatch(/^\d{4}-W(0[1-9]|[1-4]\d|5[0-3])$/)
        for (let i = 0; i < 7; i++) expect(periodOf('weekly', 'UTC', monday + i * 86_400_000)).toBe(week)
        expect(periodOf('weekly', 'UTC', monday - 1) < week).toBe(true)
      }),
    )
  })
})

it('zones are names of the IANA database', () => {
  expect(['UTC', 'Europe/Istanbul', 'America/Sao_Paulo'].every(isValidZone)).toBe(true)
  expect(['', '+03:00', 'Europe/Istanbull', 'Mars/Base', '3'].some(isValidZone)).toBe(false)
})

/** Every instant at which the zone's offset changes, found by halving between noons. */
function changesOf(timeZone: string, fromYear: number, toYear: number): number[] {
  const changes: number[] = []
  const step = 7 * 86_400_000
  const offset = (ts: number): number => Date.parse(`${shown(timeZone, ts).replace(' ', 'T')}Z`) - ts
  for (let ts = Date.UTC(fromYear, 0, 1); ts < Date.UTC(toYear, 0, 1); ts += step) {
    if (offset(ts) === offset(ts + step)) continue
    let [low, high] = [ts, ts + step]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (offset(middle) === offset(low)) low = middle
      else high = middle
    }
    changes.push(high)
  }
  return changes
}
