import type { CapName } from '../../core/model/score.ts'
import { type BatchCounts, noCounts } from '../../operators/operator.ts'
import { inOrder } from './budgets.ts'
import type { Outcome } from './job.ts'
import type { AccountTally, FinishedTally, IssuedReward, RuleTally } from './tally.ts'

/** What all partitions came to. */
export interface Whole {
  readonly counts: BatchCounts
  /** By rule id, then version. */
  readonly rules: readonly RuleTally[]
  readonly accounts: readonly AccountTally[]
  /** By event time. */
  readonly rewards: readonly IssuedReward[]
  readonly withheld: readonly { readonly ruleId: string; readonly reason: string; readonly count: number }[]
}

export interface WholeOutcome {
  readonly candidate: Whole
  readonly baseline: Whole | undefined
  readonly outside: number
  readonly firstTs: number | undefined
  readonly lastTs: number | undefined
}

/** Puts together what each process found; the order of the outcomes does not matter. */
export function mergeOutcomes(outcomes: readonly Outcome[]): WholeOutcome {
  const baselines = outcomes.flatMap(({ baseline }) => baseline ?? [])
  const times = (pick: (outcome: Outcome) => number | undefined): number[] => outcomes.flatMap((one) => pick(one) ?? [])
  const first = times(({ firstTs }) => firstTs)
  const last = times(({ lastTs }) => lastTs)
  return {
    candidate: merge(outcomes.map(({ candidate }) => candidate)),
    baseline: baselines.length === 0 ? undefined : merge(baselines),
    outside: outcomes.reduce((sum, { outside }) => sum + outside, 0),
    firstTs: first.length === 0 ? undefined : Math.min(...first),
    lastTs: last.length === 0 ? undefined : Math.max(...last),
  }
}

function merge(tallies: readonly FinishedTally[]): Whole {
  const counts = noCounts()
  const rules = new Map<string, RuleTally>()
  const withheld = new Map<string, { ruleId: string; reason: string; count: number }>()
  for (const tally of tallies) {
    for (const name of Object.keys(counts) as (keyof BatchCounts)[]) counts[name] += tally.counts[name]
    for (const [key, rule] of tally.rules) {
      const known = rules.get(key)
      if (known === undefined) rules.set(key, rule)
      else addRule(known, rule)
    }
    for (const [key, one] of tally.withheld) {
      const known = withheld.get(key)
      if (known === undefined) withheld.set(key, { ...one })
      else known.count += one.count
    }
  }
  return {
    counts,
    rules: sorted([...rules], ([key]) => key).map(([, rule]) => rule),
    accounts: tallies.flatMap(({ accounts }) => accounts),
    rewards: inOrder(tallies.flatMap(({ rewards }) => rewards)),
    withheld: sorted([...withheld], ([key]) => key).map(([, one]) => one),
  }
}

function addRule(sum: RuleTally, more: RuleTally): void {
  sum.matched += more.matched
  sum.scored += more.scored
  sum.points += more.points
  sum.notFinite += more.notFinite
  for (const [day, points] of more.days) sum.days.set(day, (sum.days.get(day) ?? 0) + points)
  for (const [cap, { events, points }] of more.cut) addCut(sum, cap, { events, points })
}

function addCut(sum: RuleTally, cap: CapName, more: { readonly events: number; readonly points: number }): void {
  const known = sum.cut.get(cap) ?? { events: 0, points: 0 }
  sum.cut.set(cap, { events: known.events + more.events, points: known.points + more.points })
}

/** By the code units of a name, whatever the language of the machine. */
export function sorted<T>(items: readonly T[], nameOf: (item: T) => string): T[] {
  return items.toSorted((a, b) => {
    const [left, right] = [nameOf(a), nameOf(b)]
    return left < right ? -1 : Number(left > right)
  })
}
