import { assert } from '../core/assert.ts'
import { scoringKey } from '../core/ids.ts'
import type { ScoreRecord } from '../core/model/score.ts'
import { type BatchContext, type Operator, type Scoring, toGates } from './operator.ts'
import { assignmentOf, earnedReward } from './reward-task.ts'

/** Writes the score of every rule that matched, and hands every reward that it brings to the gates. */
export function createRewardEmit(): Operator<Scoring, never> {
  return {
    name: 'reward-emit',
    ask() {},
    process(scoring, batch) {
      const { output } = batch
      const { event, rule, points, ingestTs } = scoring
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
          ...reasonOf(scoring),
          ...(scoring.withheld.length === 0 ? {} : { withheld: scoring.withheld }),
          ...assignmentOf(scoring),
          event_ts: new Date(event.ts).toISOString(),
        },
      })
      if (points > 0) output.counts.scores++
      output.counts.points += points
      if (scoring.granted.length > 0) earn(scoring, batch)
    },
  }
}

/** Why it scored nothing, where the caps are not the reason. */
function reasonOf({ formula, late }: Scoring): Pick<ScoreRecord, 'reason' | 'detail'> | undefined {
  if (late?.refusal !== undefined) return late.refusal
  return formula.ok ? undefined : { reason: 'not_finite', detail: formula.detail }
}

function earn(scoring: Scoring, batch: BatchContext): void {
  const { event, ingestTs: timestamp } = scoring
  const { policy } = batch.rules.policy.at(event.ts)
  const at = batch.time.watermark
  assert(at !== undefined, 'an event that is scored has moved the watermark')
  for (const grant of scoring.granted) {
    const reward = earnedReward(scoring, grant, policy)
    if (reward === undefined) continue
    toGates(batch, { kind: 'earned', userId: event.userId, at, timestamp, reward }, 1)
    batch.output.counts.rewards++
  }
}
