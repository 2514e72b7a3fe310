/**
 * Where the bounds of a pool's period lie for one more reward: the same for a sink that admits it and for a person who lets it
 * go. Pure arithmetic; what follows from a bound, and how it is said, is each one's own affair.
 */
import type { Cents } from './money.ts'
import type { PoolFacts } from './ports/ledger.ts'

/** Hundredths that are left of the hard cap, at least 0, where `cost` does not fit into them; null: it fits, or nothing bounds it. */
export function hardCapShort(
  cost: Cents,
  { terms, spent, reserved }: PoolFacts,
): { left: Cents; budget: Cents } | null {
  if (terms === null || cost === 0n) return null
  const left = terms.budget - spent - reserved
  return cost <= left ? null : { left: left < 0n ? 0n : left, budget: terms.budget }
}

/** A bound that a large prize lies beyond; `after`: what is gone with it. */
export type PrizeBound =
  | { readonly by: 'soft_cap'; readonly after: Cents; readonly softCap: Cents }
  | { readonly by: 'breaker'; readonly after: Cents; readonly percent: number; readonly budget: Cents }

/** Soft cap (the smaller one of pool and rule) and breaker, which look at large prizes alone. */
export function prizeBounds(
  { cost, softCap }: { readonly cost: Cents; readonly softCap: Cents | null },
  { terms, spent, reserved }: PoolFacts,
): readonly PrizeBound[] {
  if (terms === null || terms.largePrize === null || cost < terms.largePrize) return []
  const after = spent + reserved + cost
  const { budget, breakerPercent: percent } = terms
  const bounds: PrizeBound[] = []
  const soft = smaller(terms.softCap, softCap)
  if (soft !== null && after > soft) bounds.push({ by: 'soft_cap', after, softCap: soft })
  if (after * 100n >= budget * BigInt(percent)) bounds.push({ by: 'breaker', after, percent, budget })
  return bounds
}

function smaller(a: Cents | null, b: Cents | null): Cents | null {
  if (a === null || b === null) return a ?? b
  return a < b ? a : b
}
