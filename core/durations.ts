import { OncewardError } from './errors.ts'

export const SECOND_MS = 1_000
export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000

/** How far ahead of its ingest time an event may be (SPEC S19). */
export const FUTURE_MS_MAX = 5 * MINUTE_MS

const UNITS: Record<string, number> = { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS, w: 7 * DAY_MS }

/** Reads `250ms`, `20s`, `5m`, `24h`, `7d`, `2w`; answers milliseconds. Throws ONCEWARD_E_SETTING_INVALID. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)$/.exec(text.trim())
  const unit = match?.[2] === undefined ? undefined : UNITS[match[2]]
  if (match?.[1] === undefined || unit === undefined) {
    throw new OncewardError(
      'ONCEWARD_E_SETTING_INVALID',
      `"${text}" is not a duration; write a number and a unit, such as 250ms, 20s, 5m, 24h or 7d`,
    )
  }
  return Number(match[1]) * unit
}

/** 90061000 → `25h 1m 1s`; the two or three largest units, for people. */
export function formatDuration(ms: number): string {
  if (ms < SECOND_MS) return `${Math.round(ms)}ms`
  const parts: string[] = []
  let rest = Math.round(ms / SECOND_MS)
  for (const [unit, seconds] of [
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    if (rest >= seconds) parts.push(`${Math.floor(rest / seconds)}${unit}`)
    rest %= seconds
  }
  return parts.join(' ')
}
