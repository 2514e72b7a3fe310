import { createHash } from 'node:crypto'
import type { DlqReason } from '../../core/model/dlq.ts'
import type { JsonObject } from '../../core/model/event.ts'
import { type Decided, type DecisionView, LETTER_STATES } from '../../core/ports/review.ts'
import { jsonOf } from './letter.ts'

/** The value of a record on `dlq.reviews`, whose key is the letter's id: what somebody decided on it, once and for all. */
export interface ReviewRecord {
  readonly type: 'dlq_review'
  readonly letter: string
  readonly was: DlqReason
  readonly decision: Decided
  readonly actor: string
  /** RFC 3339. */
  readonly at: string
  readonly reason?: string | undefined
  /** Names the command that it belongs to: so that whoever lost the answer to a commit knows its own decision again. */
  readonly command: string
  /** What was set aside. */
  readonly before: Content
  /** What was sent, and where; absent: nothing was. */
  readonly sent?: (Content & { readonly topic: string; readonly partition: number }) | undefined
  /** What the ledger did with the reward. */
  readonly ledger?: { readonly task: string; readonly outcome: string } | undefined
}

export interface Content {
  readonly bytes: number
  /** Hex. */
  readonly sha256: string
  /** Where it was changed: the text itself, so that one can see by what. */
  readonly text?: string | undefined
}

/** A decision as it is kept in memory for each letter. */
export interface Decision extends DecisionView {
  readonly command: string
}

export function contentOf(bytes: Buffer, text?: string): Content {
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { bytes: bytes.length, sha256, ...(text === undefined ? {} : { text }) }
}

/** The decision in a record's value and the letter it is on; undefined where it is none. */
export function readReview(
  value: Buffer | null,
): { readonly letter: string; readonly decision: Decision; readonly record: JsonObject } | undefined {
  const record = jsonOf(value)
  if (record?.['type'] !== 'dlq_review') return undefined
  const { letter, decision: state, actor, at, reason, command } = record
  if (typeof letter !== 'string' || typeof actor !== 'string' || typeof at !== 'string') return undefined
  if (!isDecided(state)) return undefined
  const decision = {
    state,
    actor,
    at,
    reason: typeof reason === 'string' ? reason : null,
    command: typeof command === 'string' ? command : '',
  }
  return { letter, decision, record }
}

function isDecided(value: unknown): value is Decided {
  return value !== 'open' && LETTER_STATES.some((state) => state === value)
}
