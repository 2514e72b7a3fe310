/**
 * What becomes of a reward that the gates let pass, as its pool stands: a pure function, called while the pool's row is
 * locked, so that each way of spending too much is a row of a table.
 *
 * A1  what is reserved fits: spent + reserved + cost never gets above the hard cap
 * A2  a person decides wherever something asks for one: a hold of the task, a soft cap, the breaker
 * A3  a reward whose cost nobody knows is never refused and never paid: a person prices it
 */
import { BUDGET_CLOSED, type HoldReason, NO_RATE } from '../../core/model/reward.ts'
import { formatMoney } from '../../core/money.ts'
import { hardCapShort, prizeBounds } from '../../core/pool-bounds.ts'
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

function overHardCap({ cost, poolId }: LedgerTask, facts: PoolFacts | undefined): string | null {
  const short = facts === undefined ? null : hardCapShort(cost, facts)
  if (short === null) return null
  const { left, budget } = short
  return `pool ${poolId} has ${formatMoney(left)} of ${formatMoney(budget)} left, and the reward costs ${formatMoney(cost)}`
}

function largePrizeHolds(task: LedgerTask, facts: PoolFacts | undefined): readonly HoldReason[] {
  if (facts === undefined) return []
  return prizeBounds(task, facts).map((bound) => {
    const would = `a large prize of ${formatMoney(task.cost)} would bring pool ${task.poolId} to ${formatMoney(bound.after)}`
    if (bound.by === 'soft_cap') {
      return { by: bound.by, detail: `${would}, beyond its soft cap of ${formatMoney(bound.softCap)}` }
    }
    const share = `${bound.percent} % of ${formatMoney(bound.budget)}`
    return { by: bound.by, detail: `${would}, and from ${share} on somebody looks at large prizes` }
  })
}

/** For rewards that were admitted once and have been stopped since: what the pool no longer covers goes to a person. */
export const admitAgain: Admit = (task, facts) => {
  const admission = admit(task, facts)
  if (admission.kind !== 'refuse') return admission
  return { kind: 'hold', reasons: [{ by: BUDGET_CLOSED, detail: admission.detail }] }
}
