import { unreachable } from '../core/assert.ts'
import { decideGates } from '../core/gates.ts'
import type { Player, PlayerChanged } from '../core/model/player.ts'
import {
  type FrozenRef,
  type PlayerState,
  RESTRICTION_KINDS_MAX,
  type RestrictionState,
  type Said,
} from '../state/player-state.ts'
import { isLimit, type ProtectionChange } from './protection-event.ts'

/**
 * How what is known of a player changes, by an event or by time alone. Pure, in place.
 *
 * I12 (time order): `settle` does at one watermark what it would have done at any watermarks before it, one after the
 * other. So what becomes of a player's frozen rewards does not depend on when somebody looks.
 */

/** What settling or a change brings about, in order. */
export type Moved =
  /** What is known has changed, by the event or, where its `event_id` is null, by the end of a restriction. */
  | { readonly kind: 'changed'; readonly at: number; readonly record: PlayerChanged }
  | {
      readonly kind: 'released' | 'expired'
      readonly ref: FrozenRef
      readonly at: number
      readonly level: number | null
    }

export function newPlayer(): PlayerState {
  return { restrictions: [], asOf: 0, seq: 0, frozen: [], timer: null }
}

/** What the gates are asked with. */
export function playerOf({ kyc, restrictions }: PlayerState): Player {
  return {
    kycLevel: kyc?.level ?? null,
    restrictions: restrictions
      .filter(({ over }) => over !== true)
      .map(({ kind, at, until }) => ({ kind, since: at, until })),
  }
}

/** Counts the change and makes the record that says what is known now. */
function changed(
  state: PlayerState,
  at: number,
  by: { readonly userId: string; readonly eventId: string | null },
): Moved {
  state.seq++
  return { kind: 'changed', at, record: playerChanged(by.userId, state, by.eventId) }
}

function playerChanged(userId: string, state: PlayerState, eventId: string | null): PlayerChanged {
  const { kycLevel, restrictions } = playerOf(state)
  return {
    type: 'player.changed',
    user_id: userId,
    kyc_level: kycLevel,
    restrictions: restrictions.map(({ kind, since, until }) => ({
      kind,
      since: timeText(since),
      until: until === null ? null : timeText(until),
    })),
    as_of: timeText(state.asOf),
    seq: state.seq,
    event_id: eventId,
  }
}

/** The next instant, ms, at which time alone ends a restriction or the wait of a reward; null: there is none. */
export function nextInstant({ restrictions, frozen }: PlayerState): number | null {
  let next = Number.POSITIVE_INFINITY
  for (const { until, over } of restrictions) if (until !== null && over !== true) next = Math.min(next, until)
  for (const { expiresAt } of frozen) if (expiresAt !== null) next = Math.min(next, expiresAt)
  return Number.isFinite(next) ? next : null
}

/**
 * Lets time pass up to `watermark`, ms, instant by instant: restrictions end, rewards that the gates let pass from then
 * on are released, those whose time is up expire. Where both fall on one instant the reward expires.
 */
export function settle(state: PlayerState, userId: string, watermark: number): Moved[] {
  const moved: Moved[] = []
  for (let at = nextInstant(state); at !== null && at <= watermark; at = nextInstant(state)) {
    const ended = state.restrictions.filter(({ until, over }) => until !== null && until <= at && over !== true)
    for (const restriction of ended) restriction.over = true
    if (ended.length > 0) moved.push(changed(state, at, { userId, eventId: null }))
    moved.push(...sort(state, at))
  }
  return moved
}

/** Applies what an event says, at `watermark`; time is settled up to it. Nothing where a newer word is known already. */
export function applyChange(
  state: PlayerState,
  change: ProtectionChange,
  { userId, said, watermark }: { readonly userId: string; readonly said: Said; readonly watermark: number },
): Moved[] {
  const before = JSON.stringify(playerOf(state))
  note(state, change, said)
  for (const restriction of state.restrictions) {
    if (restriction.until !== null && restriction.until <= watermark) restriction.over = true
  }
  if (JSON.stringify(playerOf(state)) === before) return []
  state.asOf = Math.max(state.asOf, said.at)
  return [changed(state, watermark, { userId, eventId: said.id }), ...sort(state, watermark)]
}

/** Takes out of `frozen` what expires or passes at the instant `at`. */
function sort(state: PlayerState, at: number): Moved[] {
  if (state.frozen.length === 0) return []
  const moved: Moved[] = []
  const player = playerOf(state)
  const { kycLevel: level } = player
  state.frozen = state.frozen.filter((ref) => {
    const { expiresAt, required, unknown } = ref
    if (expiresAt !== null && expiresAt <= at) moved.push({ kind: 'expired', ref, at: expiresAt, level })
    else if (decideGates({ player, kycRequired: required, kycUnknown: unknown, at }).kind === 'pass') {
      moved.push({ kind: 'released', ref, at, level })
    } else return true
    return false
  })
  return moved
}

function note(state: PlayerState, change: ProtectionChange, said: Said): void {
  switch (change.kind) {
    case 'kyc':
      if (isNewer(said, state.kyc)) state.kyc = { level: change.level, at: said.at, id: said.id }
      break
    case 'limits-lifted':
      if (isNewer(said, state.limitsLifted)) state.limitsLifted = said
      break
    case 'all-lifted':
      if (isNewer(said, state.allLifted)) state.allLifted = said
      break
    case 'restricted': {
      const kind = kindFor(state, change.restriction)
      noteRestriction(state, { ...said, kind, until: kind === change.restriction ? change.until : null })
      break
    }
    case 'lifted':
      noteRestriction(state, { ...said, kind: change.restriction, until: null, over: true })
      break
    default:
      unreachable(change)
  }
  for (const restriction of state.restrictions) if (isLifted(state, restriction)) restriction.over = true
}

/** What counts as one where more kinds are heard of than are told apart. */
const OTHER = 'other'

function kindFor({ restrictions }: PlayerState, kind: string): string {
  const known = restrictions.length < RESTRICTION_KINDS_MAX || restrictions.some((each) => each.kind === kind)
  return known ? kind : OTHER
}

function noteRestriction(state: PlayerState, word: RestrictionState): void {
  const { restrictions } = state
  const index = restrictions.findIndex(({ kind }) => kind === word.kind)
  const known = restrictions[index]
  if (known === undefined) {
    // A lifting of what there is no room for is not remembered: what it might lift counts as OTHER.
    if (word.over === true && restrictions.length >= RESTRICTION_KINDS_MAX) return
    restrictions.push(word)
    restrictions.sort((a, b) => (a.kind < b.kind ? -1 : 1))
  } else if (isNewer(word, known)) restrictions[index] = word
}

/** Everything, or all limits, was lifted after this was said. */
function isLifted({ limitsLifted, allLifted }: PlayerState, restriction: RestrictionState): boolean {
  if (allLifted !== undefined && isNewer(allLifted, restriction)) return true
  return limitsLifted !== undefined && isLimit(restriction.kind) && isNewer(limitsLifted, restriction)
}

function isNewer(said: Said, than: Said | undefined): boolean {
  return than === undefined || said.at > than.at || (said.at === than.at && said.id > than.id)
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
