import { DAY_MS, parseDuration } from '../../core/durations.ts'
import { parseTimestamp } from '../../operators/timestamp.ts'
import { instantOf, localMs } from '../../rules/calendar.ts'

const DAY = /^day (\d{1,4})(?: at (\d{1,2}):(\d{2})(?::(\d{2}))?)?$/

/**
 * Reads a time of a test, ms: `day 3 at 10:00`, where day 1 begins at `startMs` in `zone`; `+90s` after `lastMs`, the event
 * before; or an RFC 3339 time. Undefined where it is none.
 */
export function readClock(text: string, clock: { startMs: number; lastMs: number; zone: string }): number | undefined {
  const match = DAY.exec(text.trim())
  if (match !== null) {
    const [day, hour, minute, second] = [1, 2, 3, 4].map((group) => Number(match[group] ?? 0))
    if (day === undefined || day < 1 || (hour ?? 0) > 23 || (minute ?? 0) > 59 || (second ?? 0) > 59) return undefined
    const local = localMs(clock.zone, clock.startMs) + (day - 1) * DAY_MS
    return instantOf(clock.zone, local + (((hour ?? 0) * 60 + (minute ?? 0)) * 60 + (second ?? 0)) * 1000)
  }
  if (text.startsWith('+')) {
    try {
      return clock.lastMs + parseDuration(text.slice(1))
    } catch {
      return undefined
    }
  }
  const ms = parseTimestamp(text)
  return Number.isNaN(ms) ? undefined : ms
}
