/**
 * The gates by player (SPEC S7): a pure decision, the same for the stream, for the sink at the moment of the call, and for
 * a reward that is issued by hand. Responsible gaming outranks every promotion, so it is asked first and of every reward.
 */
import type { Player, Restriction } from './model/player.ts'

export type FreezeReason =
  | { readonly gate: 'rg'; readonly restriction: string; readonly until: string | null }
  /** `level` null: not known. */
  | { readonly gate: 'kyc'; readonly required: number; readonly level: number | null }

export type GateDecision =
  | { readonly kind: 'pass' }
  /** `liftsAt`: from when, ms, it passes unless something else happens; null: only an event can tell. */
  | { readonly kind: 'freeze'; readonly reasons: readonly FreezeReason[]; readonly liftsAt: number | null }

export interface GateQuestion {
  readonly player: Player
  /** 0: none. */
  readonly kycRequired: number
  /** What counts for a player whose level nobody has told. */
  readonly kycUnknown: number
  /** The instant, ms. */
  readonly at: number
}

export function decideGates({ player, kycRequired, kycUnknown, at }: GateQuestion): GateDecision {
  const active = player.restrictions.filter((restriction) => isActive(restriction, at))
  const level = player.kycLevel ?? kycUnknown
  const reasons: FreezeReason[] = active.map(({ kind, until }) => ({
    gate: 'rg',
    restriction: kind,
    until: until === null ? null : new Date(until).toISOString(),
  }))
  const kycLow = level < kycRequired
  if (kycLow) reasons.push({ gate: 'kyc', required: kycRequired, level: player.kycLevel })
  if (reasons.length === 0) return { kind: 'pass' }
  return { kind: 'freeze', reasons, liftsAt: kycLow ? null : lastEnd(active) }
}

/** A restriction whose beginning lies ahead counts already: protection is never late. */
export function isActive({ until }: Restriction, at: number): boolean {
  return until === null || at < until
}

function lastEnd(active: readonly Restriction[]): number | null {
  let last = Number.NEGATIVE_INFINITY
  for (const { until } of active) {
    if (until === null) return null
    last = Math.max(last, until)
  }
  return last
}

/** For people: `self_exclusion until 2025-12-01T00:00:00.000Z`, `KYC level 1 of 2`. */
export function freezeText(reason: FreezeReason): string {
  if (reason.gate === 'rg') return `${reason.restriction}${reason.until === null ? '' : ` until ${reason.until}`}`
  return `KYC level ${reason.level ?? 'unknown'}, and ${reason.required} is needed`
}
