/** Reads a record of `reward.tasks` for comparison, as the sinks read it: what they put aside is no reward here either. */
import { CASH_TYPES } from '../../core/cost.ts'
import { NO_POLICIES } from '../../core/model/policy.ts'
import { type Cents, parseMoney } from '../../core/money.ts'
import type { Arrival } from '../../core/ports/ledger.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import { parseRecord, type TaskView } from '../payout/task.ts'
import type { TopicEntry } from './sides.ts'

export type ReadEntry =
  | { readonly kind: 'reward'; readonly entry: TopicEntry }
  /** About a player. */
  | { readonly kind: 'other' }
  /** The sinks put it into the dead-letter topic. */
  | { readonly kind: 'unreadable' }

/** What a task costs that does not say so is up to the sinks' policy, and not asked here. */
const VIEW: TaskView = { policyAt: (ts) => NO_POLICIES.at(ts), route: () => undefined }

export function readTopicEntry(record: LogRecord): ReadEntry {
  const parsed = parseRecord(record, VIEW)
  if (!parsed.ok) return { kind: 'unreadable' }
  return parsed.kind === 'player' ? { kind: 'other' } : { kind: 'reward', entry: entryOf(parsed.arrival, record) }
}

function entryOf({ kind, task }: Arrival, record: LogRecord): TopicEntry {
  return {
    said: kind,
    taskId: task.taskId,
    userId: task.userId,
    poolId: task.poolId,
    type: task.type,
    value: task.value,
    currency: task.currency,
    cost: saidCost(task.raw, task.reward.cost),
    partition: record.partition,
    offset: record.offset,
    writtenAt: record.timestamp,
    issuedAt: Date.parse(task.issuedAt),
  }
}

/** Only where the record itself says it. */
function saidCost(raw: string, ofReward: number | undefined): Cents | null {
  const { cost } = JSON.parse(raw) as { readonly cost?: unknown }
  if (typeof cost === 'string' || typeof cost === 'number') return parseMoney(cost)
  return ofReward === undefined ? null : parseMoney(ofReward)
}

/** What it takes from its pool where the ledger's row is gone; null: not known. */
export function likelyCost(entry: TopicEntry): Cents | null {
  return entry.cost ?? (CASH_TYPES.has(entry.type) ? entry.value : null)
}
