import type { ErrorCode } from '../errors.ts'
import type { DlqReason, DlqRecord } from '../model/dlq.ts'
import type { JsonObject } from '../model/event.ts'

/** Where a dead letter stands: nobody has decided on it yet, or somebody has, once and for all. */
export const LETTER_STATES = ['open', 'reprocessed', 'fixed', 'dropped'] as const
export type LetterState = (typeof LETTER_STATES)[number]
export type Decided = Exclude<LetterState, 'open'>

/** All that is given must hold. */
export interface LetterFilter {
  readonly causes?: readonly DlqReason[] | undefined
  /** Of a reward: the rule that gave it. Of an event: a rule that looks at events of this name. */
  readonly rule?: string | undefined
  /** The letter's own time, ms: from (inclusive) and until (exclusive). */
  readonly from?: number | undefined
  readonly until?: number | undefined
  readonly user?: string | undefined
  /** Text of an error, whole or in part; what differs from letter to letter (values, times, ids) does not count. */
  readonly error?: string | undefined
  readonly states?: readonly LetterState[] | undefined
  readonly eventName?: string | undefined
}

/** What was set aside: an event, a reward task or its payment, a provider's call, or a tick of a worker. */
export type LetterSubject = 'event' | 'task' | 'call' | 'tick'

export interface DecisionView {
  readonly state: Decided
  readonly actor: string
  /** RFC 3339. */
  readonly at: string
  readonly reason: string | null
}

/** A letter without its body. */
export interface LetterView {
  /** `letterId` (core/model/dlq.ts). */
  readonly id: string
  readonly cause: DlqReason
  readonly about: LetterSubject
  readonly state: LetterState
  /** The letter's own time, Unix ms: the ingest time of what a worker set aside, the time of writing for others. */
  readonly at: number
  /** A sentence, as it was written. */
  readonly detail: string
  /** The same for all letters with the same error. */
  readonly error: string
  readonly userId: string | null
  readonly eventId: string | null
  readonly eventName: string | null
  /** Of a reward task. */
  readonly taskId: string | null
  readonly ruleId: string | null
  /** How often it was dead-lettered before. */
  readonly tries: number
  readonly decision: DecisionView | null
}

export interface LetterGroup {
  readonly cause: DlqReason
  readonly error: string
  /** UTC: 2025-11-03. */
  readonly day: string
  readonly state: LetterState
  readonly letters: number
}

export interface LetterCounts {
  readonly letters: number
  readonly byState: Readonly<Record<LetterState, number>>
  readonly byCause: Readonly<Partial<Record<DlqReason, number>>>
  /** The most frequent first. */
  readonly groups: readonly LetterGroup[]
  /** Letters about events that still stand on the events topic, and about how many events stand there; null: none do. */
  readonly share: { readonly letters: number; readonly events: number } | null
  /** Records on the topic of dead letters that are none. */
  readonly unreadable: number
}

/** All that is known of one letter. */
export interface LetterStory {
  readonly letter: LetterView
  readonly record: DlqRecord
  /** Letters that it was before, oldest first; those that retention has taken are left out. */
  readonly before: readonly LetterView[]
  /** The decision as it stands on the topic; null: it is open. */
  readonly review: JsonObject | null
  /** Letters that what was sent has become since, oldest first. */
  readonly after: readonly LetterView[]
  /** Where it came from, and whether that still stands there. */
  readonly source: string
  /** What reprocessing it as it is would do now, as a sentence. */
  readonly prospect: string
}

/**
 * How an event is put right: by a fix (docs/PROVIDERS.md), written in one place (`file`) or as its parts, or whole (`event`).
 */
export type FixSpec =
  | {
      readonly kind: 'changes'
      /** Each `path=expression` of the rules language, over the event as it was. */
      readonly set: readonly string[]
      /** Paths that are taken out. */
      readonly unset: readonly string[]
      /** Which events it is for, a condition; undefined: for all. */
      readonly when: string | undefined
      /** Without it, `event_id` and `user.id` stay as they are. */
      readonly allowIds: boolean
    }
  | { readonly kind: 'file' /** For messages. */; readonly name: string; readonly text: string }
  /** The event as it should have been; for one letter. */
  | { readonly kind: 'event'; readonly event: JsonObject }

export type ReviewOrder = {
  /** Not empty. */
  readonly actor: string
  /** Why; for `drop` it must be given. */
  readonly reason: string | undefined
} & ({ readonly name: 'reprocess' | 'drop' } | { readonly name: 'fix'; readonly fix: FixSpec })

/** What became of one letter, or would become of it. */
export type LetterOutcome =
  | {
      readonly kind: 'done'
      readonly id: string
      readonly cause: DlqReason
      readonly to: Decided
      /** What is to be known of it; empty: nothing. */
      readonly notes: readonly string[]
    }
  /** Somebody was faster, or it was done before. */
  | { readonly kind: 'decided'; readonly id: string; readonly cause: DlqReason; readonly decision: DecisionView }
  | {
      readonly kind: 'refused'
      readonly id: string
      /** Null: there is no such letter. */
      readonly cause: DlqReason | null
      readonly code: ErrorCode
      readonly detail: string
    }

/**
 * Dead letters as people work with them (docs/DLQ.md). Every method throws the errors of the log (core/ports/log.ts), and
 * those that ask the ledger those of the ledger; each is safe to repeat.
 */
export interface ReviewDesk {
  /** In the order of their ids (partition, then offset), behind the letter `after` where it is given. */
  letters(filter: LetterFilter, after?: string): AsyncIterable<LetterView>
  count(filter: LetterFilter): Promise<LetterCounts>
  /** Throws ONCEWARD_E_LETTER_UNKNOWN. */
  show(id: string): Promise<LetterStory>
  /**
   * What `order` would do, changing nothing and getting in nobody's way. Outcomes come in no certain order, some at a time.
   * Throws ONCEWARD_E_MAPPING_INVALID for a fix that cannot be read.
   */
  forecast(order: ReviewOrder, ids: readonly string[]): AsyncIterable<readonly LetterOutcome[]>
  /** Does it, in transactions of a few hundred letters: whoever stops iterating stops between two of them. */
  carryOut(order: ReviewOrder, ids: readonly string[]): AsyncIterable<readonly LetterOutcome[]>
  close(): Promise<void>
}
