/**
 * What becomes of a reward that the gates let pass, as its pool stands: a pure function, called while the pool's row is
 * locked, so that each way of spending too much is a row of a table.
 *
 * A1  what is reserved fits: spent + reserved + cost never gets above the hard cap
 * A2  a person decides wherever something asks for one: a hold of the task, a soft cap, the breaker
 * A3  a reward whose cost nobody knows is never refused and never paid: a person prices it
 */
import type { HoldReason } from '../../core/model/reward.ts'
import { type Cents, formatMoney } from '../../core/money.ts'
import type { Admission, Admit, LedgerTask, PoolFacts } from '../../core/ports/ledger.ts'

export const admit: Admit = (task, facts) => {
  const closed = task.closed ?? overHardCap(task, facts)
  if (closed !== null) return shut(task, facts, closed)
  const reasons = [...task.holds, ...largePrizeHolds(task, facts)]
  return reasons.length === 0 ? { kind: 'reserve' } : { kind: 'hold', reasons }
}

function shut(task: LedgerTask, facts: PoolFacts | undefined, detail: string): Admission {
  const whenClosed = (facts?.terms ?? task.terms)?.whenClosed ?? 'hold'
  const priced = !task.holds.some(({ by }) => by === NO_RATE)
  if (whenClosed === 'dlq' && priced) return { kind: 'refuse', detail }
  // Where it is closed for want of a rate, the hold that says so stands there already.
  const said = task.holds.some((hold) => hold.detail === detail)
  return { kind: 'hold', reasons: said ? task.holds : [...task.holds, { by: BUDGET_CLOSED, detail }] }
}

/** `by` of a hold: the cost is not known. */
export const NO_RATE = 'no_rate'
/** `by` of a hold, and the reason of a dead letter: the pool does not cover it. */
export const BUDGET_CLOSED = 'budget_closed'

function overHardCap({ cost, poolId }: LedgerTask, facts: PoolFacts | undefined): string | null {
  const terms = facts?.terms ?? null
  if (facts === undefined || terms === null || cost === 0n) return null
  const left = terms.budget - facts.spent - facts.reserved
  if (cost <= left) return null
  const rest = formatMoney(left < 0n ? 0n : left)
  return `pool ${poolId} has ${rest} of ${formatMoney(terms.budget)} left, and the reward costs ${formatMoney(cost)}`
}

function largePrizeHolds(task: LedgerTask, facts: PoolFacts | undefined): readonly HoldReason[] {
  const terms = facts?.terms ?? null
  if (facts === undefined || terms === null || terms.largePrize === null || task.cost < terms.largePrize) return []
  const taken = facts.spent + facts.reserved + task.cost
  const reasons: HoldReason[] = []
  const soft = smaller(terms.softCap, task.softCap)
  if (soft !== null && taken > soft) {
    const detail = `a large prize of ${formatMoney(task.cost)} would bring pool ${task.poolId} to ${formatMoney(taken)}, beyond its soft cap of ${formatMoney(soft)}`
    reasons.push({ by: 'soft_cap', detail })
  }
  if (taken * 100n >= terms.budget * BigInt(terms.breakerPercent)) {
    const detail = `a large prize of ${formatMoney(task.cost)} would bring pool ${task.poolId} to ${formatMoney(taken)}, and from ${terms.breakerPercent} % of ${formatMoney(terms.budget)} on somebody looks at large prizes`
    reasons.push({ by: 'breaker', detail })
  }
  return reasons
}

function smaller(a: Cents | null, b: Cents | null): Cents | null {
  if (a === null || b === null) return a ?? b
  return a < b ? a : b
}

/** For rewards that were admitted once and have been stopped since: what the pool no longer covers goes to a person. */
export const admitAgain: Admit = (task, facts) => {
  const admission = admit(task, facts)
  if (admission.kind !== 'refuse') return admission
  return { kind: 'hold', reasons: [{ by: BUDGET_CLOSED, detail: admission.detail }] }
}
