import type { PlayerChanged } from '../../core/model/player.ts'
import type { RewardRecord, RewardTaskBase } from '../../core/model/reward.ts'

export type RewardStatus = 'pending' | 'frozen' | 'paid' | 'failed'

export interface RecentReward {
  readonly task: RewardTaskBase
  readonly status: RewardStatus
}

const REMEMBERED_MAX = 1_000

/** The newest rewards and what became of them. Log and sink may tell in either order: the sink can be faster. */
export class RecentRewards {
  readonly #tasks: RewardTaskBase[] = []
  readonly #outcomes = new Map<string, Exclude<RewardStatus, 'pending'>>()

  /** What stands on the topic of reward tasks. */
  told(record: RewardRecord | PlayerChanged): void {
    if (record.type === 'player.changed') return
    const { reward_task_id: id } = record
    if (record.type === 'reward_task.expired') return this.settled(id, 'failed')
    if (record.type === 'reward_task.frozen') this.settled(id, 'frozen')
    else if (this.#outcomes.get(id) === 'frozen') {
      this.#outcomes.delete(id)
      return
    }
    this.#tasks.push(record)
    if (this.#tasks.length > REMEMBERED_MAX) this.#tasks.shift()
  }

  settled(taskId: string, outcome: Exclude<RewardStatus, 'pending'>): void {
    this.#outcomes.set(taskId, outcome)
    const [oldest] = this.#outcomes.keys()
    if (this.#outcomes.size > REMEMBERED_MAX && oldest !== undefined) this.#outcomes.delete(oldest)
  }

  /** Newest first. */
  newest(count: number): readonly RecentReward[] {
    return this.#tasks
      .slice(-count)
      .toReversed()
      .map((task) => ({ task, status: this.#outcomes.get(task.reward_task_id) ?? 'pending' }))
  }
}
