import { assert } from '../../core/assert.ts'
import { KIND, LINE_BYTES_MAX, type RecordFacts } from '../../core/audit/lines.ts'
import { OncewardError } from '../../core/errors.ts'
import type { AuditEntry } from '../../core/ports/audit.ts'

/** An entry as it will stand in the chain, but for its number. */
export type EncodedEntry = Omit<RecordFacts, 'seq'>

/** With room for what stands around a body. */
const BODY_BYTES_MAX = LINE_BYTES_MAX - 1_024
/** Of a UTF-16 code unit, in UTF-8: what has fewer of them need not be measured. */
const UNIT_BYTES_MAX = 3

export function encodeEntries(entries: readonly AuditEntry[]): readonly EncodedEntry[] {
  return entries.map(({ at, kind, body }) => {
    assert(KIND.test(kind), `"${kind}" is a kind of audit record`)
    assert(Number.isSafeInteger(at), `${at} is a time in whole milliseconds`)
    const text = JSON.stringify(body)
    if (text.length * UNIT_BYTES_MAX > BODY_BYTES_MAX && Buffer.byteLength(text) > BODY_BYTES_MAX) {
      throw new OncewardError(
        'ONCEWARD_E_AUDIT_UNWRITABLE',
        `an audit record of kind ${kind} has ${Buffer.byteLength(text)} bytes; at most ${BODY_BYTES_MAX} fit a line`,
      )
    }
    return { at, kind, body: text }
  })
}
