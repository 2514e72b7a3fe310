import type { PlayerEvent } from '../core/model/event.ts'
import { KYC_LEVEL_MAX } from '../core/model/player.ts'
import { RESTRICTION_KIND_LENGTH_MAX } from '../state/player-state.ts'
import { parseTimestamp } from './timestamp.ts'
import { isObject } from './type-checks.ts'

/** What an event says of the protection of its player. */
export type ProtectionChange =
  | { readonly kind: 'kyc'; readonly level: number }
  /** `until` ms, exclusive; null: until it is lifted. */
  | { readonly kind: 'restricted'; readonly restriction: string; readonly until: number | null }
  | { readonly kind: 'lifted'; readonly restriction: string }
  | { readonly kind: 'limits-lifted' }
  | { readonly kind: 'all-lifted' }

/** Statuses that take the level away where the event names none. */
const KYC_LOST = new Set(['rejected', 'expired', 'revoked', 'failed'])

const LIFTING = new Set(
  'lifted removed ended reset expired cancelled canceled revoked deactivated stopped disabled'.split(' '),
)
const REACHED = new Set(['reached', 'exceeded', 'hit', 'breached'])

/**
 * Reads what `kyc_status_changed` and `rg_event` say; undefined where they say nothing that the gates ask for. Pure, and
 * on the safe side: a kind of restriction that nobody has heard of restricts, and an end that cannot be read is no end.
 */
export function readProtection(event: PlayerEvent): ProtectionChange | undefined {
  if (!isAboutProtection(event)) return undefined
  const { eventName, data } = event
  const payload = isObject(data['payload']) ? data['payload'] : {}
  return eventName === 'rg_event' ? readRestriction(payload) : readKyc(payload)
}

/** The two events that say something of it. */
export function isAboutProtection({ eventName }: PlayerEvent): boolean {
  return eventName === 'rg_event' || eventName === 'kyc_status_changed'
}

/** It can only stop rewards, whatever was known before. */
export function protectsAtOnce(change: ProtectionChange): boolean {
  return change.kind === 'restricted' || (change.kind === 'kyc' && change.level === 0)
}

type Payload = Readonly<Record<string, unknown>>

function readKyc({ kyc_level: level, status }: Payload): ProtectionChange | undefined {
  if (typeof level === 'number') {
    return { kind: 'kyc', level: Math.min(KYC_LEVEL_MAX, Math.max(0, Math.floor(level))) }
  }
  return KYC_LOST.has(word(status)) ? { kind: 'kyc', level: 0 } : undefined
}

function readRestriction({ type, action: given, until }: Payload): ProtectionChange | undefined {
  const { kind, verb } = parts(word(type))
  const action = word(given)
  const lifts = LIFTING.has(action) || LIFTING.has(verb)
  if (lifts && kind === 'all') return { kind: 'all-lifted' }
  if (lifts && (kind === 'limit' || kind === 'limits')) return { kind: 'limits-lifted' }
  const restriction = kind === '' ? 'unspecified' : kind
  if (lifts) return { kind: 'lifted', restriction }
  if (restriction === 'reality_check') return undefined
  // To set a limit protects nobody from a reward yet; to reach it does.
  if (isLimit(restriction) && !REACHED.has(action) && !REACHED.has(verb)) return undefined
  return { kind: 'restricted', restriction, until: endOf(until) }
}

/** True for deposit_limit, loss_limit, … and for a limit that does not say of what. */
export function isLimit(restriction: string): boolean {
  return restriction === 'limit' || restriction === 'limits' || restriction.endsWith('_limit')
}

/** `Deposit-Limit reached` is `deposit_limit_reached`. */
function word(value: unknown): string {
  return typeof value === 'string'
    ? value
        .trim()
        .toLowerCase()
        .replace(/[\s-]+/g, '_')
    : ''
}

/** Some say in the type what was done: deposit_limit_reached, limit_lifted. */
function parts(type: string): { readonly kind: string; readonly verb: string } {
  const at = type.lastIndexOf('_')
  const verb = type.slice(at + 1)
  const isVerb = at > 0 && (LIFTING.has(verb) || REACHED.has(verb))
  return { kind: storable(isVerb ? type.slice(0, at) : type), verb: isVerb ? verb : '' }
}

/** A name that no ledger refuses: were it refused, the player would go unprotected there. */
function storable(kind: string): string {
  return kind.slice(0, RESTRICTION_KIND_LENGTH_MAX).replaceAll(/\p{Surrogate}|\p{Cc}/gu, '_')
}

/** The end of the year 9999: what RFC 3339 can write. An end beyond it is none. */
export const LAST_INSTANT = 253_402_300_799_999

function endOf(until: unknown): number | null {
  const end = typeof until === 'string' ? parseTimestamp(until) : Number.NaN
  return end <= LAST_INSTANT ? end : null
}
