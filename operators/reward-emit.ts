import { rewardTaskId, scoringKey } from '../core/ids.ts'
import type { RewardTask } from '../core/model/reward.ts'
import type { Operator, Scoring } from './operator.ts'

/** Writes the score of every rule that matched, and a reward task for every threshold that it crossed. */
export function createRewardEmit(): Operator<Scoring, never> {
  return {
    name: 'reward-emit',
    ask() {},
    process(scoring, { output }) {
      const { event, rule, formula, points, ingestTs } = scoring
      const timestamp = ingestTs
      output.scores.push({
        key: event.userId,
        timestamp,
        value: {
          type: 'score',
          scoring_key: scoringKey(event.eventId, event.userId, rule.ruleId),
          event_id: event.eventId,
          user_id: event.userId,
          rule_id: rule.ruleId,
          rule_version: rule.version,
          raw_points: scoring.rawPoints,
          points,
          progress: scoring.progress,
          cut_by: scoring.cutBy,
          ...(formula.ok ? {} : { reason: 'not_finite' as const, detail: formula.detail }),
          event_ts: new Date(event.ts).toISOString(),
        },
      })
      if (points > 0) output.counts.scores++
      output.counts.points += points
      for (const index of scoring.crossed) {
        const task = rewardTask(scoring, index)
        if (task === undefined) continue
        output.rewards.push({ key: event.userId, timestamp, value: task })
        output.counts.rewards++
      }
    },
  }
}

function rewardTask({ event, rule, period }: Scoring, index: number): RewardTask | undefined {
  const threshold = rule.trigger?.thresholds[index]
  const reward = rule.trigger?.rewards[index]
  if (threshold === undefined || reward === undefined) return undefined
  return {
    type: 'reward_task.created',
    reward_task_id: rewardTaskId(event.userId, rule.ruleId, period, threshold),
    user_id: event.userId,
    origin: {
      rule_id: rule.ruleId,
      rule_version: rule.version,
      threshold,
      period,
      event_id: event.eventId,
      ...(rule.experiment === undefined ? {} : { experiment: rule.experiment }),
    },
    reward,
    pool_id: rule.guardrails.budget_pool ?? null,
    guardrails: rule.guardrails,
    status: 'pending',
    created_at: new Date(event.ts).toISOString(),
  }
}
