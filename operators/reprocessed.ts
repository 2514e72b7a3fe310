import { DLQ_REASONS, type DlqReason, type DlqStep } from '../core/model/dlq.ts'
import { REPROCESSED_HEADER } from '../core/topics.ts'
import { parseTimestamp } from './timestamp.ts'
import { isObject } from './type-checks.ts'

/** Largest value of the header: some two hundred steps. A dead letter repeats it, and must still fit a record. */
export const REPROCESSED_BYTES_MAX = 32_768

export type ReadHistory =
  | { readonly ok: true; readonly history: readonly DlqStep[] }
  /** A sentence without its full stop. */
  | { readonly ok: false; readonly detail: string }

/** Reads the header of an event that was sent again. Pure, and never throws: the header comes from outside as the event does. */
export function readReprocessed(header: Buffer): ReadHistory {
  if (header.length > REPROCESSED_BYTES_MAX) {
    return broken(`holds ${header.length} bytes, at most ${REPROCESSED_BYTES_MAX} are read`)
  }
  const value = parsed(header.toString())
  const steps = isObject(value) ? value['history'] : undefined
  if (!Array.isArray(steps) || steps.length === 0) {
    return broken('is no JSON object with a history of at least one step')
  }
  const history: DlqStep[] = []
  for (const [index, step] of steps.entries()) {
    const read = stepOf(step)
    if (read === undefined) {
      return broken(`has a history whose step ${index + 1} is not {letter, was, action, actor, at}`)
    }
    history.push(read)
  }
  return { ok: true, history }
}

function broken(what: string): ReadHistory {
  return { ok: false, detail: `the header ${REPROCESSED_HEADER} ${what}; send the letter again with onceward dlq` }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function stepOf(step: unknown): DlqStep | undefined {
  if (!isObject(step)) return undefined
  const { letter, was, action, actor, at } = step
  if (typeof letter !== 'string' || typeof actor !== 'string' || typeof at !== 'string') return undefined
  if (!isReason(was) || (action !== 'reprocess' && action !== 'fix') || !(parseTimestamp(at) >= 0)) return undefined
  return { letter, was, action, actor, at }
}

function isReason(was: unknown): was is DlqReason {
  return DLQ_REASONS.some((reason) => reason === was)
}
