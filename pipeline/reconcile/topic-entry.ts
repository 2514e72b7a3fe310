/** Reads a record of `reward.tasks` for comparison. Nothing is asserted: what is no reward is said to be none. */
import { CASH_TYPES } from '../../core/cost.ts'
import { type Cents, parseMoney } from '../../core/money.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import type { TopicEntry } from './sides.ts'

const SAYS: ReadonlyMap<string, TopicEntry['said']> = new Map([
  ['reward_task.created', 'created'],
  ['reward_task.frozen', 'frozen'],
  ['reward_task.expired', 'expired'],
])

export type ReadEntry =
  | { readonly kind: 'reward'; readonly entry: TopicEntry }
  /** About a player. */
  | { readonly kind: 'other' }
  /** The sinks put it into the dead-letter topic. */
  | { readonly kind: 'unreadable' }

export function readTopicEntry(record: LogRecord): ReadEntry {
  try {
    const value = object(JSON.parse(record.value?.toString() ?? ''))
    const type = text(value['type'])
    if (type === 'player.changed') return { kind: 'other' }
    const said = SAYS.get(type)
    if (said === undefined) return { kind: 'unreadable' }
    return { kind: 'reward', entry: entryOf(said, value, record) }
  } catch {
    return { kind: 'unreadable' }
  }
}

function entryOf(said: TopicEntry['said'], value: Readonly<Record<string, unknown>>, record: LogRecord): TopicEntry {
  const reward = object(value['reward'])
  const issuedAt = Date.parse(text(value['created_at']))
  if (Number.isNaN(issuedAt)) throw new TypeError('created_at is no time')
  return {
    said,
    taskId: text(value['reward_task_id']),
    userId: text(value['user_id']),
    poolId: optional(value['pool_id'], text),
    type: text(reward['type']),
    value: optional(reward['amount'], money) ?? 0n,
    currency: optional(reward['currency'], text),
    cost: optional(value['cost'], money) ?? optional(reward['cost'], money),
    partition: record.partition,
    offset: record.offset,
    writtenAt: record.timestamp,
    issuedAt,
  }
}

/** What it takes from its pool where the ledger's row is gone; null: not known. */
export function likelyCost(entry: TopicEntry): Cents | null {
  return entry.cost ?? (CASH_TYPES.has(entry.type) ? entry.value : null)
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('not an object')
  return value as Readonly<Record<string, unknown>>
}

function text(value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  throw new TypeError('not a text')
}

function money(value: unknown): Cents {
  if (typeof value === 'number' || typeof value === 'string') return parseMoney(value)
  throw new TypeError('not an amount')
}

function optional<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value === undefined || value === null ? null : read(value)
}
