import type { RewardTask } from '../../core/model/reward.ts'

export type RewardStatus = 'pending' | 'paid' | 'failed'

export interface RecentReward {
  readonly task: RewardTask
  readonly status: RewardStatus
}

const REMEMBERED_MAX = 1_000

/** The newest reward tasks and what became of them. The two may be told in either order: the sink can be faster. */
export class RecentRewards {
  readonly #tasks: RewardTask[] = []
  readonly #outcomes = new Map<string, 'paid' | 'failed'>()

  created(task: RewardTask): void {
    this.#tasks.push(task)
    if (this.#tasks.length > REMEMBERED_MAX) this.#tasks.shift()
  }

  settled(taskId: string, outcome: 'paid' | 'failed'): void {
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
