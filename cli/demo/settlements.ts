import type { Metrics } from '../../core/ports/metrics.ts'
import type { SinkMetrics } from '../../pipeline/payout/stats.ts'
import { sinkMetrics } from '../sink-metrics.ts'
import type { RecentRewards } from './recent-rewards.ts'

/** What the sink does, told to the metrics (under the names of the sink as a process) and to the view. */
export function settlementObserver(metrics: Metrics, recent: RecentRewards): SinkMetrics {
  const measured = sinkMetrics(metrics)
  return {
    ...measured,
    paid(reward) {
      measured.paid?.(reward)
      recent.settled(reward.taskId, 'paid')
    },
    failed(reward) {
      measured.failed?.(reward)
      recent.settled(reward.taskId, 'failed')
    },
  }
}
