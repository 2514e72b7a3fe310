import { OncewardError } from '../../core/errors.ts'
import { dayOrTime } from '../settings/day-or-time.ts'

export interface Period {
  /** ms, inclusive. */
  readonly from: number
  /** ms, exclusive. */
  readonly until: number
}

/** A year, month or day in UTC, or what two flags say; undefined: all there is. Throws ONCEWARD_E_SETTING_INVALID. */
export function periodOf(settings: {
  readonly period: string | undefined
  readonly from: string | undefined
  readonly until: string | undefined
}): Period | undefined {
  const { period, from, until } = settings
  if (period !== undefined) {
    if (from !== undefined || until !== undefined) {
      throw invalid('--period says both ends; leave out --from and --until, or --period')
    }
    return calendarPeriod(period)
  }
  if (from === undefined && until === undefined) return undefined
  const [first, last] = [dayOrTime('--from', from), dayOrTime('--until', until)]
  const span = { from: first ?? Number.MIN_SAFE_INTEGER, until: last ?? Number.MAX_SAFE_INTEGER }
  if (span.from >= span.until) throw invalid('--from is not before --until, so nothing lies between them')
  return span
}

function calendarPeriod(text: string): Period {
  const match = /^(\d{4})(?:-(\d\d)(?:-(\d\d))?)?$/.exec(text)
  const [year = 0, month, day] = (match ?? []).slice(1).map((part) => (part === undefined ? undefined : Number(part)))
  const from = Date.UTC(year, (month ?? 1) - 1, day ?? 1)
  const exists = match !== null && new Date(from).toISOString().startsWith(text)
  if (!exists) throw invalid(`--period: "${text}" is no year, month or day; write 2025, 2025-11 or 2025-11-03`)
  if (month === undefined) return { from, until: Date.UTC(year + 1, 0, 1) }
  return { from, until: day === undefined ? Date.UTC(year, month, 1) : Date.UTC(year, month - 1, day + 1) }
}

function invalid(message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_SETTING_INVALID', message)
}
