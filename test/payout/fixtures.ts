import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../core/clock.ts'
import { rewardTaskId } from '../../core/ids.ts'
import type { RewardTask } from '../../core/model/reward.ts'
import { partitionOf } from '../../core/partitioner.ts'
import { NO_POLICIES } from '../../core/model/policy.ts'
import type { LedgerTask } from '../../core/ports/ledger.ts'
import type { OutRecord } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { seededRandom } from '../../core/random.ts'
import type { SinkOptions } from '../../pipeline/payout/sink.ts'
import { parseRecord, type TaskView } from '../../pipeline/payout/task.ts'

export const SECRET = 'a secret for tests'
export const TOPICS = { rewards: 'reward.tasks', dlq: 'dlq' }
export const PARTITIONS = { 'reward.tasks': 3, dlq: 2 }

/** No policy, and one partner for everything. */
export const PLAIN: TaskView = {
  policyAt: (ts) => NO_POLICIES.at(ts),
  route: () => ({ partner: 'wallet', ordered: false }),
}

/** The `n`th task: three types over two pools, amounts that no float sums exactly. */
export function task(n: number, change: Partial<RewardTask> = {}): RewardTask {
  const userId = `u_${n % 97}`
  const rewards = [
    { type: 'bonus_cash', amount: 0.1 + (n % 9) / 10, currency: 'EUR', wagering: 15 },
    { type: 'fs', amount: 10, cost: 1.35 },
    { type: 'loot', rarity: 'rare' },
  ] as const
  const reward = rewards[n % 3] ?? rewards[2]
  return {
    type: 'reward_task.created',
    reward_task_id: rewardTaskId(userId, 'r_test', 'all', n),
    user_id: userId,
    origin: { rule_id: 'r_test', rule_version: '1.0', threshold: n, period: 'all', event_id: `e_${n}` },
    reward: 'amount' in reward ? { ...reward, amount: Math.round(reward.amount * 100) / 100 } : reward,
    pool_id: n % 2 === 0 ? 'nov_season' : 'daily_sprint',
    guardrails: { kyc_min_level: 2, budget_pool: 'nov_season', budget_soft_cap: 80_000 },
    kyc: { required: 2, level: 2 },
    status: 'pending',
    created_at: '2025-11-03T11:38:30.000Z',
    ...change,
  }
}

/** The `n`th task as the ledger books it. */
export function entry(n: number, change: Partial<LedgerTask> = {}): LedgerTask {
  const value = Buffer.from(JSON.stringify(task(n)))
  const parsed = parseRecord({ topic: 'reward.tasks', partition: 0, offset: n, timestamp: 0, key: null, value }, PLAIN)
  if (!parsed.ok || parsed.kind !== 'reward') throw new Error('the task is none')
  return { ...parsed.arrival.task, ...change }
}

export function tasks(count: number): RewardTask[] {
  return Array.from({ length: count }, (_, n) => task(n))
}

export function records(list: readonly RewardTask[]): OutRecord[] {
  return list.map((one) => ({
    topic: TOPICS.rewards,
    partition: partitionOf(one.user_id, PARTITIONS['reward.tasks']),
    key: one.user_id,
    value: JSON.stringify(one),
    timestamp: 0,
  }))
}

/** A sink's options with waits short enough for tests. */
export function quick(seed = 1): Omit<SinkOptions, 'log' | 'ledger' | 'partners'> {
  return {
    topics: TOPICS,
    group: 'sink',
    clock: systemClock,
    random: seededRandom(seed),
    logger: silentLogger,
    retry: { retriesMax: 8, baseMs: 5, capMs: 50 },
    patience: { baseMs: 10, capMs: 100, giveUpMs: 20_000 },
    breaker: { inRowMax: 20, windowCalls: 100, failureShare: 0.9, waitMs: 20, waitMsMax: 50 },
    thawPollMs: 50,
    idlePollMs: 20,
    stopGraceMs: 500,
  }
}

/** Waits for a condition, at most `boundMs`. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  boundMs = 20_000,
): Promise<void> {
  const end = performance.now() + boundMs
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${boundMs} ms: ${what}`)
    await sleep(10)
  }
}
