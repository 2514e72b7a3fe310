import { DAY_MS, MINUTE_MS } from '../core/durations.ts'
import type { Reset } from './compiled.ts'

/**
 * Calendar arithmetic over the time zones that Intl knows; pure, and no clock is read. Instants are milliseconds since
 * the epoch. A local time is written as the instant at which UTC would show the same digits.
 */

/** True for the names of the IANA time zone database that this runtime knows; offsets such as +03:00 are no zones. */
export function isValidZone(zone: string): boolean {
  if (!/^[A-Za-z]/.test(zone)) return false
  if (valid.has(zone)) return true
  try {
    if (new Intl.DateTimeFormat('en-US', { timeZone: zone }).resolvedOptions().timeZone === '') return false
  } catch {
    return false
  }
  if (valid.size >= ZONES_MAX) valid.clear()
  valid.add(zone)
  return true
}

/** Most zones kept at once; a rule set names a handful. */
const ZONES_MAX = 700
/** To ask Intl takes half a millisecond, and a policy may name the same zone for a thousand pools. */
const valid = new Set<string>()
const DAYS_CACHED = 1024
const QUARTERS_CACHED = 1024
const QUARTER_MS = 15 * MINUTE_MS

/**
 * What is known of one zone. A whole UTC day has one offset on all but a few days a year; on those the offset is kept
 * for quarters of an hour, where nearly all transitions fall; what is finer still is asked for each time.
 */
class ZoneOffsets {
  readonly #format: Intl.DateTimeFormat
  readonly #days = new Float64Array(DAYS_CACHED).fill(Number.NaN)
  readonly #dayOffsets = new Float64Array(DAYS_CACHED)
  readonly #quarters = new Float64Array(QUARTERS_CACHED).fill(Number.NaN)
  readonly #quarterOffsets = new Float64Array(QUARTERS_CACHED)

  constructor(zone: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      era: 'narrow',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  }

  at(ts: number): number {
    const day = Math.floor(ts / DAY_MS)
    const slot = day & (DAYS_CACHED - 1)
    if (this.#days[slot] !== day) {
      this.#days[slot] = day
      this.#dayOffsets[slot] = this.#constant(day * DAY_MS, DAY_MS)
    }
    const offset = this.#dayOffsets[slot] ?? Number.NaN
    // NaN marks a day on which the offset changes.
    return Number.isNaN(offset) ? this.#inQuarter(ts) : offset
  }

  #inQuarter(ts: number): number {
    const quarter = Math.floor(ts / QUARTER_MS)
    const slot = quarter & (QUARTERS_CACHED - 1)
    if (this.#quarters[slot] !== quarter) {
      this.#quarters[slot] = quarter
      this.#quarterOffsets[slot] = this.#constant(quarter * QUARTER_MS, QUARTER_MS)
    }
    const offset = this.#quarterOffsets[slot] ?? Number.NaN
    return Number.isNaN(offset) ? this.#exact(ts) : offset
  }

  /** The offset from `start` for `length`, or NaN where it changes. */
  #constant(start: number, length: number): number {
    const offset = this.#exact(start)
    return this.#exact(start + length - 1) === offset ? offset : Number.NaN
  }

  #exact(ts: number): number {
    const second = Math.floor(ts / 1000) * 1000
    const fields: Record<string, number> = {}
    let beforeChrist = false
    for (const { type, value } of this.#format.formatToParts(second)) {
      if (type === 'era') beforeChrist = value === 'B'
      else if (type !== 'literal') fields[type] = Number(value)
    }
    const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second: seconds = 0 } = fields
    // setUTCFullYear, because Date.UTC takes the years 0 to 99 for 1900 to 1999.
    const local = new Date(Date.UTC(2000, 0, 1, hour, minute, seconds))
    return local.setUTCFullYear(beforeChrist ? 1 - year : year, month - 1, day) - second
  }
}

const zones = new Map<string, ZoneOffsets>()
let lastZone = ''
let lastOffsets: ZoneOffsets | undefined

/** How far local time is ahead of UTC at `ts`, in ms. `zone` must be valid; throws RangeError otherwise. */
export function zoneOffsetMs(zone: string, ts: number): number {
  if (zone === 'UTC') return 0
  if (zone !== lastZone || lastOffsets === undefined) {
    lastOffsets = offsetsOf(zone)
    lastZone = zone
  }
  return lastOffsets.at(ts)
}

function offsetsOf(zone: string): ZoneOffsets {
  let offsets = zones.get(zone)
  if (offsets === undefined) {
    if (zones.size >= ZONES_MAX) zones.clear()
    offsets = new ZoneOffsets(zone)
    zones.set(zone, offsets)
  }
  return offsets
}

/** The local time in `zone` at `ts`. */
export function localMs(zone: string, ts: number): number {
  return ts + zoneOffsetMs(zone, ts)
}

/**
 * The instant at which `zone` shows the local time `local`. A time that comes twice (clocks set back) is the first; one
 * that never comes (clocks set forward) is as far after the change as it would have been without it. This is what
 * Temporal and RFC 5545 call compatible. For a midnight that is skipped it is the change itself, so the first instant of
 * the day: in no zone since 1990 did the clocks jump from before midnight to after it.
 */
export function instantOf(zone: string, local: number): number {
  const before = local - zoneOffsetMs(zone, local - DAY_MS)
  const after = local - zoneOffsetMs(zone, local + DAY_MS)
  const fits = [before, after].filter((instant) => localMs(zone, instant) === local)
  return fits.length === 0 ? before : Math.min(...fits)
}

const PERIODS_CACHED_MAX = 4096
const periods: Record<
  Exclude<Reset, 'never'>,
  { readonly byDay: Map<number, string>; readonly name: (day: number) => string }
> = {
  daily: { byDay: new Map(), name: dateName },
  weekly: { byDay: new Map(), name: weekName },
  monthly: { byDay: new Map(), name: (day) => dateName(day).slice(0, -3) },
}

/**
 * The calendar period of `zone` that `ts` falls in: `all`, `2025-11-03`, `2025-W45` (ISO 8601, with the ISO year) or
 * `2025-11`. Cheap enough for every scored event.
 */
export function periodOf(reset: Reset, zone: string, ts: number): string {
  if (reset === 'never') return 'all'
  const { byDay, name } = periods[reset]
  const day = Math.floor(localMs(zone, ts) / DAY_MS)
  let period = byDay.get(day)
  if (period === undefined) {
    if (byDay.size >= PERIODS_CACHED_MAX) byDay.clear()
    period = name(day)
    byDay.set(day, period)
  }
  return period
}

/** `day` counts from 1970-01-01. */
function dateName(day: number): string {
  return new Date(day * DAY_MS).toISOString().replace(/T.*$/, '')
}

function weekName(day: number): string {
  // 1970-01-01 was a Thursday; a week belongs to the year of its Thursday.
  const weekday = (((day + 3) % 7) + 7) % 7
  const thursday = day - weekday + 3
  const year = dateName(thursday).replace(/-\d\d-\d\d$/, '')
  const firstOfYear = new Date(thursday * DAY_MS)
  firstOfYear.setUTCMonth(0, 1)
  const week = Math.floor((thursday - firstOfYear.getTime() / DAY_MS) / 7) + 1
  return `${year}-W${String(week).padStart(2, '0')}`
}
