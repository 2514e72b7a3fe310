import type { ControlEntry } from '../../rules/control.ts'
import type { PartitionSpan } from '../../pipeline/replay/span.ts'
import type { KafkaSettings } from '../runtime.ts'
import type { EventSettings } from '../schemas/event-reading.ts'
import type { FinishedTally } from './tally.ts'

/** Which rules judge the events. Plain data, so that each process compiles its own. */
export interface RulesToTry {
  /** What a control topic says, or would say. */
  readonly entries: readonly ControlEntry[]
  /** Every rule's newest version, as if in effect since ever. */
  readonly always: boolean
}

/** Where the events are. */
export type EventsToRead =
  | {
      readonly kind: 'file'
      readonly path: string
      /** Event time, ms: from inclusive, to exclusive; what has a time outside is left out. */
      readonly fromMs: number | undefined
      readonly toMs: number | undefined
    }
  | {
      readonly kind: 'kafka'
      readonly topic: string
      readonly settings: KafkaSettings
      readonly spans: readonly PartitionSpan[]
    }

/** What one process is to do: all partitions p with p % processes = index. */
export interface Job {
  readonly index: number
  readonly processes: number
  readonly partitions: number
  readonly events: EventsToRead
  readonly candidate: RulesToTry
  readonly baseline: RulesToTry | undefined
  /** How events are read: each process asks the registry by itself. */
  readonly reading: EventSettings
  readonly reorderWindowMs: number
  readonly dedupeWindowMs: number
}

export interface Outcome {
  readonly candidate: FinishedTally
  readonly baseline: FinishedTally | undefined
  /** Events left out because of their time. */
  readonly outside: number
  /** Of the events that count, ms; undefined where there is none. */
  readonly firstTs: number | undefined
  readonly lastTs: number | undefined
}

/** How far a process is. */
export interface ShareProgress {
  readonly events: number
  /** Of what it reads, 0 to 1; undefined where that is unknown. */
  readonly share: number | undefined
}

export type ShareMessage =
  | { readonly kind: 'progress'; readonly progress: ShareProgress }
  | { readonly kind: 'done'; readonly outcome: Outcome }
  | { readonly kind: 'failed'; readonly code: string | undefined; readonly message: string }
