import type { RewardRecord } from '../../core/model/reward.ts'

/** What the records about one reward come to. */
export interface RewardOutcome {
  /** The first of them. */
  readonly first: RewardRecord
  /** The one that says how it stands now: of a reward that was never frozen the first, whoever wrote it again. */
  readonly last: RewardRecord
}

/** Takes in the next record about the same reward. Pure. */
export function nextOutcome(known: RewardOutcome | undefined, record: RewardRecord): RewardOutcome {
  if (known === undefined) return { first: record, last: record }
  // Whoever reads the topic takes the first of several under one id, unless it is frozen: that is not its last word.
  return known.last.type === 'reward_task.frozen' ? { ...known, last: record } : known
}

/**
 * Whether the gates decided otherwise, where both have read all of the player's history. A reward that is frozen at the
 * end of the replay may have been set free by later events: only what became of it before event time `replayedTo`, ms,
 * is told apart.
 */
export function decidedOtherwise(replayed: RewardOutcome, issued: RewardOutcome, replayedTo: number): boolean {
  if (isFrozen(replayed.first) !== isFrozen(issued.first)) return true
  if (replayed.last.type === issued.last.type) return false
  return !isFrozen(replayed.last) || endedAt(issued.last) < replayedTo
}

function endedAt(record: RewardRecord): number {
  if (record.type === 'reward_task.expired') return Date.parse(record.expired_at)
  // One without released_at was never frozen, by whoever wrote it.
  return record.type === 'reward_task.created' ? Date.parse(record.released_at ?? record.created_at) : Number.NaN
}

function isFrozen({ type }: RewardRecord): boolean {
  return type === 'reward_task.frozen'
}

/**
 * The record by which a reward that was never issued is issued: the replay's last word on it; undefined where its time was
 * up. What the replay has frozen goes out as frozen, and stays so until a person releases it: no stream keeps it, and what
 * the sinks know of its player may be less than what the replay has read.
 */
export function issuable(record: RewardRecord): RewardRecord | undefined {
  return record.type === 'reward_task.expired' ? undefined : record
}
