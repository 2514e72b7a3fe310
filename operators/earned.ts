import type { PlayerChanged } from '../core/model/player.ts'
import type { FrozenRewardTask, RewardRecord, RewardTask, RewardTaskBase } from '../core/model/reward.ts'

/**
 * True for the first record about a reward: it was earned, and is to be paid or frozen. What comes later of a frozen
 * one (released, expired) earns nothing new.
 */
export function isEarned(record: RewardRecord | PlayerChanged): record is RewardTask | FrozenRewardTask {
  if (record.type === 'reward_task.frozen') return true
  return record.type === 'reward_task.created' && record.released_at === undefined
}

/** What a frozen task says of its reward. */
export function unfrozen(frozen: FrozenRewardTask): RewardTaskBase {
  const { type: _type, status: _status, reasons: _reasons, frozen_at: _at, expires_at: _until, ...base } = frozen
  return base
}
