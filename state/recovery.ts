import type { OffsetBounds } from '../core/ports/log.ts'
import { NO_INPUT_OFFSET, STORE_FORMAT, type Stamp } from './stamp.ts'

/** What is known of a partition when a worker acquires it, after all older transactions are settled. */
export interface RecoveryFacts {
  readonly application: string
  readonly partition: number
  /** The group's committed input offset; undefined where it has none. */
  readonly committed: number | undefined
  /** The store's stamp; undefined where the store is new, `unreadable` where it has content but no usable stamp. */
  readonly stamp: Stamp | 'unreadable' | undefined
  readonly input: OffsetBounds
  readonly changelog: OffsetBounds
  /** Wall clock, ms since the epoch. */
  readonly now: number
  /** How long the changelog keeps tombstones, ms. */
  readonly deleteRetentionMs: number
}

export type Recovery =
  /** The store is exactly where the input is. */
  | { readonly kind: 'ready'; readonly reason: string }
  /** The store is behind: apply the changelog from `from` on. */
  | { readonly kind: 'replay-tail'; readonly from: number; readonly reason: string }
  /** The store cannot be used: empty it and apply the whole changelog. */
  | { readonly kind: 'rebuild'; readonly reason: string }
  /** Going on would lose or double something: a person must decide. */
  | {
      readonly kind: 'refuse'
      readonly code: 'ONCEWARD_E_STATE_INPUT_LOST' | 'ONCEWARD_E_STATE_INPUT_RESET' | 'ONCEWARD_E_STATE_CHANGELOG_LOST'
      readonly reason: string
    }

/**
 * Decides how a partition's state is brought to its committed input offset. Pure. A store is never thrown away because a
 * process died: the commit is in the log before it is in the store, so a store is behind or level, never ahead.
 */
export function decideRecovery(facts: RecoveryFacts): Recovery {
  return refuseInput(facts) ?? fromStamp(facts)
}

function refuseInput({ committed, input, application }: RecoveryFacts): Recovery | undefined {
  if (committed === undefined) return undefined
  if (committed < input.earliest) {
    return {
      kind: 'refuse',
      code: 'ONCEWARD_E_STATE_INPUT_LOST',
      reason: `the next event to process is at offset ${committed}, but the topic begins at ${input.earliest}: retention deleted ${application}'s unread events. Raise the topic's retention; to go on without them, start a new --application`,
    }
  }
  if (committed > input.end) {
    return {
      kind: 'refuse',
      code: 'ONCEWARD_E_STATE_INPUT_RESET',
      reason: `${application} has processed up to offset ${committed}, but the topic ends at ${input.end}: it was deleted and created again, or lost its tail. Start a new --application for the new topic`,
    }
  }
  return undefined
}

function fromStamp(facts: RecoveryFacts): Recovery {
  const { stamp, committed, changelog } = facts
  if (stamp === undefined) return fromNothing(facts)
  const unusable = whyUnusable(facts)
  if (unusable !== undefined || stamp === 'unreadable') return rebuildOrRefuse(facts, unusable ?? 'it has no stamp')
  if (stamp.changelogOffset > changelog.end) {
    return {
      kind: 'refuse',
      code: 'ONCEWARD_E_STATE_CHANGELOG_LOST',
      reason: `the store has applied the changelog up to ${stamp.changelogOffset}, but the changelog ends at ${changelog.end}: the topic was deleted or truncated. Restore the topic, or start a new --application`,
    }
  }
  if (stamp.inputOffset === committed) return { kind: 'ready', reason: `the store stands at input offset ${committed}` }
  if (stamp.changelogOffset < changelog.earliest) {
    return rebuildOrRefuse(
      facts,
      `its changelog offset ${stamp.changelogOffset} is before the changelog's first, ${changelog.earliest}`,
    )
  }
  const age = facts.now - stamp.writtenAt
  if (age >= facts.deleteRetentionMs) {
    return rebuildOrRefuse(
      facts,
      `it is ${age} ms old and may have missed tombstones, which are kept ${facts.deleteRetentionMs} ms`,
    )
  }
  return {
    kind: 'replay-tail',
    from: stamp.changelogOffset,
    reason: `${standing(stamp)}, the commit at ${committed ?? 'none'}`,
  }
}

/**
 * Decides how a copy of another worker's partition is begun: the same as for one's own, except that nothing is asked of the
 * input, which is the owner's affair, and that a copy is never `ready`: it goes on following. Pure.
 */
export function decideStandby(facts: Omit<RecoveryFacts, 'committed' | 'input'>): Exclude<Recovery, { kind: 'ready' }> {
  const recovery = fromStamp({ ...facts, committed: undefined, input: { earliest: 0, end: 0 } })
  if (recovery.kind !== 'ready') return recovery
  return { kind: 'replay-tail', from: facts.changelog.earliest, reason: recovery.reason }
}

function standing({ inputOffset, changelogOffset }: Stamp): string {
  return inputOffset === NO_INPUT_OFFSET
    ? `the store has applied the changelog up to ${changelogOffset}`
    : `the store stands at input offset ${inputOffset}`
}

/** Why the store is not this partition's state, or undefined where it is. */
function whyUnusable({ stamp, application, partition, committed }: RecoveryFacts): string | undefined {
  if (stamp === undefined) return undefined
  if (stamp === 'unreadable') return 'its stamp cannot be read'
  if (stamp.format !== STORE_FORMAT) return `it has format ${stamp.format}, and this version writes ${STORE_FORMAT}`
  if (stamp.application !== application) return `it belongs to application "${stamp.application}"`
  if (stamp.partition !== partition) return `it belongs to partition ${stamp.partition}`
  if (committed !== undefined && stamp.inputOffset > committed) {
    return `it stands at input offset ${stamp.inputOffset}, ahead of the commit at ${committed}`
  }
  return undefined
}

function fromNothing(facts: RecoveryFacts): Recovery {
  if (facts.changelog.end > 0 || (facts.committed ?? 0) > 0) return rebuildOrRefuse(facts, 'there is no store here yet')
  return { kind: 'ready', reason: 'nothing has been processed yet' }
}

function rebuildOrRefuse({ committed, changelog }: RecoveryFacts, why: string): Recovery {
  if ((committed ?? 0) > 0 && changelog.end === changelog.earliest) {
    return {
      kind: 'refuse',
      code: 'ONCEWARD_E_STATE_CHANGELOG_LOST',
      reason: `the store cannot be used (${why}) and the changelog, from which it would be rebuilt, is empty although events up to ${committed} were processed. Restore the changelog topic, or start a new --application`,
    }
  }
  return { kind: 'rebuild', reason: why }
}
