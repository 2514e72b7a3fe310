import { assert } from '../core/assert.ts'
import { periodOf } from '../rules/calendar.ts'
import type { Reset } from '../rules/compiled.ts'
import { ACCOUNTS, type Account } from '../state/stores.ts'
import { earliestLocal, oldestUnscored } from './account-pruning.ts'
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
        if (account.progress.length > 2)
          forgetBefore(account, earliestLocal(rule.timeZone, oldestUnscored(scoring, batch)))
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

/**
 * Forgets the periods that ended before local time `earliest`. Periods of one kind sort as texts; a version that resets
 * in another way leaves periods of another kind behind, and each is compared with its own.
 */
function forgetBefore(account: Account, earliest: number): void {
  if (earliest === Number.NEGATIVE_INFINITY) return
  const kept: (string | number)[] = []
  for (let i = 0; i < account.progress.length; i += 2) {
    const period = String(account.progress[i])
    // A local time is written as the instant at which UTC shows the same digits.
    if (period >= periodOf(resetOf(period), 'UTC', earliest)) kept.push(period, Number(account.progress[i + 1]))
  }
  account.progress = kept
}

/** The kind of a period that periodOf has named: `all`, `2025-W45`, `2025-11` or `2025-11-03`. */
function resetOf(period: string): Reset {
  if (period === 'all') return 'never'
  if (period.includes('W')) return 'weekly'
  return period.length === '2025-11'.length ? 'monthly' : 'daily'
}
