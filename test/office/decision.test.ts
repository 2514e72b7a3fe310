import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { admitPersonally } from '../../connectors/ledger/back-office/admission.ts'
import { decide } from '../../connectors/ledger/back-office/decision.ts'
import type { RewardFacts } from '../../connectors/ledger/back-office/facts.ts'
import { isActive } from '../../core/gates.ts'
import { MOVES, REWARD_STATUSES } from '../../core/model/reward-status.ts'
import type { Command, CommandName, PoolPosition } from '../../core/ports/back-office.ts'

const NOW = 1_000_000
const cents = fc.bigInt({ min: 0n, max: 10_000n })

const position: fc.Arbitrary<PoolPosition> = fc.record({
  terms: fc.option(
    fc.record({
      budget: cents,
      softCap: fc.option(cents),
      breakerPercent: fc.integer({ min: 1, max: 100 }),
      whenClosed: fc.constantFrom('hold' as const, 'dlq' as const),
      largePrize: fc.option(cents),
      since: fc.constant(0),
    }),
  ),
  spent: cents,
  reserved: cents,
  overrun: cents,
})

const reasons = fc.array(fc.record({ by: fc.constantFrom('large_prize', 'no_rate'), detail: fc.constant('why') }), {
  maxLength: 2,
})

const anyFacts: fc.Arbitrary<RewardFacts> = fc.record({
  ledgerId: fc.constant(1n),
  taskId: fc.constant('rt_1'),
  userId: fc.constant('u_1'),
  status: fc.constantFrom(...REWARD_STATUSES),
  poolId: fc.constant('p'),
  poolPeriod: fc.constant('all'),
  cost: cents,
  softCap: fc.option(cents),
  reserves: fc.boolean(),
  kycRequired: fc.integer({ min: 0, max: 3 }),
  partner: fc.option(fc.constant('wallet')),
  failure: fc.constant(null),
  payoutId: fc.constant(null),
  origin: fc.constantFrom('stream' as const, 'manual' as const),
  issuer: fc.option(fc.constantFrom('ann', 'bob')),
  wasReserved: fc.boolean(),
  wasSent: fc.boolean(),
  inFlight: fc.boolean(),
  taskHolds: reasons,
  approvals: fc.constantFrom(1, 2),
  hold: fc.option(
    fc.record({
      id: fc.constant(1n),
      reasons,
      approvals: fc.constantFrom(1, 2),
      assignee: fc.constant(null),
      decision: fc.constantFrom(null, 'approved' as const, 'rejected' as const, 'ended' as const),
      decidedBy: fc.constant('eve'),
      decidedAt: fc.constant('then'),
      decisionReason: fc.constant('because'),
      approvedBy: fc.subarray(['ann', 'bob']),
    }),
  ),
  freeze: fc.option(
    fc.record({
      by: fc.constantFrom('stream', 'sink', 'manual'),
      reasons: fc.constant([]),
      expiresAt: fc.option(fc.constantFrom(NOW - 1, NOW + 1)),
    }),
  ),
  player: fc.record({
    kycLevel: fc.option(fc.integer({ min: 0, max: 3 })),
    restrictions: fc.array(
      fc.record({
        kind: fc.constant('self_exclusion'),
        since: fc.constant(0),
        until: fc.option(fc.constantFrom(NOW - 1, NOW, NOW + 1)),
      }),
      { maxLength: 2 },
    ),
  }),
  now: fc.constant(NOW),
})

/** As the database keeps them: what is due is reserved and was, and nothing is reserved but for what is due or in doubt. */
const facts = anyFacts.map((known): RewardFacts => {
  const { status } = known
  const due = status === 'reserved' || status === 'sent'
  const doubt = (status === 'failed' || status === 'frozen') && known.reserves
  const wasSent = known.wasSent || doubt || status === 'sent' || status === 'failed'
  return { ...known, reserves: due || doubt, wasSent, wasReserved: known.wasReserved || due || wasSent }
})

const NAMES: readonly CommandName[] = ['approve', 'reject', 'assign', 'unassign', 'freeze', 'release', 'void', 'resend']

const command: fc.Arbitrary<Command> = fc
  .record({
    name: fc.constantFrom(...NAMES),
    actor: fc.constantFrom('ann', 'bob', 'carol'),
    override: fc.boolean(),
    notPaid: fc.boolean(),
    reviewFrom: fc.option(cents),
  })
  .map(({ name, notPaid, ...rest }): Command => {
    const mandate = { ...rest, reason: 'r', kycUnknown: 0 }
    if (name === 'assign') return { ...mandate, name, to: 'carol' }
    return name === 'void' ? { ...mandate, name, notPaid } : { ...mandate, name }
  })

const RUNS = { numRuns: 20_000 }

test('whatever is known and asked: a decision is a move that the database allows, and never breaks a promise', () => {
  fc.assert(
    fc.property(command, facts, position, (order, known, pool) => {
      const verdict = decide(order, known, pool)
      if (verdict.kind !== 'change') return
      const { to, reserves, overrun } = verdict
      const moves = to !== known.status
      if (moves) expect(MOVES[known.status]).toContain(to)
      // What is on its way has its money set aside, and what has ended has none.
      if (moves && to === 'reserved') expect(reserves).toBe(true)
      if (to === 'held' || to === 'voided') expect(reserves && moves).toBe(false)
      if (moves && to === 'reserved') {
        expect(known.player.restrictions.some((one) => isActive(one, NOW))).toBe(false)
        const level = known.player.kycLevel ?? 0
        if (!order.override) expect(level).toBeGreaterThanOrEqual(known.kycRequired)
        // The pool's bound, with what a person has let through.
        if (!known.reserves && pool.terms !== null && overrun === 0n && known.cost > 0n) {
          const gone = pool.spent + pool.reserved + known.cost
          expect(gone <= pool.terms.budget + pool.overrun).toBe(true)
          if (!order.override) expect(gone <= pool.terms.budget).toBe(true)
        }
        if (!order.override) expect(overrun).toBe(0n)
      }
      // Four eyes: what a review of two lets go has two names.
      if (order.name === 'approve' && to === 'reserved') {
        expect(new Set([...(known.hold?.approvedBy ?? []), order.actor]).size).toBeGreaterThanOrEqual(
          known.hold?.approvals ?? 1,
        )
      }
      // What may have been paid keeps its money until somebody has looked.
      const maybePaid = known.status === 'sent' || known.reserves
      if (maybePaid && known.wasSent && !reserves) expect(order.name === 'void' && order.notPaid).toBe(true)
    }),
    RUNS,
  )
})

test('the excess that an override permits is enough for the database, and no more', () => {
  fc.assert(
    fc.property(position, cents, (pool, cost) => {
      const admission = admitPersonally(
        { cost, softCap: null, holds: [], reviewed: true, closed: null, override: true },
        pool,
      )
      if (admission.kind !== 'reserve') throw new Error(`it is ${admission.kind}`)
      const { overrun } = admission
      expect(overrun >= 0n).toBe(true)
      if (pool.terms === null || cost === 0n) {
        expect(overrun).toBe(0n)
        return
      }
      // The condition of the trigger reward_budget_never_above, for the reservation alone: what is permitted stands before.
      const above = pool.spent + pool.reserved + cost - (pool.terms.budget + pool.overrun + overrun)
      expect(above <= 0n).toBe(true)
      if (overrun > 0n) expect(above).toBe(0n)
    }),
    RUNS,
  )
})
