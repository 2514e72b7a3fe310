import type { CapName } from '../core/model/score.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../core/durations.ts'
import { localMs } from '../rules/calendar.ts'
import type { Caps } from '../rules/compiled.ts'
import { ACCOUNTS, type Account } from '../state/stores.ts'
import { earliestLocal, oldestKept, oldestUnscored } from './account-pruning.ts'
import type { BatchContext, Operator, Scoring } from './operator.ts'

/**
 * Cuts points, partially where need be (SPEC S19): `per_bet` cuts one event; the others what one user gets from one rule
 * in one calendar minute, hour or day of event time in the rule's time zone. Calendar windows are told apart by local
 * time, so the hour that a clock change repeats is one window. What a user got is counted whether the version in effect
 * caps it or not: the next one may, in the middle of a day.
 */
export function createCap(): Operator<Scoring, Scoring> {
  return {
    name: 'cap',
    ask() {},
    process(scoring, batch, next) {
      const { rule, event, formula, late } = scoring
      const account = batch.state.get(ACCOUNTS, scoring.accountKey) ?? emptyAccount()
      const rawPoints = formula.ok ? formula.points : 0
      const local = localMs(rule.timeZone, event.ts)
      scoring.account = account
      scoring.rawPoints = rawPoints
      const cut =
        late === undefined ? applyCaps(account, rule.caps, rawPoints, local) : cutLate(scoring, account, local)
      if (cut.points > 0) {
        const isNew = record(account, cut.points, { local, isLate: late !== undefined })
        // Once a minute is often enough to keep the lists short.
        if (isNew) forget(account, scoring, batch)
      }
      scoring.points = cut.points
      scoring.cutBy = cut.by
      next(scoring)
    },
  }
}

export function emptyAccount(): Account {
  return { progress: [], minutes: [], hours: [], days: [] }
}

/** What is left of `points` under `caps` in the windows of local time `local`, and the cap that left the fewest. */
export function applyCaps(
  account: Account,
  caps: Caps,
  points: number,
  local: number,
): { points: number; by: CapName | null } {
  let left = points
  let by: CapName | null = null
  const atMost = (limit: number, name: CapName): void => {
    if (limit < left) {
      left = Math.max(0, limit)
      by = name
    }
  }
  if (caps.perBet !== undefined) atMost(caps.perBet, 'per_bet')
  if (caps.perMinute !== undefined) atMost(caps.perMinute - pointsWithin(account, 'minute', local), 'per_minute')
  if (caps.perHour !== undefined) atMost(caps.perHour - pointsWithin(account, 'hour', local), 'per_hour')
  if (caps.perDay !== undefined) atMost(caps.perDay - pointsWithin(account, 'day', local), 'per_day')
  return { points: left, by }
}

const NOTHING = { points: 0, by: null } as const

/**
 * As `applyCaps`, of a late event that was sent again. What its minute and its hour were given in time may be forgotten; known is
 * the most that any minute and any hour of its day was. Where even that leaves room for all of the points, no such cap would
 * have cut them. Where it does not the rule gives nothing, for it could give more than the cap.
 */
function cutLate(scoring: Scoring, account: Account, local: number): { points: number; by: CapName | null } {
  const { late, rawPoints, rule } = scoring
  if (late?.refusal !== undefined) return NOTHING
  const bound = asInPast(account, local)
  const cut = applyCaps(bound, rule.caps, rawPoints, local)
  const { perMinute: _minute, perHour: _hour, ...exact } = rule.caps
  const { points } = applyCaps(bound, exact, rawPoints, local)
  // Where nothing came in time that day, what came late is all that there is.
  if (cut.points === points || bound.hours[1] === 0) return cut
  scoring.late = { refusal: { reason: 'late_window_forgotten', detail: forgottenDetail(scoring, bound, local) } }
  return NOTHING
}

function forgottenDetail({ rule, rawPoints }: Scoring, bound: Account, local: number): string {
  const { perMinute, perHour } = rule.caps
  const most = [
    ...(perMinute === undefined
      ? []
      : [`${perMinute} points in a minute, of which up to ${pointsWithin(bound, 'minute', local)}`]),
    ...(perHour === undefined
      ? []
      : [`${perHour} points in an hour, of which up to ${pointsWithin(bound, 'hour', local)}`]),
  ]
  return `the formula gives ${rawPoints}; the caps are ${most.join(' and ')} may be given already: what each minute and hour of that day had is forgotten but for the most that one of them had`
}

/**
 * The account as a late event finds it, for the windows of `local` alone: its minute and its hour have the most that any of that
 * day was given in time, and what came late besides. Which of them are still kept may depend on where batches were cut,
 * and what is given must not: so none counts as kept.
 */
export function asInPast(account: Account, local: number): Account {
  const { minutes, hours, peaks = [] } = account
  const day = Math.floor(local / DAY_MS)
  const at = placeOf(peaks, day)
  const [minute, hour] = at === undefined ? [] : [peaks[at + 1], peaks[at + 2]]
  const most = (windows: readonly number[], size: number, peak = 0): number[] => [
    Math.floor(local / size),
    windows.reduce(
      (max, points, i) => (i % 2 === 1 && dayOf(windows[i - 1], size) === day ? Math.max(max, points) : max),
      peak,
    ),
  ]
  return { ...account, minutes: most(minutes, MINUTE_MS, minute), hours: most(hours, HOUR_MS, hour) }
}

/** Points given in the calendar minute, hour or day of local time `local`, which is not yet forgotten. */
export function pointsWithin(account: Account, within: 'minute' | 'hour' | 'day', local: number): number {
  if (within === 'minute') return usedNow(account, account.minutes, local, MINUTE_MS)
  if (within === 'hour') return usedNow(account, account.hours, local, HOUR_MS)
  return used(account.days, local, DAY_MS)
}

/** Counts the points; true where there is a minute more. */
function record(account: Account, points: number, { local, isLate }: { local: number; isLate: boolean }): boolean {
  add(account.days, local, DAY_MS, points)
  if (isLate) return add((account.late ??= []), local, MINUTE_MS, points)
  add(account.hours, local, HOUR_MS, points)
  return add(account.minutes, local, MINUTE_MS, points)
}

/**
 * Forgets the windows that ended: minutes and hours before any event that comes in time, of which their day keeps the most that
 * one was given; days, and what came late, before any that a person may send again.
 */
function forget(account: Account, scoring: Scoring, batch: BatchContext): void {
  const { timeZone } = scoring.rule
  const unscored = earliestLocal(timeZone, oldestUnscored(scoring, batch))
  const kept = earliestLocal(timeZone, oldestKept(scoring, batch))
  const { minutes, hours, days, peaks, late } = account
  keepMost(account, minutes, { before: Math.floor(unscored / MINUTE_MS), size: MINUTE_MS })
  keepMost(account, hours, { before: Math.floor(unscored / HOUR_MS), size: HOUR_MS })
  pruneWindows(minutes, unscored, MINUTE_MS)
  pruneWindows(hours, unscored, HOUR_MS)
  pruneWindows(days, kept, DAY_MS)
  // As long as their hour may be asked for.
  if (late !== undefined) pruneWindows(late, Math.floor(kept / HOUR_MS) * HOUR_MS, MINUTE_MS)
  const oldestDay = Math.floor(kept / DAY_MS)
  while (peaks !== undefined && peaks.length > 0 && (peaks[0] ?? 0) < oldestDay) peaks.splice(0, PEAKS)
}

/** Keeps, by their day, the most that one of the windows that are about to be forgotten was given. */
function keepMost(
  account: Account,
  windows: readonly number[],
  { before, size }: { readonly before: number; readonly size: number },
): void {
  for (let i = 0; i < windows.length; i += 2) {
    const index = windows[i] ?? 0
    if (index >= before) continue
    const peaks = (account.peaks ??= [])
    const day = dayOf(index, size)
    const at = placeOf(peaks, day) ?? peaks.push(day, 0, 0) - PEAKS
    const of = size === MINUTE_MS ? at + 1 : at + 2
    peaks[of] = Math.max(peaks[of] ?? 0, windows[i + 1] ?? 0)
  }
}

/** A day, and the most of its minutes and of its hours. */
const PEAKS = 3

function placeOf(peaks: readonly number[], day: number): number | undefined {
  for (let at = 0; at < peaks.length; at += PEAKS) if (peaks[at] === day) return at
  return undefined
}

function dayOf(index = 0, size: number): number {
  return Math.floor((index * size) / DAY_MS)
}

/** What came in time, by `windows`, and what came late. */
function usedNow({ late }: Account, windows: readonly number[], local: number, size: number): number {
  const inTime = used(windows, local, size)
  if (late === undefined) return inTime
  const window = Math.floor(local / size)
  let points = inTime
  for (let i = 0; i < late.length; i += 2) {
    if (Math.floor(((late[i] ?? 0) * MINUTE_MS) / size) === window) points += late[i + 1] ?? 0
  }
  return points
}

function used(windows: readonly number[], local: number, size: number): number {
  const index = Math.floor(local / size)
  for (let i = windows.length - 2; i >= 0; i -= 2) if (windows[i] === index) return windows[i + 1] ?? 0
  return 0
}

/** True where the window is a new one. */
function add(windows: number[], local: number, size: number, points: number): boolean {
  const index = Math.floor(local / size)
  for (let i = windows.length - 2; i >= 0; i -= 2) {
    if (windows[i] === index) {
      windows[i + 1] = Math.min((windows[i + 1] ?? 0) + points, Number.MAX_SAFE_INTEGER)
      return false
    }
  }
  windows.push(index, points)
  return true
}

function pruneWindows(windows: number[], earliest: number, size: number): void {
  const oldest = Math.floor(earliest / size)
  let kept = 0
  for (let i = 0; i < windows.length; i += 2) {
    const index = windows[i] ?? 0
    if (index < oldest) continue
    windows[kept] = index
    windows[kept + 1] = windows[i + 1] ?? 0
    kept += 2
  }
  windows.length = kept
}
