import { hash } from 'node:crypto'
import type { Json, JsonObject } from '../../core/model/event.ts'

/** Bytes of one fingerprint: the event's id, then its content. */
export const FINGERPRINT_BYTES = 24
export const ID_BYTES = 16
export const CONTENT_BYTES = FINGERPRINT_BYTES - ID_BYTES

/**
 * Writes what is remembered of an event: 16 bytes of the SHA-256 of its id, 8 of that of its content. The content is the event
 * as it was sent, whatever the order of its keys and the spelling of its text (escapes, white space, 1.0 for 1): senders write
 * an event anew when they try again. Ids of sources that are not `trusted` are apart from those that are: or whoever has a browser's
 * key could take the ids of a provider's next transactions, and these would be refused.
 */
export function writeFingerprint(event: Fingerprinted, to: Buffer, at: number, trusted = true): void {
  // An id has no NUL (SPEC S2), so that none of a trusted source is the same.
  writeIdHash(trusted ? event.eventId : `\0${event.eventId}`, to, at)
  to.write(hash('sha256', canonicalText(event.data), 'binary'), at + ID_BYTES, CONTENT_BYTES, 'latin1')
}

interface Fingerprinted {
  readonly eventId: string
  readonly data: JsonObject
}

/** 16 bytes of the SHA-256 of an id. */
export function writeIdHash(id: string, to: Buffer, at: number): void {
  // As text: Node makes a buffer for each hash more slowly than it writes the text of one into a buffer that is there.
  to.write(hash('sha256', id, 'binary'), at, ID_BYTES, 'latin1')
}

/**
 * The same text for the same JSON, another one for any other: keys in order, and the length before each text so that nothing in
 * it can pass for what joins them. Not JSON, which would have to escape.
 */
export function canonicalText(value: Json | undefined): string {
  if (typeof value === 'string') return `"${value.length}:${value}`
  if (typeof value !== 'object' || value === null) return `${String(value)},`
  if (isList(value)) {
    let text = '['
    for (const item of value) text += canonicalText(item)
    return `${text}]`
  }
  let text = '{'
  for (const key of Object.keys(value).sort()) text += `${key.length}:${key}=${canonicalText(value[key])}`
  return `${text}}`
}

function isList(value: JsonObject | readonly Json[]): value is readonly Json[] {
  return Array.isArray(value)
}
