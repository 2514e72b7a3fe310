import { isUtf8 } from 'node:buffer'
import type { Json, JsonObject } from '../../core/model/event.ts'
import { DEPTH_MAX } from './contract.ts'

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly detail: string }

/**
 * The JSON of a body. What would cost much more than its bytes, or would do harm in a copy, is refused before or right after
 * it is parsed: depth without end, and keys called `__proto__`. Never throws.
 */
export function parseJson(body: Buffer): Parsed<Json> {
  if (body.length === 0) return { ok: false, detail: 'the body is empty; send JSON' }
  const text = body.toString('utf8')
  // Decoding puts U+FFFD in the place of bytes that are no UTF-8; the bytes tell whether it was sent as such.
  if (text.includes('\uFFFD') && !isUtf8(body)) return { ok: false, detail: 'the body is not UTF-8; send it in UTF-8' }
  if (isTooDeep(body))
    return { ok: false, detail: `the body is nested more than ${DEPTH_MAX} levels deep; send it flatter` }
  let value: Json
  try {
    value = JSON.parse(text) as Json
  } catch {
    return { ok: false, detail: 'the body is no JSON' }
  }
  if (mayNameProto(text) && namesProto(value)) {
    return { ok: false, detail: 'the body has a key "__proto__", which is the name of no field; leave it out' }
  }
  return { ok: true, value }
}

/** The events of a body: one object, a list of them, or `{"events": [...]}`. What each of them is, the intake says. */
export function eventsIn(value: Json): Parsed<readonly unknown[]> {
  if (Array.isArray(value)) return { ok: true, value }
  if (typeof value !== 'object' || value === null) {
    return {
      ok: false,
      detail: 'the body is neither an event nor a list of events; send an object, or a list of objects',
    }
  }
  const object = value as JsonObject
  const { events } = object
  return { ok: true, value: Array.isArray(events) && object['event_id'] === undefined ? events : [object] }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** Square brackets differ from braces in this bit alone. */
const BRACE_BIT = 0x20
const OPENER = 0x7b
const CLOSER = 0x7d

/** Looks at the bytes: all that counts here is ASCII, and no byte of a longer character is. */
function isTooDeep(body: Buffer): boolean {
  let depth = 0
  let inText = false
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] ?? 0
    if (inText) {
      if (byte === BACKSLASH) at++
      else if (byte === QUOTE) inText = false
    } else if (byte === QUOTE) inText = true
    else if ((byte | BRACE_BIT) === OPENER) {
      if (++depth > DEPTH_MAX) return true
    } else if ((byte | BRACE_BIT) === CLOSER) depth--
  }
  return false
}

/** Almost no body has it, nor an underscore that is written as an escape. */
function mayNameProto(text: string): boolean {
  return text.includes('__proto__') || /\\u005f/i.test(text)
}

function namesProto(value: Json): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(namesProto)
  return Object.entries(value).some(
    ([name, inner]) => name === '__proto__' || (inner !== undefined && namesProto(inner)),
  )
}
