import type { Metrics } from '../../core/ports/metrics.ts'
import type { SinkMetrics } from '../../pipeline/payout/stats.ts'
import type { RecentRewards } from './recent-rewards.ts'

/** What the sink does, told to the metrics (under the names of the sink as a process) and to the view. */
export function settlementObserver(metrics: Metrics, recent: RecentRewards): SinkMetrics {
  return {
    malformed: (records) => metrics.deadLetters.add(records, { reason: 'malformed' }),
    called: (seconds, outcome) => metrics.walletSeconds.observe(seconds, { outcome }),
    paid: ({ taskId }) => {
      metrics.payouts.add(1, { outcome: 'succeeded' })
      recent.settled(taskId, 'paid')
    },
    failed: ({ taskId }) => {
      metrics.payouts.add(1, { outcome: 'failed' })
      metrics.deadLetters.add(1, { reason: 'payout' })
      recent.settled(taskId, 'failed')
    },
  }
}
