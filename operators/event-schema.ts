import avro, { type Type } from 'avsc'
import { OncewardError, messageOf } from '../core/errors.ts'
import type { JsonObject } from '../core/model/event.ts'
import { avroType, innerTypes } from './avro-type.ts'
import { checkOf, isObject, type Check } from './type-checks.ts'

/** A schema file as it was read. */
export interface SchemaFile {
  /** Its file name, for messages. */
  readonly name: string
  readonly text: string
}

/** The schemas that events are checked against. Immutable. */
export interface EventSchemas {
  readonly envelope: Check
  readonly envelopeType: Type
  /** The envelope as it was written, and where. */
  readonly envelopeSource: SchemaSource
  /** By event name; where an event has several majors, the lowest: it counts for events that name no version. */
  readonly payloads: ReadonlyMap<string, PayloadSchema>
  /** All of them, majors of one event together and ascending. */
  readonly all: readonly PayloadSchema[]
}

export interface SchemaSource {
  readonly file: string
  readonly json: JsonObject
}

export interface PayloadSchema extends SchemaSource {
  readonly eventName: string
  /** `1.2.0`: the attribute `version`, or 1.0.0 where there is none. */
  readonly version: string
  readonly major: number
  readonly check: Check
  readonly type: Type
}

const ENVELOPE = 'onceward.envelope'
const RESERVED = 'onceward.'
const EVENT_NAME_LENGTH_MAX = 256
const VERSION = /^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})$/
/** Of a schema that names none. */
export const VERSION_DEFAULT = '1.0.0'

/**
 * Reads the Avro schemas of events. One file declares the record `onceward.envelope`; every other one a record that is
 * the payload of one event, in one major version. The event's name is the record's name, or its attribute `event_name`
 * where Avro's names are too narrow; its version is the attribute `version`. Throws ONCEWARD_E_SCHEMA_INVALID naming the
 * file.
 */
export function parseSchemas(files: readonly SchemaFile[]): EventSchemas {
  let envelope: (SchemaSource & { check: Check; type: Type }) | undefined
  const byEvent = new Map<string, PayloadSchema[]>()
  for (const file of files) {
    const { type, json } = parseRecord(file)
    const check = checkOf(type)
    if (type.name === ENVELOPE) {
      if (envelope !== undefined) {
        throw invalid(file, `declares ${ENVELOPE}, which ${envelope.file} declares already; keep one of them`)
      }
      envelope = { file: file.name, json, check, type }
      continue
    }
    const eventName = eventNameOf(file, type, json)
    const schema = { eventName, ...versionOf(file, json), file: file.name, json, check, type }
    const known = byEvent.get(eventName) ?? []
    const other = known.find(({ major }) => major === schema.major)
    if (other !== undefined) throw invalid(file, declaredTwice(schema, other))
    byEvent.set(
      eventName,
      [...known, schema].sort((a, b) => a.major - b.major),
    )
  }
  if (envelope === undefined) {
    throw new OncewardError(
      'ONCEWARD_E_SCHEMA_INVALID',
      `none of the ${files.length} schema files declares the record ${ENVELOPE}; add envelope.avsc, which comes with Onceward`,
    )
  }
  return {
    envelope: envelope.check,
    envelopeType: envelope.type,
    envelopeSource: { file: envelope.file, json: envelope.json },
    payloads: new Map([...byEvent].flatMap(([name, [lowest]]) => (lowest === undefined ? [] : [[name, lowest]]))),
    all: [...byEvent.values()].flat(),
  }
}

/** The major of a version such as `1.2.0`, of which minor and patch may be missing; undefined where it is no version. */
export function majorOf(version: string): number | undefined {
  const major = /^(\d{1,9})(?:\.\d+){0,2}$/.exec(version)?.[1]
  return major === undefined ? undefined : Number(major)
}

function versionOf(file: SchemaFile, json: JsonObject): { readonly version: string; readonly major: number } {
  const version = json['version'] ?? VERSION_DEFAULT
  const major = typeof version === 'string' ? VERSION.exec(version)?.[1] : undefined
  if (typeof version !== 'string' || major === undefined) {
    throw invalid(file, `has a version that is not three numbers; write "version": "${VERSION_DEFAULT}"`)
  }
  return { version, major: Number(major) }
}

function declaredTwice({ eventName, major }: PayloadSchema, other: PayloadSchema): string {
  return (
    `declares the event "${eventName}", which ${other.file} declares already; keep one of them, ` +
    `or give one of them a version that does not begin with ${major}`
  )
}

type RecordType = InstanceType<typeof avro.types.RecordType>

function parseRecord(file: SchemaFile): { readonly type: RecordType; readonly json: JsonObject } {
  let parsed: unknown
  try {
    parsed = JSON.parse(file.text)
  } catch (error) {
    throw invalid(file, `is not JSON: ${messageOf(error)}`, error)
  }
  if (!isObject(parsed) || parsed.type !== 'record') {
    throw invalid(file, 'does not declare a record; write {"type": "record", "name": …, "fields": […]}')
  }
  let type: Type
  try {
    type = avroType(parsed)
  } catch (error) {
    throw invalid(file, `is not an Avro schema: ${messageOf(error)}`, error)
  }
  if (!(type instanceof avro.types.RecordType)) throw invalid(file, 'does not declare a record')
  if (type.name === undefined) throw invalid(file, 'declares a record without a name; add "name"')
  const inherited = inheritedField(type, new Set())
  if (inherited !== undefined) {
    throw invalid(file, `declares the field "${inherited}", a name that every JavaScript object has; choose another`)
  }
  return { type, json: parsed as JsonObject }
}

/** A field such as `constructor` would be found in events that do not have it. */
export function inheritedField(type: Type, visited: Set<Type>): string | undefined {
  if (visited.has(type)) return undefined
  visited.add(type)
  if (type instanceof avro.types.RecordType) {
    const field = type.fields.find(({ name }) => name in Object.prototype)
    if (field !== undefined) return field.name
  }
  for (const inner of innerTypes(type)) {
    const found = inheritedField(inner, visited)
    if (found !== undefined) return found
  }
  return undefined
}

function eventNameOf(file: SchemaFile, type: RecordType, json: JsonObject): string {
  const given = json['event_name'] ?? type.branchName?.split('.').at(-1)
  if (typeof given !== 'string' || given.length === 0 || given.length > EVENT_NAME_LENGTH_MAX) {
    throw invalid(file, `has an event_name that is not text of 1 to ${EVENT_NAME_LENGTH_MAX} characters`)
  }
  if (given.startsWith(RESERVED)) {
    throw invalid(
      file,
      `declares the event "${given}"; names that begin with "${RESERVED}" are reserved, choose another`,
    )
  }
  return given
}

function invalid(file: SchemaFile, problem: string, cause?: unknown): OncewardError {
  return new OncewardError('ONCEWARD_E_SCHEMA_INVALID', `schema file ${file.name} ${problem}`, { cause })
}
