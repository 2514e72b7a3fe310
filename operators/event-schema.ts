import avro, { type Type } from 'avsc'
import { OncewardError, messageOf } from '../core/errors.ts'
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
  /** By event name. */
  readonly payloads: ReadonlyMap<string, PayloadSchema>
}

export interface PayloadSchema {
  readonly eventName: string
  readonly file: string
  readonly check: Check
  readonly type: Type
}

const ENVELOPE = 'onceward.envelope'
const RESERVED = 'onceward.'
const EVENT_NAME_LENGTH_MAX = 256

/**
 * Reads the Avro schemas of events. One file declares the record `onceward.envelope`; every other one a record that is
 * the payload of one event. The event's name is the record's name, or its attribute `event_name` where Avro's names are
 * too narrow. Throws ONCEWARD_E_SCHEMA_INVALID naming the file.
 */
export function parseSchemas(files: readonly SchemaFile[]): EventSchemas {
  let envelope: { file: string; check: Check; type: Type } | undefined
  const payloads = new Map<string, PayloadSchema>()
  for (const file of files) {
    const { type, attributes } = parseRecord(file)
    const check = checkOf(type)
    if (type.name === ENVELOPE) {
      if (envelope !== undefined) {
        throw invalid(file, `declares ${ENVELOPE}, which ${envelope.file} declares already; keep one of them`)
      }
      envelope = { file: file.name, check, type }
      continue
    }
    const eventName = eventNameOf(file, type, attributes)
    const other = payloads.get(eventName)
    if (other !== undefined) {
      throw invalid(file, `declares the event "${eventName}", which ${other.file} declares already; keep one of them`)
    }
    payloads.set(eventName, { eventName, file: file.name, check, type })
  }
  if (envelope === undefined) {
    throw new OncewardError(
      'ONCEWARD_E_SCHEMA_INVALID',
      `none of the ${files.length} schema files declares the record ${ENVELOPE}; add envelope.avsc, which comes with Onceward`,
    )
  }
  return { envelope: envelope.check, envelopeType: envelope.type, payloads }
}

type RecordType = InstanceType<typeof avro.types.RecordType>

function parseRecord(file: SchemaFile): { type: RecordType; attributes: Readonly<Record<string, unknown>> } {
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
    type = avro.Type.forSchema(parsed as unknown as avro.Schema)
  } catch (error) {
    throw invalid(file, `is not an Avro schema: ${messageOf(error)}`, error)
  }
  if (!(type instanceof avro.types.RecordType)) throw invalid(file, 'does not declare a record')
  if (type.name === undefined) throw invalid(file, 'declares a record without a name; add "name"')
  const inherited = inheritedField(type, new Set())
  if (inherited !== undefined) {
    throw invalid(file, `declares the field "${inherited}", a name that every JavaScript object has; choose another`)
  }
  return { type, attributes: parsed }
}

/** A field such as `constructor` would be found in events that do not have it. */
function inheritedField(type: Type, visited: Set<Type>): string | undefined {
  if (visited.has(type)) return undefined
  visited.add(type)
  const { types } = avro
  if (type instanceof types.ArrayType) return inheritedField(type.itemsType, visited)
  if (type instanceof types.MapType) return inheritedField(type.valuesType, visited)
  if (type instanceof types.UnwrappedUnionType || type instanceof types.WrappedUnionType) {
    return firstDefined(type.types, (branch) => inheritedField(branch, visited))
  }
  if (!(type instanceof types.RecordType)) return undefined
  return firstDefined(type.fields, (field) =>
    field.name in Object.prototype ? field.name : inheritedField(field.type, visited),
  )
}

function firstDefined<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}

function eventNameOf(file: SchemaFile, type: RecordType, attributes: Readonly<Record<string, unknown>>): string {
  const given = attributes.event_name ?? type.branchName?.split('.').at(-1)
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
