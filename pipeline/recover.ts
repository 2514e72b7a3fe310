import { hasCode, OncewardError } from '../core/errors.ts'
import type { Log } from '../core/ports/log.ts'
import type { PartitionStore } from '../state/partition-store.ts'
import { decideRecovery, type Recovery, type RecoveryFacts } from '../state/recovery.ts'
import { NO_INPUT_OFFSET, STORE_FORMAT, type Stamp } from '../state/stamp.ts'
import type { TaskMeta } from '../state/stores.ts'
import { ChangelogFollower } from './changelog-follower.ts'

/** Large, for nothing else is done meanwhile. */
const READ_BYTES_MAX = 8 << 20

export interface RecoveryOptions {
  readonly log: Log
  readonly store: PartitionStore
  readonly application: string
  readonly partition: number
  readonly events: string
  readonly changelog: string
  readonly deleteRetentionMs: number
  /** Wall clock, ms. */
  readonly now: () => number
  /** Called now and then with the changelog offset reached and its end. */
  readonly progress?: (at: number, end: number) => void
  /** True once the work is no longer wanted: recovery then stops with ONCEWARD_E_LOG_CLOSED. */
  readonly cancelled: () => boolean
}

export interface Recovered {
  readonly recovery: Recovery
  /** The next input offset to read. */
  readonly position: number
  readonly changelogOffset: number
  /** As it stands in the store. */
  readonly stamp: Stamp
  readonly meta: TaskMeta | undefined
  /** Changelog records applied. */
  readonly applied: number
}

/**
 * Brings a partition's store to the committed input offset. The caller has opened the partition's transactional id, so
 * every older transaction is settled and what is read here is final.
 *
 * I3 (level): afterwards the store's own input offset is the committed one; anything else is refused, never guessed.
 */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const facts = await gatherFacts(options)
  try {
    return await carryOut(options, facts)
  } catch (error) {
    // Where another worker has committed meanwhile, this one is a zombie: the facts were not final, and nothing is wrong.
    const refused = hasCode(error, ...REFUSALS)
    if (refused && (await committedOf(options)) !== facts.committed) throw takenOver(options, error)
    throw error
  }
}

const REFUSALS = [
  'ONCEWARD_E_STATE_INPUT_LOST',
  'ONCEWARD_E_STATE_INPUT_RESET',
  'ONCEWARD_E_STATE_CHANGELOG_LOST',
] as const

function takenOver(options: RecoveryOptions, cause: unknown): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_LOG_FENCED',
    `${where(options)}another worker took the partition over while it was being recovered`,
    { cause },
  )
}

async function carryOut(options: RecoveryOptions, facts: RecoveryFacts): Promise<Recovered> {
  const recovery = decideRecovery(facts)
  const { store } = options
  if (recovery.kind === 'refuse') throw new OncewardError(recovery.code, where(options) + recovery.reason)
  if (recovery.kind === 'ready') {
    const changelogOffset = isStamp(facts.stamp) ? facts.stamp.changelogOffset : facts.changelog.end
    const position = facts.committed ?? facts.input.earliest
    // The stamp is renewed: a store that is level now has missed no tombstone, however old its last batch is, and a new
    // one whose first commit is not followed by its write is behind, not missing.
    const stamp = stampOf(facts, position, changelogOffset)
    await store.write([], [], stamp)
    const meta = await store.meta()
    return { recovery, position, changelogOffset, stamp, meta, applied: 0 }
  }
  if (recovery.kind === 'rebuild') await store.clear()
  const { reached, applied } = await applyChangelog(options, facts, recovery)
  const meta = await store.meta()
  const position = positionAfter(options, facts, meta)
  // Further commits may stand at the same offset: where a crash parts the next one from its write, that must show.
  const stamp = stampOf(facts, meta?.overdue === true ? NO_INPUT_OFFSET : position, reached)
  await store.write([], [], stamp)
  return { recovery, position, changelogOffset: reached, stamp, meta, applied }
}

async function gatherFacts(options: RecoveryOptions): Promise<RecoveryFacts> {
  const { log, application, partition, events, changelog } = options
  const input = { topic: events, partition }
  const committed = await committedOf(options)
  const [inputBounds, changelogBounds] = await log.bounds([input, { topic: changelog, partition }])
  if (inputBounds === undefined || changelogBounds === undefined) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_TOPIC_MISSING',
      `${where(options)}the log tells no bounds for ${events} or ${changelog}`,
    )
  }
  return {
    application,
    partition,
    committed,
    stamp: await options.store.stamp(),
    input: inputBounds,
    changelog: changelogBounds,
    now: options.now(),
    deleteRetentionMs: options.deleteRetentionMs,
  }
}

async function committedOf({ log, application, partition, events }: RecoveryOptions): Promise<number | undefined> {
  const [committed] = await log.committed(application, [{ topic: events, partition }])
  return committed
}

/** A stop in between loses nothing: what was applied is stamped, and the next recovery goes on from there. */
async function applyChangelog(
  options: RecoveryOptions,
  facts: RecoveryFacts,
  recovery: Recovery & { kind: 'replay-tail' | 'rebuild' },
): Promise<{ reached: number; applied: number }> {
  const { now, stamp, changelog } = facts
  const { end } = changelog
  const rebuild = recovery.kind === 'rebuild'
  const follower = await ChangelogFollower.open({
    ...options,
    from: rebuild ? changelog.earliest : recovery.from,
    levelAt: rebuild || !isStamp(stamp) ? now : stamp.writtenAt,
    readBytesMax: READ_BYTES_MAX,
  })
  let applied = 0
  try {
    while (follower.reached < end) {
      if (options.cancelled()) throw new OncewardError('ONCEWARD_E_LOG_CLOSED', `${where(options)}recovery was stopped`)
      applied += (await follower.step()).applied
      options.progress?.(follower.reached, end)
    }
    return { reached: follower.reached, applied }
  } finally {
    await follower.close()
  }
}

/** The committed offset, or what the state says of itself where the group has forgotten its offsets. */
function positionAfter(options: RecoveryOptions, facts: RecoveryFacts, meta: TaskMeta | undefined): number {
  const { committed, input } = facts
  const position = committed ?? meta?.inputOffset ?? input.earliest
  if (meta === undefined && (committed ?? 0) > 0) {
    throw new OncewardError(
      'ONCEWARD_E_STATE_CHANGELOG_LOST',
      `${where(options)}events up to offset ${committed} were processed, but the changelog holds no state for them. Restore the changelog topic, or start a new --application`,
    )
  }
  if (meta !== undefined && committed !== undefined && meta.inputOffset !== committed) {
    throw new OncewardError(
      'ONCEWARD_E_STATE_INPUT_RESET',
      `${where(options)}the group's committed offset is ${committed}, but the state accounts for the input up to ${meta.inputOffset}: someone moved the group's offsets. Set them back to ${meta.inputOffset}, or start a new --application`,
    )
  }
  if (position < input.earliest) {
    throw new OncewardError(
      'ONCEWARD_E_STATE_INPUT_LOST',
      `${where(options)}the next event to process is at offset ${position}, but the topic begins at ${input.earliest}: retention deleted unread events`,
    )
  }
  return position
}

/** The store is level with the changelog as it was when the facts were gathered, and so it dates from then. */
function stampOf(facts: RecoveryFacts, inputOffset: number, changelogOffset: number): Stamp {
  const { application, partition, now } = facts
  return { format: STORE_FORMAT, application, partition, inputOffset, changelogOffset, writtenAt: now }
}

function isStamp(stamp: RecoveryFacts['stamp']): stamp is Stamp {
  return stamp !== undefined && stamp !== 'unreadable'
}

function where({ application, partition }: RecoveryOptions): string {
  return `${application}, partition ${partition}: `
}
