import { assert } from '../core/assert.ts'
import { periodOf } from '../rules/calendar.ts'
import { ACCOUNTS, type Account } from '../state/stores.ts'
import { earliestLocal, oldestKept } from './account-pruning.ts'
import { grant } from './grants.ts'
import type { BatchContext, Operator, Scoring } from './operator.ts'
import { countIn, setCount, withoutBefore } from './period-counts.ts'

/**
 * Adds the points to the user's progress under the rule, in the calendar period of the event's own time, and finds the
 * thresholds crossed and what is given for them. Progress is one sum across the rule's versions (SPEC S19).
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
      const before = countIn(account.progress, period)
      const progress = Math.min(before + points, Number.MAX_SAFE_INTEGER)
      scoring.period = period
      scoring.progress = progress
      if (points > 0) {
        const isNew = setCount(account.progress, period, progress)
        if (rule.trigger !== undefined) {
          const crossed = crossedBy(rule.trigger.thresholds, before, progress)
          if (crossed.length > 0) {
            const { policy } = batch.rules.policy.at(event.ts)
            grant(scoring, account, { trigger: rule.trigger, crossed, policy })
          }
        }
        // Nothing is to be forgotten where nothing has come to it.
        if (isNew || scoring.granted.length > 0) forget(scoring, account, batch)
        batch.state.put(ACCOUNTS, scoring.accountKey, account)
      }
      next(scoring)
    },
  }
}

/** Forgets the periods into which no event can fall any more, not even one that is sent again. */
function forget(scoring: Scoring, account: Account, batch: BatchContext): void {
  const earliest = earliestLocal(scoring.rule.timeZone, oldestKept(scoring, batch))
  account.progress = withoutBefore(account.progress, earliest)
  if (account.given !== undefined) account.given.periods = withoutBefore(account.given.periods, earliest)
}

/** Indices of the thresholds above `before` and at most `after`. */
export function crossedBy(thresholds: readonly number[], before: number, after: number): number[] {
  const crossed: number[] = []
  thresholds.forEach((threshold, index) => {
    if (before < threshold && after >= threshold) crossed.push(index)
  })
  return crossed
}
