import { HOUR_MS } from '../core/durations.ts'
import { localMs } from '../rules/calendar.ts'
import type { BatchContext, Scoring } from './operator.ts'

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

/**
 * No event that comes in time and is still to be scored under the rule is older than this instant. The strict lane goes by event time, so
 * there it is the event itself. At once, it is the horizon; but held events are released only at the end of the batch, or
 * of a later one, and with another version of the rule they may fall into the same account: while any waits, nothing
 * younger is forgotten.
 */
export function oldestUnscored(
  { rule, event }: Pick<Scoring, 'rule' | 'event'>,
  { time, waiting, joined }: Pick<BatchContext, 'time' | 'waiting' | 'joined'>,
): number {
  if (rule.ordering === 'strict') return Math.min(event.ts, time.horizon)
  if (waiting.length === 0 && joined.length === 0) return time.horizon
  return Math.min(time.horizonBefore, waiting[0]?.event.ts ?? Number.POSITIVE_INFINITY)
}

/**
 * Nothing that counts for an event of this instant or later is forgotten: neither for those that come in time, nor for those
 * that a person sends again (I14).
 */
export function oldestKept(scoring: Pick<Scoring, 'rule' | 'event'>, batch: BatchContext): number {
  return Math.min(oldestUnscored(scoring, batch), batch.time.keptFrom ?? Number.NEGATIVE_INFINITY)
}
