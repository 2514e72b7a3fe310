import { rewardTaskId, scoringKey } from '../core/ids.ts'
import type { Assignment } from '../core/model/experiment.ts'
import type { Reward, RewardTask } from '../core/model/reward.ts'
import { stratumOf } from '../rules/rollout.ts'
import type { Grant, Operator, Scoring } from './operator.ts'

/** Writes the score of every rule that matched, and a reward task for every reward that it brings. */
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
          ...(scoring.withheld.length === 0 ? {} : { withheld: scoring.withheld }),
          ...assignmentOf(scoring),
          event_ts: new Date(event.ts).toISOString(),
        },
      })
      if (points > 0) output.counts.scores++
      output.counts.points += points
      for (const grant of scoring.granted) {
        const task = rewardTask(scoring, grant)
        if (task === undefined) continue
        output.rewards.push({ key: event.userId, timestamp, value: task })
        output.counts.rewards++
      }
    },
  }
}

/** Nothing where the rule is the same for all. */
function assignmentOf({ event, rule }: Scoring): Assignment | undefined {
  if (rule.experiment === undefined || rule.arm === undefined) return undefined
  return { experiment: rule.experiment, arm: rule.arm, stratum: stratumOf(event) }
}

function rewardTask(scoring: Scoring, grant: Grant): RewardTask | undefined {
  const { event, rule, period } = scoring
  const threshold = rule.trigger?.thresholds[grant.index]
  const reward = rule.trigger?.rewards[grant.index]
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
      ...assignmentOf(scoring),
    },
    reward: rewardOf(reward, grant),
    pool_id: rule.guardrails.budget_pool ?? null,
    guardrails: rule.guardrails,
    status: 'pending',
    created_at: new Date(event.ts).toISOString(),
  }
}

/** The reward as the rule states it, with what its formulas gave. */
function rewardOf({ type, ...rest }: Reward, { amount, cost }: Grant): Reward {
  return {
    type,
    ...(amount === undefined ? {} : { amount }),
    ...rest,
    ...(cost === undefined ? {} : { cost }),
  }
}
