import type { PlayerChanged } from '../../core/model/player.ts'
import type { FrozenRewardTask, RewardRecord, RewardTask } from '../../core/model/reward.ts'
import { isEarned, unfrozen } from '../../operators/earned.ts'

/**
 * A reward that was earned, as it stands now: a line of rewards.ndjson, and what explain shows. Of one that was ever frozen
 * it says why and since when.
 */
export type RewardLine = Omit<RewardTask, 'status'> &
  Partial<Pick<FrozenRewardTask, 'reasons' | 'frozen_at' | 'expires_at'>> & {
    readonly status: 'pending' | 'frozen' | 'expired'
    readonly expired_at?: string
  }

/** `last`: the newest record about the reward; undefined where there is none but the first. */
export function rewardLine(first: RewardTask | FrozenRewardTask, last: RewardRecord | undefined): RewardLine {
  if (first.type === 'reward_task.created') return first
  const { reasons, frozen_at, expires_at } = first
  const wait = { reasons, frozen_at, ...(expires_at === undefined ? {} : { expires_at }) }
  if (last?.type === 'reward_task.created') return { ...last, ...wait }
  const task = { type: 'reward_task.created', ...unfrozen(first), ...wait } as const
  if (last?.type !== 'reward_task.expired') return { ...task, status: 'frozen' }
  return { ...task, status: 'expired', expired_at: last.expired_at }
}

/** One line for each reward, in the order of their first records; lines stay what they are. */
export function rewardLines(records: readonly (RewardRecord | RewardLine | PlayerChanged)[]): RewardLine[] {
  const found = new Map<string, { readonly first: RewardTask | FrozenRewardTask; last?: RewardRecord }>()
  const lines = new Map<string, RewardLine>()
  for (const record of records) {
    if (record.type === 'player.changed') continue
    if (isLine(record)) {
      lines.set(record.reward_task_id, record)
      continue
    }
    const id = record.reward_task_id
    const known = found.get(id)
    if (known !== undefined) known.last = record
    else if (isEarned(record)) found.set(id, { first: record })
    const story = found.get(id)
    lines.set(id, story === undefined ? orphan(record) : rewardLine(story.first, story.last))
  }
  return [...lines.values()]
}

/** What onceward run wrote of a reward that was frozen, and no record of the topic. */
function isLine(record: RewardRecord | RewardLine): record is RewardLine {
  return record.type === 'reward_task.created' && 'frozen_at' in record
}

/** Retention has taken the record that froze it. */
function orphan(record: RewardRecord): RewardLine {
  if (record.type === 'reward_task.created') return record
  const { type: _type, status: _status, ...task } = record
  return { type: 'reward_task.created', ...task, status: record.status }
}
