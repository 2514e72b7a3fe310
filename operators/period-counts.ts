import { periodOf } from '../rules/calendar.ts'
import type { Reset } from '../rules/compiled.ts'

/** What was counted in calendar periods: [period, count, …], newest last. Kept short by `withoutBefore`. */
export type PeriodCounts = (string | number)[]

export function countIn(counts: Readonly<PeriodCounts>, period: string): number {
  const index = counts.indexOf(period)
  return index < 0 ? 0 : Number(counts[index + 1])
}

/** True where the period is a new one. */
export function setCount(counts: PeriodCounts, period: string, count: number): boolean {
  const index = counts.indexOf(period)
  if (index < 0) counts.push(period, count)
  else counts[index + 1] = count
  return index < 0
}

/**
 * What is left without the periods that ended before local time `earliest`. Periods of one kind sort as texts; those of
 * several kinds may stand beside each other, and each is compared with its own.
 */
export function withoutBefore(counts: PeriodCounts, earliest: number): PeriodCounts {
  if (earliest === Number.NEGATIVE_INFINITY) return counts
  const kept: PeriodCounts = []
  for (let i = 0; i < counts.length; i += 2) {
    const period = String(counts[i])
    // A local time is written as the instant at which UTC shows the same digits.
    if (period >= periodOf(kindOf(period), 'UTC', earliest)) kept.push(period, Number(counts[i + 1]))
  }
  return kept
}

/** The kind of a period that periodOf has named: `all`, `2025-W45`, `2025-11` or `2025-11-03`. */
function kindOf(period: string): Reset {
  if (period === 'all') return 'never'
  if (period.includes('W')) return 'weekly'
  return period.length === '2025-11'.length ? 'monthly' : 'daily'
}
