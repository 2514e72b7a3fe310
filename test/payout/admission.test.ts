import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LedgerTask, PoolFacts, PoolTerms } from '../../core/ports/ledger.ts'
import { admit, admitAgain } from '../../pipeline/payout/admission.ts'
import { entry } from './fixtures.ts'

const TERMS: PoolTerms = {
  budget: 10_000n,
  softCap: 5_000n,
  breakerPercent: 90,
  whenClosed: 'dlq',
  largePrize: 1_000n,
  since: 0,
}
const PLAIN = entry(2, { cost: 100n, softCap: null, holds: [], closed: null, poolId: 'p' })

function facts(spent: bigint, reserved = 0n, terms: Partial<PoolTerms> | null = {}): PoolFacts {
  return { terms: terms === null ? null : { ...TERMS, ...terms }, spent, reserved }
}

function kinds(task: Partial<LedgerTask>, pool: PoolFacts | undefined): string {
  const admission = admit({ ...PLAIN, ...task }, pool)
  if (admission.kind !== 'hold') return admission.kind
  return `hold: ${admission.reasons.map(({ by }) => by).join(', ')}`
}

const HOLD = { whenClosed: 'hold' } as const
const LARGE = { cost: 1_000n }

test.each([
  ['what fits is reserved', {}, facts(0n), 'reserve'],
  ['the last cent may go', { cost: 100n }, facts(9_000n, 900n), 'reserve'],
  ['a cent more is refused', { cost: 101n }, facts(9_000n, 900n), 'refuse'],
  ['or held, where the pool says so', { cost: 101n }, facts(9_000n, 900n, HOLD), 'hold: budget_closed'],
  ['what is reserved is gone as what is spent', { cost: 101n }, facts(0n, 9_900n), 'refuse'],
  ['what costs nothing takes nothing', { cost: 0n }, facts(20_000n), 'reserve'],
  ['a budget that was lowered gives nothing more', { cost: 1n }, facts(12_000n), 'refuse'],
  ['a pool that is closed takes nothing', { closed: 'closed in October' }, facts(0n), 'refuse'],
  ['or it is held', { closed: 'closed in October' }, facts(0n, 0n, HOLD), 'hold: budget_closed'],
  ['a pool that nobody has declared is held', { closed: 'not declared' }, facts(0n, 0n, null), 'hold: budget_closed'],
  ['where nobody has said anything, nothing bounds it', { cost: 10n ** 12n }, facts(0n, 0n, null), 'reserve'],
  ['no pool, no bound', { poolId: null, cost: 10n ** 12n }, undefined, 'reserve'],
  ['no pool, but closed', { poolId: null, closed: 'not for TR' }, undefined, 'hold: budget_closed'],
  ['a hold holds', { holds: [{ by: 'sharp_rise', detail: 'x' }] }, facts(0n), 'hold: sharp_rise'],
  ['the hard cap goes before a hold', { holds: [{ by: 'sharp_rise', detail: 'x' }] }, facts(9_950n), 'refuse'],
  ['a small prize passes the soft cap', { cost: 999n }, facts(5_000n), 'reserve'],
  ['a large prize up to the soft cap passes', LARGE, facts(4_000n), 'reserve'],
  ['a large prize beyond the soft cap is held', LARGE, facts(4_001n), 'hold: soft_cap'],
  ["of pool's and rule's soft cap the smaller counts", { ...LARGE, softCap: 3_000n }, facts(2_001n), 'hold: soft_cap'],
  ['also where it is the pool that has the smaller', { ...LARGE, softCap: 9_000n }, facts(4_001n), 'hold: soft_cap'],
  [
    'also where the pool has none',
    { ...LARGE, softCap: 3_000n },
    facts(2_001n, 0n, { softCap: null }),
    'hold: soft_cap',
  ],
  ['a large prize below the breaker passes', LARGE, facts(7_999n, 0n, { softCap: null }), 'reserve'],
  ['a large prize that reaches the breaker is held', LARGE, facts(8_000n, 0n, { softCap: null }), 'hold: breaker'],
  ['both reasons are told', LARGE, facts(8_000n), 'hold: soft_cap, breaker'],
  ['a small prize passes the breaker', { cost: 999n }, facts(9_001n), 'reserve'],
  ['where no prize is large, none is held', LARGE, facts(8_500n, 0n, { largePrize: null }), 'reserve'],
] as const)('%s', (_, task, pool, expected) => {
  expect(kinds(task, pool)).toBe(expected)
})

test('a reward whose cost nobody knows is held, never refused: a person prices it', () => {
  const noRate = { cost: 0n, closed: 'no rate', holds: [{ by: 'no_rate', detail: 'no rate' }] }
  expect(kinds(noRate, facts(0n))).toBe('hold: no_rate')
})

test('what was admitted once and no longer fits is held, never refused: its dead letter could be lost', () => {
  expect(admitAgain({ ...PLAIN, cost: 101n }, facts(9_900n))).toMatchObject({ kind: 'hold' })
  expect(admitAgain(PLAIN, facts(0n))).toEqual({ kind: 'reserve' })
})

describe('whatever comes in whatever order', () => {
  const money = fc.bigInt({ min: 0n, max: 3_000n })
  const pool = fc.record({
    budget: fc.bigInt({ min: 0n, max: 20_000n }),
    softCap: fc.option(money, { nil: null }),
    breakerPercent: fc.integer({ min: 1, max: 100 }),
    whenClosed: fc.constantFrom('hold' as const, 'dlq' as const),
    largePrize: fc.option(money, { nil: null }),
    since: fc.constant(0),
  })
  const reward = fc.record({ cost: money, softCap: fc.option(money, { nil: null }) })

  test('nothing is reserved beyond the hard cap; large prizes never beyond soft cap or breaker; small ones are not held', () => {
    fc.assert(
      fc.property(pool, fc.array(reward, { maxLength: 40 }), (terms, rewards) => {
        let reserved = 0n
        for (const { cost, softCap } of rewards) {
          const admission = admit({ ...PLAIN, cost, softCap }, { terms, spent: 0n, reserved })
          const large = terms.largePrize !== null && cost >= terms.largePrize
          if (admission.kind === 'reserve') {
            reserved += cost
            expect(reserved <= terms.budget || cost === 0n).toBe(true)
            if (!large) continue
            for (const soft of [softCap, terms.softCap]) expect(soft === null || reserved <= soft).toBe(true)
            expect(reserved * 100n < terms.budget * BigInt(terms.breakerPercent)).toBe(true)
          } else if (!large) expect(reserved + cost > terms.budget).toBe(true)
        }
      }),
    )
  })
})
