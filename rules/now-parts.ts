import { DAY_MS, HOUR_MS, MINUTE_MS } from '../core/durations.ts'
import { localMs } from './calendar.ts'

/** The parts of the event's own time that expressions can name: `now.hour`. */
export const NOW_PARTS = ['year', 'month', 'day', 'weekday', 'hour', 'minute'] as const
export type NowPart = (typeof NOW_PARTS)[number]

/** The part that `text` names: `now.hour`, or `ts.hour`, which is the same. */
export function nowPart(text: string): NowPart | undefined {
  const [root, name, ...rest] = text.split('.')
  if ((root !== 'now' && root !== 'ts') || rest.length > 0) return undefined
  return NOW_PARTS.find((part) => part === name)
}

/** Least and greatest value of each part that has bounds: Monday is 1. */
export const NOW_PART_BOUNDS: Readonly<Partial<Record<NowPart, readonly [low: number, high: number]>>> = {
  month: [1, 12],
  day: [1, 31],
  weekday: [1, 7],
  hour: [0, 23],
  minute: [0, 59],
}

/** Reads `part` of an instant as the clocks of `zone` show it. */
export function nowPartReader(part: NowPart, zone: string): (ts: number) => number {
  const read = READERS[part]
  return (ts) => read(localMs(zone, ts))
}

/** Of a local time, written as the instant at which UTC shows the same digits. */
const READERS: Readonly<Record<NowPart, (local: number) => number>> = {
  year: (local) => new Date(local).getUTCFullYear(),
  month: (local) => new Date(local).getUTCMonth() + 1,
  day: (local) => new Date(local).getUTCDate(),
  // 1970-01-01 was a Thursday.
  weekday: (local) => modulo(Math.floor(local / DAY_MS) + 3, 7) + 1,
  hour: (local) => Math.floor(modulo(local, DAY_MS) / HOUR_MS),
  minute: (local) => Math.floor(modulo(local, HOUR_MS) / MINUTE_MS),
}

function modulo(x: number, by: number): number {
  return ((x % by) + by) % by
}
