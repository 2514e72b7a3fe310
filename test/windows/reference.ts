/**
 * What docs/RULES.md says of recent events, written down a second time as plainly as it can be: all events of a user in
 * an array, each question answered from scratch. It shares no code with the engine.
 */
export interface PastEvent {
  readonly id: string
  readonly user: string
  readonly name: string
  /** Event time, ms. */
  readonly ts: number
  readonly payload: Readonly<Record<string, unknown>>
}

/** What can be asked at one event; `past` is all that the user has done up to it, the event itself last. */
export interface Asked {
  readonly past: readonly PastEvent[]
  readonly event: PastEvent
}

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const DAY = 24 * HOUR

/** Orders as the strict lane does: by event time, ties by event id. */
export function inOrder(events: readonly PastEvent[]): PastEvent[] {
  return [...events].sort((a, b) => a.ts - b.ts || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)))
}

/** Calls `judge` for each event, with what the same user has done up to it. */
export function judgeAll(events: readonly PastEvent[], judge: (asked: Asked) => void): void {
  const ordered = inOrder(events)
  ordered.forEach((event, i) => {
    judge({ event, past: ordered.slice(0, i + 1).filter(({ user }) => user === event.user) })
  })
}

function granularity(lengthMs: number): number {
  if (lengthMs <= HOUR / 12) return SECOND
  if (lengthMs <= HOUR) return 10 * SECOND
  if (lengthMs <= 6 * HOUR) return 60 * SECOND
  if (lengthMs <= DAY) return 300 * SECOND
  return lengthMs <= 7 * DAY ? HOUR / 2 : 2 * HOUR
}

type Which = (event: PastEvent) => boolean

/** Events in the slice of time of the judged event, and in as many whole slices before it as the window has room for. */
export function within({ past, event }: Asked, lengthMs: number, which: Which): PastEvent[] {
  const size = granularity(lengthMs)
  const slices = Math.floor(lengthMs / size)
  return past.filter((e) => which(e) && Math.floor(event.ts / size) - Math.floor(e.ts / size) < slices)
}

export function numbers(events: readonly PastEvent[], field: string): number[] {
  return events.map(({ payload }) => payload[field]).filter((value) => typeof value === 'number')
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Since the last event before the judged one, ms. */
export function sinceLast({ past, event }: Asked, which: Which): number | undefined {
  const before = past.slice(0, -1).findLast(which)
  return before && event.ts - before.ts
}

/** How many calendar days in a row up to the judged event's, or up to the day before where there was none yet. */
export function streak({ past, event }: Asked, zone: string, which: Which): number {
  const days = new Set(past.filter(which).map(({ ts }) => dayOf(ts, zone)))
  let day = dayOf(event.ts, zone)
  if (!days.has(day)) day--
  let length = 0
  while (days.has(day - length)) length++
  return length
}

export function weekStreak({ past, event }: Asked, zone: string, which: Which): number {
  // The fourth of January 1970 was a Sunday.
  const week = (ts: number): number => Math.ceil((dayOf(ts, zone) - 3) / 7)
  const weeks = new Set(past.filter(which).map(({ ts }) => week(ts)))
  let last = week(event.ts)
  if (!weeks.has(last)) last--
  let length = 0
  while (weeks.has(last - length)) length++
  return length
}

const formats = new Map<string, Intl.DateTimeFormat>()

function dayOf(ts: number, timeZone: string): number {
  const format = formats.get(timeZone) ?? new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' })
  formats.set(timeZone, format)
  return Date.parse(`${format.format(ts)}T00:00:00Z`) / DAY
}

/** True where the judged event is the last step, and the others came before it in order, the first within the time. */
export function sequence({ past, event }: Asked, lengthMs: number, steps: readonly Which[]): boolean {
  const [last, ...before] = [...steps].reverse()
  if (last?.(event) !== true) return false
  let at = past.length - 1
  for (const step of before) {
    at = past.slice(0, at).findLastIndex(step)
    if (at < 0) return false
  }
  return (past[at]?.ts ?? 0) > event.ts - lengthMs
}
