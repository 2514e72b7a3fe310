import type { Metrics } from '../core/ports/metrics.ts'
import type { BreakerState } from '../pipeline/payout/breaker.ts'
import type { SinkMetrics } from '../pipeline/payout/stats.ts'

const BREAKER_VALUE: Readonly<Record<BreakerState['kind'], number>> = { closed: 0, 'half-open': 1, open: 2 }

/** What a sink does, under the names that monitoring knows. */
export function sinkMetrics(metrics: Metrics): SinkMetrics {
  return {
    malformed: (records) => metrics.deadLetters.add(records, { reason: 'malformed' }),
    refused: (rewards) => {
      metrics.payouts.add(rewards, { outcome: 'refused' })
      metrics.deadLetters.add(rewards, { reason: 'budget_closed' })
    },
    held: (rewards) => metrics.rewardsHeld.add(rewards, {}),
    frozen: (rewards, by) => metrics.rewardsFrozen.add(rewards, { by }),
    thawed: (rewards) => metrics.rewardsThawed.add(rewards, {}),
    called: (seconds, outcome, partner) => metrics.walletSeconds.observe(seconds, { outcome, partner }),
    paid: () => metrics.payouts.add(1, { outcome: 'succeeded' }),
    failed: () => {
      metrics.payouts.add(1, { outcome: 'failed' })
      metrics.deadLetters.add(1, { reason: 'payout' })
    },
    differing: (rewards) => metrics.answersDiffer.add(rewards, {}),
    breaker: (partner, state) => metrics.partnerBreaker.set(BREAKER_VALUE[state], { partner }),
  }
}
