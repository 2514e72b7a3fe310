import { assert } from '../../core/assert.ts'
import { KIND, LINE_BYTES_MAX, type RecordFacts } from '../../core/audit/lines.ts'
import { OncewardError } from '../../core/errors.ts'
import type { AuditEntry } from '../../core/ports/audit.ts'

/** An entry as it will stand in the chain, but for its number. */
export type EncodedEntry = Omit<RecordFacts, 'seq'>

/** Room for what stands around a body, and for characters that take four bytes. */
const BODY_LENGTH_MAX = Math.floor((LINE_BYTES_MAX - 1_024) / 4)

export function encodeEntries(entries: readonly AuditEntry[]): readonly EncodedEntry[] {
  return entries.map(({ at, kind, body }) => {
    assert(KIND.test(kind), `"${kind}" is a kind of audit record`)
    assert(Number.isSafeInteger(at), `${at} is a time in whole milliseconds`)
    const text = JSON.stringify(body)
    if (text.length > BODY_LENGTH_MAX) {
      throw new OncewardError(
        'ONCEWARD_E_AUDIT_UNWRITABLE',
        `an audit record of kind ${kind} has ${text.length} characters; at most ${BODY_LENGTH_MAX} fit a line`,
      )
    }
    return { at, kind, body: text }
  })
}
