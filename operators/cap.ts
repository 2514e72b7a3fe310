import type { CapName } from '../core/model/score.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../core/durations.ts'
import { localMs } from '../rules/calendar.ts'
import type { Caps } from '../rules/compiled.ts'
import { ACCOUNTS, type Account } from '../state/stores.ts'
import { earliestLocal, oldestUnscored } from './account-pruning.ts'
import type { Operator, Scoring } from './operator.ts'

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
      const { rule, event, formula } = scoring
      const account = batch.state.get(ACCOUNTS, scoring.accountKey) ?? emptyAccount()
      const rawPoints = formula.ok ? formula.points : 0
      const local = localMs(rule.timeZone, event.ts)
      const cut = applyCaps(account, rule.caps, rawPoints, local)
      if (cut.points > 0) {
        record(account, cut.points, local)
        prune(account, earliestLocal(rule.timeZone, oldestUnscored(scoring, batch)))
      }
      scoring.account = account
      scoring.rawPoints = rawPoints
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
  if (caps.perMinute !== undefined) atMost(caps.perMinute - used(account.minutes, local, MINUTE_MS), 'per_minute')
  if (caps.perHour !== undefined) atMost(caps.perHour - used(account.hours, local, HOUR_MS), 'per_hour')
  if (caps.perDay !== undefined) atMost(caps.perDay - used(account.days, local, DAY_MS), 'per_day')
  return { points: left, by }
}

/** Points given in the calendar minute, hour or day of local time `local`. */
export function pointsWithin(account: Account, within: 'minute' | 'hour' | 'day', local: number): number {
  if (within === 'minute') return used(account.minutes, local, MINUTE_MS)
  return within === 'hour' ? used(account.hours, local, HOUR_MS) : used(account.days, local, DAY_MS)
}

function record(account: Account, points: number, local: number): void {
  add(account.minutes, local, MINUTE_MS, points)
  add(account.hours, local, HOUR_MS, points)
  add(account.days, local, DAY_MS, points)
}

/** Forgets the windows that ended before local time `earliest`: no accepted event can fall into them any more. */
function prune(account: Account, earliest: number): void {
  pruneWindows(account.minutes, earliest, MINUTE_MS)
  pruneWindows(account.hours, earliest, HOUR_MS)
  pruneWindows(account.days, earliest, DAY_MS)
}

function used(windows: readonly number[], local: number, size: number): number {
  const index = Math.floor(local / size)
  for (let i = windows.length - 2; i >= 0; i -= 2) if (windows[i] === index) return windows[i + 1] ?? 0
  return 0
}

function add(windows: number[], local: number, size: number, points: number): void {
  const index = Math.floor(local / size)
  for (let i = windows.length - 2; i >= 0; i -= 2) {
    if (windows[i] === index) {
      windows[i + 1] = Math.min((windows[i + 1] ?? 0) + points, Number.MAX_SAFE_INTEGER)
      return
    }
  }
  windows.push(index, points)
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
