import type { Clock } from '../core/clock.ts'
import type { RecordBatch } from '../core/ports/log.ts'
import type { Metrics } from '../core/ports/metrics.ts'
import { isEarned } from '../operators/earned.ts'
import type { BatchReport } from './task.ts'

/** Tells the metrics what one committed batch did; `batch`: what it was fetched in, undefined where nothing was. */
export function reportBatch(
  { metrics, clock }: { metrics: Metrics; clock: Clock },
  { partition, report, batch }: { partition: number; report: BatchReport; batch: RecordBatch | undefined },
): void {
  const { counts, scores, rewards } = report.output
  metrics.events.add(counts.events, { partition })
  metrics.duplicates.add(counts.duplicates, { partition })
  for (const reason of ['schema', 'future', 'late'] as const) {
    if (counts[reason] > 0) metrics.deadLetters.add(counts[reason], { reason })
  }
  const byRule = new Map<string, { scores: number; points: number; rewards: number }>()
  const of = (ruleId: string): { scores: number; points: number; rewards: number } => {
    const known = byRule.get(ruleId) ?? { scores: 0, points: 0, rewards: 0 }
    byRule.set(ruleId, known)
    return known
  }
  for (const { value } of scores) {
    if (value.points === 0) continue
    const sums = of(value.rule_id)
    sums.scores++
    sums.points += value.points
  }
  for (const { value } of rewards) if (isEarned(value)) of(value.origin.rule_id).rewards++
  for (const [rule_id, sums] of byRule) {
    metrics.scores.add(sums.scores, { rule_id })
    metrics.points.add(sums.points, { rule_id })
    if (sums.rewards > 0) metrics.rewards.add(sums.rewards, { rule_id })
  }
  const now = clock.now()
  const { oldestIngestTs } = report
  const ageSeconds = oldestIngestTs === undefined ? 0 : Math.max(0, now - oldestIngestTs) / 1000
  if (batch !== undefined) {
    const { topic, end, nextOffset } = batch
    const behind = end - nextOffset
    metrics.lagRecords.set(Math.max(0, behind), { topic, partition })
    metrics.lagSeconds.set(behind <= 0 ? 0 : ageSeconds, { topic, partition })
  }
  metrics.batchSeconds.observe(report.batchMs / 1000, { partition })
  metrics.batchRecords.observe(report.records, { partition })
  metrics.commitSeconds.observe(report.commitMs / 1000, { partition })
  if (oldestIngestTs !== undefined) metrics.processingSeconds.observe(ageSeconds, {})
}
