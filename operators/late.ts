import type { DlqStep } from '../core/model/dlq.ts'
import type { CompiledRule } from '../rules/compiled.ts'
import type { EventTime } from './event-time.ts'

/** What becomes of an event below the horizon. */
export type LateDecision =
  /** A person has decided that it shall count, and nothing that could be asked for is forgotten. */
  | { readonly kind: 'counts' }
  /** Dead letter `late`; `detail` is a sentence without its full stop. */
  | { readonly kind: 'set-aside'; readonly detail: string }

export interface LateFacts {
  /** Event time, ms. */
  readonly ts: number
  /** What was done to it since it was dead-lettered; undefined: it never was. */
  readonly history: readonly DlqStep[] | undefined
  /** The oldest event time that is in time. */
  readonly horizon: number
  /** I14: of this event time and later nothing is forgotten; undefined: nothing is known. */
  readonly keptFrom: number | undefined
}

/**
 * Whether a late event counts. It must have been dead-lettered as late before: only then has somebody looked at it and
 * decided so. And its time must be one of which everything is remembered: an older one could have been scored, as an event
 * whose repeat it is, and nobody could tell.
 */
export function decideLate({ ts, history, horizon, keptFrom }: LateFacts): LateDecision {
  if (!wasLate(history)) {
    const behind = Math.round((horizon - ts) / 1000)
    const detail = `ts ${timeText(ts)} is ${behind} s older than the oldest time still accepted, ${timeText(horizon)}`
    return { kind: 'set-aside', detail }
  }
  if (keptFrom === undefined || ts < keptFrom) {
    const known =
      keptFrom === undefined ? 'nothing is remembered yet' : `only ids from ${timeText(keptFrom)} on are remembered`
    const detail = `ts ${timeText(ts)} is too old to be counted: ${known}, so it cannot be told from an event that was scored. Look with onceward explain, and give what is owed with onceward rewards issue`
    return { kind: 'set-aside', detail }
  }
  return { kind: 'counts' }
}

/** As `decideLate` says of an event that lies below the horizon of `time`. */
export function countsLate(ts: number, history: readonly DlqStep[] | undefined, time: EventTime): boolean {
  const { horizon, keptFrom } = time
  return history !== undefined && decideLate({ ts, history, horizon, keptFrom }).kind === 'counts'
}

/** It was dead-lettered as late, and sent again. */
export function wasLate(history: readonly DlqStep[] | undefined): boolean {
  return history?.some(({ was }) => was === 'late') === true
}

/** Why a rule of the strict lane gives nothing for an event that counts although it is late. */
export function strictDetail({ windows }: CompiledRule): string {
  const late = 'the rule takes events in their order, and later ones were judged before this one came'
  return windows === undefined ? late : `${late}; it looks at recent events, so whether it had matched is not known`
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
