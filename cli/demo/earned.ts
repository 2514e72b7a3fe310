import type { PlayerChanged } from '../../core/model/player.ts'
import type { RewardRecord } from '../../core/model/reward.ts'
import type { Log } from '../../core/ports/log.ts'
import { committedRecords } from './committed-records.ts'

/**
 * The ids of the rewards that were earned, one for each record that says so: the first about a reward, created or frozen.
 * What is told of a frozen one afterwards, that it was released or has expired, tells of no other; said twice, it does.
 */
export async function earnedIds(log: Log, topic: string): Promise<readonly string[]> {
  const ids: string[] = []
  const frozen = new Set<string>()
  for await (const records of committedRecords(log, topic)) {
    for (const { value } of records) {
      const record = JSON.parse(value?.toString() ?? 'null') as RewardRecord | PlayerChanged
      if (record.type === 'player.changed') continue
      const { type, reward_task_id: id } = record
      if (type !== 'reward_task.frozen' && frozen.delete(id)) continue
      ids.push(id)
      if (type === 'reward_task.frozen') frozen.add(id)
    }
  }
  return ids
}
