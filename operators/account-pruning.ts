import { HOUR_MS } from '../core/durations.ts'
import { localMs } from '../rules/calendar.ts'

/** No zone sets its clock back further than this at one time. */
const CLOCK_CHANGE_MAX_MS = 3 * HOUR_MS

/**
 * The earliest local time that an event at or after instant `horizon` can have in `zone`. Local time runs backwards when
 * a clock is set back, so a window may be forgotten only if no later event can fall into it again.
 */
export function earliestLocal(zone: string, horizon: number): number {
  if (horizon === Number.NEGATIVE_INFINITY) return horizon
  return Math.min(localMs(zone, horizon), localMs(zone, horizon + CLOCK_CHANGE_MAX_MS) - CLOCK_CHANGE_MAX_MS)
}
