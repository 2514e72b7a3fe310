import { NO_POLICIES, type PolicyTimeline, type PolicyVersion } from '../core/model/policy.ts'

const BEFORE_THE_FIRST = NO_POLICIES.at(0)

/**
 * The policies through event time. `versions` come in the order of publication; of two that take effect at the same
 * instant the later published one counts. Asked for times that lie close together it answers without a search.
 */
export function policyTimelineOf(versions: readonly PolicyVersion[]): PolicyTimeline {
  if (versions.length === 0) return NO_POLICIES
  const inTime = versions.toSorted((a, b) => compare(startOf(a), startOf(b)))
  let [from, until]: [number, number] = [Infinity, -Infinity]
  let last = BEFORE_THE_FIRST
  return {
    versions,
    at: (ts) => {
      if (ts >= from && ts < until) return last
      const index = inTime.findLastIndex((version) => startOf(version) <= ts)
      last = inTime[index] ?? BEFORE_THE_FIRST
      from = index < 0 ? -Infinity : startOf(last)
      const next = inTime[index + 1]
      until = next === undefined ? Infinity : startOf(next)
      return last
    },
  }
}

function startOf({ effectiveFrom }: PolicyVersion): number {
  return effectiveFrom ?? -Infinity
}

/** Minus infinity less itself is no number. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1
}
