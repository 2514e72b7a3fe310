/** The pools of the simulated rules: so small that they close while it runs, each in its way. */
import { NO_POLICY, type PayoutPolicy, type PolicyVersion, type PoolPolicy } from '../../core/model/policy.ts'

const POOL = { softCap: undefined, from: undefined, until: undefined, geo: undefined, reviewFrom: undefined } as const

const POOLS: readonly PoolPolicy[] = [
  {
    ...POOL,
    poolId: 'season',
    budget: 4_000n,
    period: 'all',
    timeZone: 'UTC',
    whenClosed: 'dlq',
    breakerPercent: 90,
    largePrize: undefined,
  },
  {
    ...POOL,
    poolId: 'daily',
    budget: 1_500n,
    period: 'daily',
    timeZone: 'Europe/Istanbul',
    whenClosed: 'hold',
    breakerPercent: 80,
    largePrize: 150n,
  },
]

const POLICY: PayoutPolicy = {
  ...NO_POLICY,
  version: '1',
  pools: new Map(POOLS.map((pool) => [pool.poolId, pool])),
  closedWorld: true,
}

export function policyAt(): PolicyVersion {
  return { policy: POLICY, effectiveFrom: undefined }
}
