import type { JsonObject } from '../core/model/event.ts'
import type { FrozenRewardTask } from '../core/model/reward.ts'
import type { PlayerState } from './player-state.ts'
import { jsonStore } from './store.ts'
import type { UserWindows } from './window-state.ts'

/**
 * Everything a partition remembers. All but `stamp` and `seen` stand in the changelog under the same key; `seen` is an
 * index of the chunks in `seen-chunk`, which do.
 */

/**
 * What one user has from one rule. Every list is short: what can no longer change is pruned as the watermark passes. Minutes and
 * hours are kept for what comes in time alone; days and periods as long as event ids are, so that a late event that is sent again
 * finds them.
 */
export interface Account {
  /** Progress by calendar period: [period, points, …], newest last. One pair where the rule never resets. */
  progress: (string | number)[]
  /** Points given by calendar minute: [index of the minute in local time, points, …]. Counted whether capped or not. */
  minutes: number[]
  hours: number[]
  days: number[]
  /**
   * By calendar day the most that one of its minutes, and one of its hours, was given of those that are no longer kept: [index of
   * the day in local time, points of the minute, points of the hour, …]; absent: none is forgotten.
   */
  peaks?: number[]
  /** Points given to late events that were sent again, by calendar minute; minutes and hours have none of them. Absent: none. */
  late?: number[]
  /** The rewards given so far; absent before the first. */
  given?: GivenRewards
}

/** Rewards that one user was given by one rule. */
export interface GivenRewards {
  /** Event time of the latest, ms; null: none yet. */
  last: number | null
  /** How many by calendar day, week, month and ever: [period, count, …]. */
  periods: (string | number)[]
}

/** An event of the strict lane that waits for its turn. */
export interface HeldEvent {
  readonly data: JsonObject
  /** Milliseconds since the epoch: the timestamp of the record that brought it. */
  readonly ingestTs: number
}

/** Where the partition stands. Written with every commit, so that the state itself knows which input it accounts for. */
export interface TaskMeta {
  /** The next input offset to read. */
  readonly inputOffset: number
  /** Greatest event time seen; undefined before the first event. */
  readonly watermark?: number
  /** Of this event time and later nothing is forgotten (I14), ms; absent before the first event, and in states of before. */
  readonly keptFrom?: number
  /** Held events or timers whose turn has come were left for further commits at this very input offset. */
  readonly overdue?: true
}

/** The input offset that a state is level with for good; undefined where more commits at the same offset follow. */
export function settledOffset(meta: TaskMeta | undefined): number | undefined {
  return meta?.overdue === true ? undefined : meta?.inputOffset
}

export const ACCOUNTS = jsonStore<Account>('account', 'a')
export const HELD = jsonStore<HeldEvent>('held', 'h')
/** By user id: only players of whom the gates know something. */
export const PLAYERS = jsonStore<PlayerState>('player', 'p')
/** Rewards that the gates stopped, by reward_task_id; each is named in its player's record. */
export const FROZEN = jsonStore<FrozenRewardTask>('frozen', 'f')
/**
 * Index of the instants at which time alone changes something for a player, keyed as held events are (time, user id), so
 * that the watermark that passes finds them without a scan.
 */
export const TIMERS = jsonStore<1>('timer', 't')
/** By user id. */
export const WINDOWS = jsonStore<UserWindows>('windows', 'w')
export const META = jsonStore<TaskMeta>('meta', 'm')
export const TASK_META_KEY = 'task'

/** Prefix of the chunks of remembered event ids; their codec is state/seen-ids.ts. */
export const SEEN_CHUNK_PREFIX = 'x'
/** Prefix of the index event id → event time; never in the changelog. */
export const SEEN_PREFIX = 's'
/** Key of the stamp; never in the changelog. */
export const STAMP_KEY = Buffer.from('!stamp')

/** A rule id holds no NUL (the rules language sees to it), so the last NUL always divides. */
export function accountKey(userId: string, ruleId: string): string {
  return `${userId}\0${ruleId}`
}

/** Milliseconds from the year 1 to 1970: makes every event time that RFC 3339 can write positive, and so sortable. */
const YEAR_ONE_MS = 62_135_596_800_000

/** Orders held events by event time, ties by event id, and timers by time, ties by user id. */
export function heldKey(ts: number, eventId: string): string {
  return `${String(ts + YEAR_ONE_MS).padStart(15, '0')}:${eventId}`
}

/** The event time and id of a held key. */
export function parseHeldKey(key: string): { ts: number; eventId: string } {
  return { ts: Number(key.slice(0, 15)) - YEAR_ONE_MS, eventId: key.slice(16) }
}
