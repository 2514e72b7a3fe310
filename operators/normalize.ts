import { isUtf8 } from 'node:buffer'
import { messageOf } from '../core/errors.ts'
import type { JsonObject, PlayerEvent } from '../core/model/event.ts'
import { type EventSchemas, majorOf, type PayloadSchema } from './event-schema.ts'
import { parseTimestamp } from './timestamp.ts'
import { isObject, type Check } from './type-checks.ts'
import type { WireDecoder } from './wire-decoder.ts'
import { isWireFormat, schemaIdOf } from './wire-format.ts'

/** What became of the bytes of one event. A rejection belongs in the DLQ with the reason `schema`. */
export type Normalized = { readonly kind: 'event'; readonly event: PlayerEvent } | Rejected

export interface Rejected {
  readonly kind: 'rejected'
  /** A sentence: the field, what was found there (shortened), what would be right. */
  readonly detail: string
  /** Where they could be read. */
  readonly eventId?: string
  readonly userId?: string
}

/** Bytes of a whole event, inclusive: what Kafka takes by default. */
export const EVENT_BYTES_MAX = 1_048_576
/** Length of event_id and user.id, inclusive, in UTF-16 code units. */
export const ID_LENGTH_MAX = 256
/** Levels of nested objects and lists, the event itself being the first; inclusive. */
export const DEPTH_MAX = 32

/** What is known of one event name. */
interface KnownEvent {
  /** What is right where nothing else is said. */
  readonly check: Check
  /** By major; undefined where there is one only, and `version` is not looked at. */
  readonly majors: ReadonlyMap<number, Check> | undefined
}

/**
 * The first operator: bytes → checked event. Pure, and never throws whatever the bytes are. Rejects what is neither JSON in
 * UTF-8 nor Avro that `wire` can decode, what does not fit the schemas, what exceeds the bounds above, and text that cannot
 * be written down again (surrogates without their other half; NUL in ids, which Postgres cannot store). Runs for every
 * event: the happy path of JSON allocates nothing beyond the parsed JSON and the result.
 */
export function createNormalizer(schemas: EventSchemas, wire?: WireDecoder): (raw: Buffer | null) => Normalized {
  const check = createEventCheck(schemas)
  return (raw) => {
    if (raw !== null && isWireFormat(raw)) return fromWire(raw, wire, check)
    const data = parse(raw)
    return typeof data === 'string' ? { kind: 'rejected', detail: data } : check(data)
  }
}

type EventCheck = (data: JsonObject, writtenAs?: PayloadSchema) => Normalized

/** The checks of an event that is parsed already; `writtenAs`: the schema that its bytes were written by, where it is Avro. */
function createEventCheck(schemas: EventSchemas): EventCheck {
  const { envelope } = schemas
  const events = knownEvents(schemas)
  return (data, writtenAs) => {
    const { event_id: eventId, event_name: eventName, ts: time, user, payload } = data
    if (
      !isId(eventId) ||
      typeof eventName !== 'string' ||
      typeof time !== 'string' ||
      !isObject(user) ||
      !isId(user.id) ||
      !isObject(payload) ||
      !envelope.fits(data)
    ) {
      return reject(data, whatIsWrongWithEnvelope(data, envelope))
    }
    const ts = parseTimestamp(time)
    if (!(ts >= 0)) return reject(data, whatIsWrongWithTime(time))
    const event = events.get(eventName)
    if (event === undefined) return reject(data, whatIsWrongWithName(eventName, events))
    let { check } = event
    if (event.majors !== undefined || writtenAs !== undefined) {
      const chosen = checkOfMajor(data, event, writtenAs)
      if (typeof chosen === 'string') return reject(data, chosen)
      check = chosen
    }
    if (!check.fits(payload)) return reject(data, whatIsWrongWithPayload(payload, check, eventName))
    return { kind: 'event', event: { eventId, eventName, userId: user.id, ts, data } }
  }
}

function knownEvents({ payloads, all }: EventSchemas): ReadonlyMap<string, KnownEvent> {
  const events = new Map<string, KnownEvent>()
  for (const { eventName, check } of payloads.values()) {
    const majors = all.filter((schema) => schema.eventName === eventName)
    const byMajor = new Map(majors.map((schema) => [schema.major, schema.check]))
    events.set(eventName, { check, majors: majors.length > 1 ? byMajor : undefined })
  }
  return events
}

/** The check of the major that the event is of, or a sentence why it is of none. */
function checkOfMajor(
  data: JsonObject,
  { check, majors }: KnownEvent,
  writtenAs: PayloadSchema | undefined,
): Check | string {
  const { event_name: eventName, version } = data
  if (writtenAs !== undefined && writtenAs.eventName !== eventName) {
    return `event_name is ${describe(eventName)}, but the Avro schema that it was written by is that of "${writtenAs.eventName}"`
  }
  if (majors === undefined) return check
  const written = writtenAs === undefined ? check : (majors.get(writtenAs.major) ?? check)
  if (typeof version !== 'string') return written
  const major = majorOf(version)
  const known = [...majors.keys()].join(' and ')
  const named = major === undefined ? undefined : majors.get(major)
  if (named === undefined) {
    return `version is ${describe(version)}, but the schemas of this event have the majors ${known}; name one of these, such as ${[...majors.keys()].at(-1)}.0.0`
  }
  if (writtenAs !== undefined && named !== written) {
    return `version is ${describe(version)}, but the Avro schema that it was written by is of major ${writtenAs.major}`
  }
  return named
}

function fromWire(raw: Buffer, wire: WireDecoder | undefined, check: EventCheck): Normalized {
  if (raw.length > EVENT_BYTES_MAX) return { kind: 'rejected', detail: TOO_LARGE }
  if (wire !== undefined) {
    const decoded = wire.decode(raw)
    return decoded.ok ? check(decoded.data, decoded.schema) : { kind: 'rejected', detail: decoded.detail }
  }
  const id = schemaIdOf(raw)
  const what = id === undefined ? 'the event begins with 0x00, as Avro does' : `the event is Avro, of schema ${id}`
  const detail = `${what}, and no schema registry is named; start with --registry URL or --registry-dir DIR, or send JSON`
  return { kind: 'rejected', detail }
}

const TOO_LARGE = `the event has more than the ${EVENT_BYTES_MAX} bytes (1 MiB) that one may have; send less, or split it`

/** The event as a JSON object, or a sentence that says why it is none. */
function parse(raw: Buffer | null): JsonObject | string {
  if (raw === null) return 'the record has no value (a tombstone); an event is a JSON object'
  if (raw.length > EVENT_BYTES_MAX) return TOO_LARGE
  const text = raw.toString('utf8')
  // Decoding puts U+FFFD in the place of bytes that are no UTF-8; the bytes tell whether it was sent as such.
  if (text.includes('\uFFFD') && !isUtf8(raw)) return 'the event is not UTF-8; send it in UTF-8'
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    return `the event is not JSON: ${messageOf(error)}`
  }
  if (!isObject(parsed)) return `the event is ${describe(parsed)}, not a JSON object`
  // Both walks are rare: few events escape a character, and few have so many braces that they could be too deep.
  if (hasManyOpeners(text) && !isWithinDepth(parsed, DEPTH_MAX)) {
    return `the event is nested more than ${DEPTH_MAX} levels deep; send it flatter`
  }
  if (text.includes('\\u') && hasLoneSurrogate(parsed)) {
    return 'the event has text with half of a surrogate pair (\\uD800 to \\uDFFF), which is no character; send the whole pair'
  }
  return parsed as JsonObject
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= ID_LENGTH_MAX && !value.includes('\0')
}

/** More opening braces and brackets than levels allowed: only then can it be too deep. */
function hasManyOpeners(text: string): boolean {
  let openers = 0
  for (const opener of ['{', '[']) {
    for (let at = text.indexOf(opener); at !== -1; at = text.indexOf(opener, at + 1)) {
      if (++openers > DEPTH_MAX) return true
    }
  }
  return false
}

function isWithinDepth(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (depth === 0) return false
  return Object.values(value).every((inner) => isWithinDepth(inner, depth - 1))
}

function hasLoneSurrogate(value: unknown): boolean {
  if (typeof value === 'string') return /\p{Surrogate}/u.test(value)
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([key, inner]) => hasLoneSurrogate(key) || hasLoneSurrogate(inner))
}

function reject(data: JsonObject, detail: string): Rejected {
  const { event_id: eventId, user } = data
  const userId = isObject(user) ? user.id : undefined
  return {
    kind: 'rejected',
    detail,
    ...(isId(eventId) ? { eventId } : {}),
    ...(isId(userId) ? { userId } : {}),
  }
}

const ID_EXPECTED = `text of 1 to ${ID_LENGTH_MAX} characters without NUL`

/** The five fields that every event must have come first, so that a feed that lacks them reads about those. */
function whatIsWrongWithEnvelope(data: JsonObject, envelope: Check): string {
  const { user } = data
  if (!isId(data.event_id)) return sentence('event_id', data.event_id, ID_EXPECTED)
  if (typeof data.event_name !== 'string') return sentence('event_name', data.event_name, 'the name of the event')
  if (typeof data.ts !== 'string') return sentence('ts', data.ts, TIME_EXPECTED)
  if (!isObject(user)) return sentence('user', user, 'an object with an id')
  if (!isId(user.id)) return sentence('user.id', user.id, ID_EXPECTED)
  if (!isObject(data.payload)) return sentence('payload', data.payload, 'an object, which may be empty')
  const { path, found, expected } = envelope.explain(data)
  return sentence(pathText(path), found, expected)
}

const TIME_EXPECTED = 'an RFC 3339 time with Z or an offset, such as 2025-11-03T12:00:00Z'

function whatIsWrongWithTime(time: string): string {
  const ts = parseTimestamp(time)
  if (ts < 0) return `ts is ${describe(time)}, which is before 1970; it must be the time of the event`
  return sentence('ts', time, `${TIME_EXPECTED}, of a date that exists`)
}

function whatIsWrongWithName(eventName: string, payloads: ReadonlyMap<string, unknown>): string {
  if (eventName.startsWith('onceward.')) {
    return `event_name is ${describe(eventName)}; names that begin with "onceward." are reserved, choose another`
  }
  const known = [...payloads.keys()].sort()
  const shown = known.slice(0, 50).join(', ')
  const more = known.length > 50 ? ` and ${known.length - 50} more` : ''
  return `event_name is ${describe(eventName)}, which no schema declares; known are ${shown}${more}; to add one, put an Avro schema of its payload into the schemas directory`
}

function whatIsWrongWithPayload(payload: unknown, check: Check, eventName: string): string {
  const { path, found, expected } = check.explain(payload)
  return sentence(pathText(['payload', ...path]), found, `${expected} in a "${eventName}" event`)
}

function sentence(path: string, found: unknown, expected: string): string {
  return found === undefined
    ? `${path} is missing; it must be ${expected}`
    : `${path} is ${describe(found)}; it must be ${expected}`
}

function pathText(path: readonly (string | number)[]): string {
  let text = ''
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text === '' ? step : `.${step}`
  return shorten(text, 120)
}

/** A value for a message: what it is, and the beginning of it. */
function describe(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'string') return `the text ${JSON.stringify(shorten(value, 60))}`
  if (typeof value === 'number') return Number.isFinite(value) ? `the number ${value}` : 'a number too large to hold'
  return value === true ? 'true' : 'false'
}

function shorten(text: string, length: number): string {
  if (text.length <= length) return text
  const cut = text.charCodeAt(length - 1) >= 0xd800 && text.charCodeAt(length - 1) <= 0xdbff ? length - 1 : length
  return `${text.slice(0, cut)}…`
}
