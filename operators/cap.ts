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
  if (caps.perMinute !== undefined) atMost(caps.perMinute - usedInMinute(account, local), 'per_minute')
  if (caps.perHour !== undefined) atMost(caps.perHour - used(account.hours, local, HOUR_MS), 'per_hour')
  if (caps.perDay !== undefined) atMost(caps.perDay - used(account.days, local, DAY_MS), 'per_day')
  return { points: left, by }
}

const NOTHING = { points: 0, by: null } as const

/**
 * As `applyCaps`, of a late event that was sent again. What its minute was given in time may be forgotten; known is the most that
 * any minute of its hour was. Where even that leaves room for all of the points, no cap of a minute would have cut them. Where
 * it does not the rule gives nothing, for it could give more than the cap.
 */
function cutLate(scoring: Scoring, account: Account, local: number): { points: number; by: CapName | null } {
  const { late, rawPoints } = scoring
  if (late?.refusal !== undefined) return NOTHING
  const { perMinute, ...others } = scoring.rule.caps
  const cut = applyCaps(account, others, rawPoints, local)
  if (perMinute === undefined || cut.points === 0) return cut
  const most = mostInMinute(account, local)
  if (cut.points <= perMinute - most) return cut
  if (peakOf(account, local) === 0) return applyCaps(account, scoring.rule.caps, rawPoints, local)
  const detail = `at most ${perMinute} points are given in a minute; what this one was given is forgotten, and a minute of its hour had up to ${most}: ${cut.points} more could be too many`
  scoring.late = { refusal: { reason: 'late_window_forgotten', detail } }
  return NOTHING
}

/** A bound: no calendar minute of the hour was given more than this in time, and the minute of `local` also what came late. */
export function mostInMinute(account: Account, local: number): number {
  return peakOf(account, local) + usedLate(account, local)
}

/**
 * The most that any minute of the hour was given in time. It counts minutes that are still kept as well: which of them are may
 * depend on where batches were cut, and what is given must not.
 */
function peakOf({ minutes, peaks }: Account, local: number): number {
  const hour = Math.floor(local / HOUR_MS)
  let most = peaks === undefined ? 0 : used(peaks, local, HOUR_MS)
  for (let i = 0; i < minutes.length; i += 2) {
    if (Math.floor(((minutes[i] ?? 0) * MINUTE_MS) / HOUR_MS) === hour) most = Math.max(most, minutes[i + 1] ?? 0)
  }
  return most
}

/** Points given in the calendar minute, hour or day of local time `local`, which is not yet forgotten. */
export function pointsWithin(account: Account, within: 'minute' | 'hour' | 'day', local: number): number {
  if (within === 'minute') return usedInMinute(account, local)
  return within === 'hour' ? used(account.hours, local, HOUR_MS) : used(account.days, local, DAY_MS)
}

/** Counts the points; true where the account has a minute more. */
function record(account: Account, points: number, { local, isLate }: { local: number; isLate: boolean }): boolean {
  add(account.hours, local, HOUR_MS, points)
  add(account.days, local, DAY_MS, points)
  const minutes = isLate ? (account.late ??= []) : account.minutes
  return add(minutes, local, MINUTE_MS, points)
}

/**
 * Forgets the windows that ended before any accepted event: minutes by those that come in time, all else by those that a
 * person sends again, too. Of a minute that is forgotten its hour keeps what it was given, if it is the most of all.
 */
function forget(account: Account, scoring: Scoring, batch: BatchContext): void {
  const { timeZone } = scoring.rule
  const oldestMinute = Math.floor(earliestLocal(timeZone, oldestUnscored(scoring, batch)) / MINUTE_MS)
  const kept = earliestLocal(timeZone, oldestKept(scoring, batch))
  forgetMinutes(account, oldestMinute)
  pruneWindows(account.hours, kept, HOUR_MS)
  pruneWindows(account.days, kept, DAY_MS)
  if (account.peaks !== undefined) pruneWindows(account.peaks, kept, HOUR_MS)
  if (account.late !== undefined) pruneWindows(account.late, kept, MINUTE_MS)
}

function forgetMinutes(account: Account, oldest: number): void {
  const { minutes } = account
  for (let i = 0; i < minutes.length; i += 2) {
    const [minute = 0, points = 0] = [minutes[i], minutes[i + 1]]
    if (minute >= oldest) continue
    const peaks = (account.peaks ??= [])
    const local = minute * MINUTE_MS
    const higher = points - used(peaks, local, HOUR_MS)
    if (higher > 0) add(peaks, local, HOUR_MS, higher)
  }
  pruneWindows(minutes, oldest * MINUTE_MS, MINUTE_MS)
}

function used(windows: readonly number[], local: number, size: number): number {
  const index = Math.floor(local / size)
  for (let i = windows.length - 2; i >= 0; i -= 2) if (windows[i] === index) return windows[i + 1] ?? 0
  return 0
}

/** What came in time, and what came late to a minute that is not yet forgotten. */
function usedInMinute(account: Account, local: number): number {
  return used(account.minutes, local, MINUTE_MS) + usedLate(account, local)
}

function usedLate({ late }: Account, local: number): number {
  return late === undefined ? 0 : used(late, local, MINUTE_MS)
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
