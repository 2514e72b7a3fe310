import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { assert } from '../../core/assert.ts'
import { systemClock as clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { rewardTaskId } from '../../core/ids.ts'
import { NO_POLICY, type PolicyVersion } from '../../core/model/policy.ts'
import type { RewardTask } from '../../core/model/reward.ts'
import { formatMoney } from '../../core/money.ts'
import type { Log } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import type { Wallet } from '../../core/ports/wallet.ts'
import { systemRandom as random } from '../../core/random.ts'
import { type Topics, topicNames } from '../../core/topics.ts'
import { createSink } from '../../pipeline/payout/sink.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { topicSpecs } from '../log-tools/topics.ts'
import { COST_CENTS, HOT_POOL, type PayoutJob, type PayoutMessage, type PayoutOrder } from './payout-job.ts'

/** A process of the bench: is sent its job, fills a log in memory, waits until all have, and is a sink until it is stopped. */
function main(): void {
  const send = process.send?.bind(process)
  assert(send !== undefined, 'this file is started by cli/bench/payout.ts')
  // Ctrl-C reaches every process of a terminal; who started this one decides, and its end ends it too.
  process.on('SIGINT', () => undefined)
  process.once('disconnect', () => process.exit())
  process.once('message', (job: PayoutJob) => {
    work(job, (message) => void send(message)).catch((error: unknown) => {
      send({ kind: 'failed', message: messageOf(error) } satisfies PayoutMessage)
    })
  })
}

async function work(job: PayoutJob, send: (message: PayoutMessage) => void): Promise<void> {
  const topics = topicNames()
  const log = await openEmbeddedLog({ kv: memoryKv(), clock })
  await log.createTopics(topicSpecs({ topics, partitions: 1, retentionMs: 0 }))
  await fill(log, topics, job)
  const ledger = openPostgresLedger({ url: job.url })
  await ledger.outstanding()
  const version = policyOf(job)
  const partner = { name: 'instant', wallet: instantWallet(), types: ['*'], orderedByPlayer: false, leaseMs: 30_000 }
  const sink = createSink({
    log,
    ledger,
    partners: [{ ...partner, concurrency: job.concurrency }],
    policyAt: () => version,
    topics,
    group: 'bench',
    clock,
    random,
    logger: silentLogger,
  })
  send({ kind: 'ready' })
  await orderOf('go')
  const running = sink.run()
  await Promise.race([orderOf('stop'), running])
  await sink.stop()
  await running
  send({ kind: 'done', stats: sink.stats() })
  await ledger.close()
  await log.close()
}

function orderOf(kind: PayoutOrder['kind']): Promise<void> {
  return new Promise((resolve) => {
    process.on('message', (order: PayoutOrder) => {
      if (order.kind === kind) resolve()
    })
  })
}

/** Pays at once: what is measured is the sink and its ledger. */
function instantWallet(): Wallet {
  return {
    credit: ({ requestId }) => Promise.resolve({ kind: 'paid', payoutId: `p_${requestId}`, status: 'succeeded' }),
    close: () => Promise.resolve(),
  }
}

function policyOf({ budgetCents: budget }: PayoutJob): PolicyVersion {
  const pool = {
    poolId: HOT_POOL,
    budget,
    softCap: undefined,
    period: 'all',
    timeZone: 'UTC',
    from: undefined,
    until: undefined,
    geo: undefined,
    whenClosed: 'hold',
    breakerPercent: 90,
    largePrize: undefined,
    reviewFrom: undefined,
  } as const
  const kyc = { byType: new Map<string, number>(), other: 0, largePrize: 0, unknown: 0 }
  const policy = { ...NO_POLICY, version: 'bench', currency: 'EUR', pools: new Map([[HOT_POOL, pool]]), kyc }
  return { policy: { ...policy, closedWorld: true }, effectiveFrom: undefined }
}

const REWARDS_AT_ONCE = 2_000
const PLAYERS = 5_000

async function fill(log: Log, topics: Topics, { index, rewards }: PayoutJob): Promise<void> {
  const producer = await log.producer()
  const now = clock.now()
  for (let from = 0; from < rewards; from += REWARDS_AT_ONCE) {
    const size = Math.min(REWARDS_AT_ONCE, rewards - from)
    const records = Array.from({ length: size }, (_, n) => {
      const task = taskOf(`${index}-${from + n}`, now)
      return { topic: topics.rewards, partition: 0, key: task.user_id, value: JSON.stringify(task), timestamp: now }
    })
    await producer.send(records)
  }
  await producer.close()
}

function taskOf(id: string, now: number): RewardTask {
  const user = `u_${Number(id.split('-')[1]) % PLAYERS}_${id.split('-')[0]}`
  const origin = { rule_id: 'r_bench', rule_version: '1', threshold: 100, period: 'all', event_id: `e_${id}` }
  return {
    type: 'reward_task.created',
    reward_task_id: rewardTaskId(user, origin.rule_id, id, origin.threshold),
    user_id: user,
    origin,
    reward: { type: 'bonus_cash', amount: 1, currency: 'EUR' },
    pool_id: HOT_POOL,
    guardrails: { budget_pool: HOT_POOL },
    cost: formatMoney(COST_CENTS),
    status: 'pending',
    created_at: new Date(now).toISOString(),
  }
}

main()
