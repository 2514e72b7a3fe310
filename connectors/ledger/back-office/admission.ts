/**
 * Whether a pool gives what a person wants of it: pure, called while the pool's row is locked. A person's look takes the
 * place of the reviews that soft cap and breaker ask for; the hard cap yields to an override only.
 */
import type { HoldReason } from '../../../core/model/reward.ts'
import { type Cents, formatMoney } from '../../../core/money.ts'
import { hardCapShort, prizeBounds } from '../../../core/pool-bounds.ts'
import type { PoolPosition } from '../../../core/ports/back-office.ts'

export interface Request {
  readonly cost: Cents
  /** The rule's own soft cap; null: none. */
  readonly softCap: Cents | null
  /** Why somebody is to look at it whatever the budget. */
  readonly holds: readonly HoldReason[]
  /** Somebody has looked at it, or it passed the reviews before. */
  readonly reviewed: boolean
  /** Why the pool takes nothing; null: it does. */
  readonly closed: string | null
  readonly override: boolean
}

export type PersonalAdmission =
  /** `overrun`: by how much the permitted excess must grow. `passed`: what the override went past. */
  | { readonly kind: 'reserve'; readonly overrun: Cents; readonly passed: readonly string[] }
  | { readonly kind: 'hold'; readonly reasons: readonly HoldReason[] }
  /** `lasting`: the pool sends what it does not cover away rather than to hold. */
  | { readonly kind: 'closed'; readonly detail: string; readonly whenClosed: 'hold' | 'dlq' }

/** `position` undefined: the reward has no pool, and no budget bounds it. */
export function admitPersonally(request: Request, position: PoolPosition | undefined): PersonalAdmission {
  const { cost, override } = request
  const review: HoldReason[] = request.reviewed ? [] : [...request.holds]
  if (position === undefined) {
    return review.length > 0 ? { kind: 'hold', reasons: review } : { kind: 'reserve', overrun: 0n, passed: [] }
  }
  const { terms } = position
  const passed: string[] = []
  const shut = request.closed ?? overBudget(cost, position)
  if (shut !== null) {
    if (!override) return { kind: 'closed', detail: shut, whenClosed: terms?.whenClosed ?? 'hold' }
    passed.push(shut)
  }
  if (!request.reviewed) {
    const beyond = beyondSoft(request, position)
    if (override) passed.push(...beyond.map(({ detail }) => detail))
    else review.push(...beyond)
  }
  if (review.length > 0) return { kind: 'hold', reasons: review }
  return { kind: 'reserve', overrun: excess(cost, position), passed }
}

function overBudget(cost: Cents, position: PoolPosition): string | null {
  const short = hardCapShort(cost, position)
  if (short === null) return null
  return `it costs ${formatMoney(cost)}, and ${formatMoney(short.left)} of ${formatMoney(short.budget)} is left in its pool`
}

/** Soft cap and breaker look at large prizes. */
function beyondSoft(request: Request, position: PoolPosition): HoldReason[] {
  return prizeBounds(request, position).map((bound) => {
    const gone = `with it ${formatMoney(bound.after)} is gone`
    if (bound.by === 'soft_cap') {
      return { by: bound.by, detail: `${gone}, and the soft cap is ${formatMoney(bound.softCap)}` }
    }
    const share = `${bound.percent} % of ${formatMoney(bound.budget)}`
    return { by: bound.by, detail: `${gone}, and from ${share} on large prizes are held` }
  })
}

/**
 * Of what lies above the budget with this reward, the part that has not been permitted before: more than the reward itself
 * where the budget was lowered below what was gone already, for the database lets nothing more through before all of it is.
 */
function excess(cost: Cents, { terms, spent, reserved, overrun }: PoolPosition): Cents {
  if (terms === null) return 0n
  const fresh = spent + reserved + cost - terms.budget - overrun
  return cost > 0n && fresh > 0n ? fresh : 0n
}
