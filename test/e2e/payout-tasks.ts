/** The rewards of the acceptance test of payout: what each is, and what is to become of it. */
import { partitionOf } from '../../core/partitioner.ts'
import type { OutRecord } from '../../core/ports/log.ts'

export const POOL = 'season'
export const PARTITIONS = 4
/** Held for a review, and frozen by the stream, so that there is something of each to look at in the end. */
export const HELD = 5
export const FROZEN = 5

export interface Expected {
  readonly taskId: string
  readonly cents: number
  readonly fate: 'paid' | 'held' | 'frozen'
}

/** `rewards` that are paid, and some that wait; the same for the same number. */
export function expectedRewards(rewards: number): readonly Expected[] {
  return Array.from({ length: rewards + HELD + FROZEN }, (_, n) => {
    const fate = n < rewards ? 'paid' : n < rewards + HELD ? 'held' : 'frozen'
    return { taskId: `rt_${n.toString(16).padStart(32, '0')}`, cents: 50 + (n % 450), fate }
  })
}

export function recordOf(reward: Expected, topic: string, now: number): OutRecord {
  const { taskId, cents, fate } = reward
  const user = `u_${Number.parseInt(taskId.slice(3), 16) % 997}`
  const at = new Date(now).toISOString()
  const amount = cents / 100
  const task = {
    type: fate === 'frozen' ? 'reward_task.frozen' : 'reward_task.created',
    reward_task_id: taskId,
    user_id: user,
    origin: { rule_id: 'r', rule_version: '1', threshold: 100, period: 'all', event_id: `e_${taskId}` },
    reward: { type: 'bonus_cash', amount, currency: 'EUR' },
    pool_id: POOL,
    guardrails: { budget_pool: POOL },
    cost: amount.toFixed(2),
    kyc: { required: 0, level: null },
    status: fate === 'frozen' ? 'frozen' : 'pending',
    ...(fate === 'held' ? { holds: [{ by: 'sharp_rise', detail: 'almost there in one minute' }] } : {}),
    ...(fate === 'frozen' ? { frozen_at: at, reasons: [{ gate: 'rg', restriction: 'cool_off', until: null }] } : {}),
    created_at: at,
  }
  return { topic, partition: partitionOf(user, PARTITIONS), key: user, value: JSON.stringify(task), timestamp: now }
}

/** Covers them all, and nothing more. */
export function policyText(rewards: readonly Expected[]): string {
  const cents = rewards.reduce((sum, reward) => sum + reward.cents, 0)
  return `policy: payout
currency: EUR
pools:
  ${POOL}: { budget: ${(cents / 100).toFixed(2)}, breaker: 100% }
meta: { version: "1" }
`
}
