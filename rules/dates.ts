import { DAY_MS } from '../core/durations.ts'
import { instantOf } from './calendar.ts'

/** The instants that a date stands for: a whole day, or one millisecond for a date with a time. */
export interface DateRange {
  readonly from: number
  /** Exclusive. */
  readonly until: number
}

export type DateReading =
  | { readonly ok: true; readonly range: DateRange }
  | { readonly ok: false; readonly message: string; readonly hint: string }

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/
const DATE_TIME = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?([Zz]|[+-]\d{2}:\d{2})?$/
const FORMS = 'write 2025-11-30, 2025-11-30T18:00 or, with an offset, 2025-11-30T18:00:00Z'

/**
 * Reads a date (`2025-11-30`: the whole day in `zone`) or a date-time (RFC 3339; without an offset in `zone`, where a
 * time that clocks skip or repeat is read as instantOf says). Fractions are cut to milliseconds.
 */
export function readDate(text: string, zone: string): DateReading {
  const date = DATE.exec(text)
  if (date !== null) {
    const local = localDate(date)
    if (local === undefined) return noSuchDay(text)
    return { ok: true, range: { from: instantOf(zone, local), until: instantOf(zone, local + DAY_MS) } }
  }
  const match = DATE_TIME.exec(text)
  if (match === null) return { ok: false, message: `"${shorten(text)}" is not a date`, hint: FORMS }
  const day = localDate(match)
  if (day === undefined) return noSuchDay(text)
  const [hour, minute, second] = [Number(match[4]), Number(match[5]), Number(match[6] ?? 0)]
  if (hour > 23 || minute > 59 || second > 59) {
    return { ok: false, message: `"${text}" has an impossible time of day`, hint: 'times go from 00:00:00 to 23:59:59' }
  }
  const ms = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'))
  const local = day + ((hour * 60 + minute) * 60 + second) * 1000 + ms
  const offset = offsetMs(match[8])
  if (offset === null)
    return { ok: false, message: `"${text}" has an impossible offset`, hint: 'offsets go up to ±23:59' }
  const from = offset === undefined ? instantOf(zone, local) : local - offset
  return { ok: true, range: { from, until: from + 1 } }
}

function localDate(match: RegExpExecArray): number | undefined {
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const date = new Date(Date.UTC(2000, 0, 1))
  date.setUTCFullYear(year, month - 1, day)
  // A day that the month doesn't have, 00 included, moves the date into another month.
  const possible = year >= 1 && date.getUTCMonth() === month - 1
  return possible ? date.getTime() : undefined
}

function noSuchDay(text: string): DateReading {
  return {
    ok: false,
    message: `"${text}" is a day that does not exist`,
    hint: 'check the month and the day: year-month-day',
  }
}

/** undefined: none given; null: impossible. */
function offsetMs(text: string | undefined): number | undefined | null {
  if (text === undefined) return undefined
  if (text === 'Z' || text === 'z') return 0
  const [hours, minutes] = [Number(text.slice(1, 3)), Number(text.slice(4, 6))]
  if (hours > 23 || minutes > 59) return null
  return (text.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000
}

function shorten(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 40)}…`
}
