import { FUTURE_MS_MAX, formatDuration, SECOND_MS } from '../core/durations.ts'

/** By when after its publication every worker has read a record of the control topic. */
export const EFFECTIVE_MARGIN_MS = 10 * SECOND_MS

/**
 * How far ahead anything takes effect at least. An event may be stamped as far ahead of its ingest time as FUTURE_MS_MAX:
 * one from the instant on may come in that much earlier, and every worker must know by then.
 */
export const EFFECTIVE_LEAD_MS = FUTURE_MS_MAX + EFFECTIVE_MARGIN_MS

/** What is wrong with an instant at which something published at `nowMs` is to take effect; undefined: nothing. */
export function tooSoon(instant: number, nowMs: number): { message: string; hint: string } | undefined {
  const earliest = nowMs + EFFECTIVE_LEAD_MS
  if (instant >= earliest) return undefined
  return {
    message: `${rfc3339(instant)} is too soon: what is published at ${rfc3339(nowMs)} takes effect ${formatDuration(EFFECTIVE_LEAD_MS)} later at the earliest, or workers would judge events before they know of it`,
    hint: `write ${rfc3339(earliest)} or later, or leave it out: then it takes effect as soon as it can`,
  }
}

export function rfc3339(ms: number): string {
  return new Date(ms).toISOString()
}
