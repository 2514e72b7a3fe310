import { assert } from '../core/assert.ts'
import { periodOf } from '../rules/calendar.ts'
import { ACCOUNTS, type Account } from '../state/stores.ts'
import type { Operator, Scoring } from './operator.ts'

/**
 * Adds the points to the user's progress under the rule, in the calendar period of the event's own time, and finds the
 * thresholds crossed. Progress is one sum across the rule's versions (SPEC S19).
 */
export function createThreshold(): Operator<Scoring, Scoring> {
  return {
    name: 'threshold',
    ask() {},
    process(scoring, batch, next) {
      const { rule, event, account, points } = scoring
      assert(account !== undefined, 'cap comes before threshold')
      const reset = rule.trigger?.reset ?? 'never'
      const period = periodOf(reset, rule.timeZone, event.ts)
      const before = progressIn(account, period)
      const progress = Math.min(before + points, Number.MAX_SAFE_INTEGER)
      scoring.period = period
      scoring.progress = progress
      if (points > 0) {
        setProgress(account, period, progress)
        if (reset !== 'never') {
          forgetBefore(account, periodOf(reset, rule.timeZone, Math.min(event.ts, batch.time.horizon)))
        }
        batch.state.put(ACCOUNTS, scoring.accountKey, account)
        if (rule.trigger !== undefined) scoring.crossed = crossedBy(rule.trigger.thresholds, before, progress)
      }
      next(scoring)
    },
  }
}

/** Indices of the thresholds above `before` and at most `after`. */
export function crossedBy(thresholds: readonly number[], before: number, after: number): number[] {
  const crossed: number[] = []
  thresholds.forEach((threshold, index) => {
    if (before < threshold && after >= threshold) crossed.push(index)
  })
  return crossed
}

function progressIn(account: Account, period: string): number {
  const index = account.progress.indexOf(period)
  return index < 0 ? 0 : Number(account.progress[index + 1])
}

function setProgress(account: Account, period: string, points: number): void {
  const index = account.progress.indexOf(period)
  if (index < 0) account.progress.push(period, points)
  else account.progress[index + 1] = points
}

/** Periods of one kind sort as texts, so whatever sorts before the oldest period still open is closed. */
function forgetBefore(account: Account, oldest: string): void {
  const kept: (string | number)[] = []
  for (let i = 0; i < account.progress.length; i += 2) {
    const period = String(account.progress[i])
    if (period >= oldest) kept.push(period, Number(account.progress[i + 1]))
  }
  account.progress = kept
}
