import avro, { type Type } from 'avsc'
import type { EventCatalog, EventFields, FieldType } from '../rules/field-check.ts'
import { branchesOf, decimalScale } from './avro-type.ts'
import type { EventSchemas } from './event-schema.ts'

/** Records that contain themselves are followed this far. */
const DEPTH_MAX = 8

/** What the schemas say of the fields of events, as rules ask for it. */
export function fieldsOfSchemas(schemas: EventSchemas): EventCatalog {
  const common = new Fields()
  common.addRecord([], schemas.envelopeType, 0)
  const payloads = new Map<string, Fields[]>()
  for (const { eventName, type } of schemas.all) {
    const payload = new Fields()
    payload.addRecord(['payload'], type, 0)
    payloads.set(eventName, [...(payloads.get(eventName) ?? []), payload])
  }
  return {
    eventNames: [...payloads.keys()],
    fieldsOf: (eventNames) => {
      const known = eventNames.flatMap((name) => payloads.get(name) ?? [])
      return known.length === 0 ? undefined : eventFields(common, known)
    },
  }
}

function eventFields(common: Fields, payloads: readonly Fields[]): EventFields {
  return {
    typeOf: (path) => {
      if (path[0] !== 'payload') return common.typeOf(path)
      const types = new Set(payloads.map((payload) => payload.typeOf(path)).filter((type) => type !== undefined))
      const [type, other] = types
      return other === undefined ? type : 'any'
    },
    paths: () => [...new Set([common, ...payloads].flatMap((fields) => fields.paths()))],
  }
}

class Fields {
  readonly #types = new Map<string, FieldType>()

  addRecord(path: readonly string[], type: Type, depth: number): void {
    if (!(type instanceof avro.types.RecordType) || depth > DEPTH_MAX) return
    for (const field of type.fields) {
      const below = [...path, field.name]
      const inner = valueType(field.type)
      this.#types.set(below.join('.'), inner === undefined ? 'any' : kindOf(inner))
      if (inner !== undefined) this.addRecord(below, inner, depth + 1)
    }
  }

  /** Below what the schema leaves open, anything can be. */
  typeOf(path: readonly string[]): FieldType | undefined {
    const type = this.#types.get(path.join('.'))
    if (type !== undefined) return type
    for (let length = path.length - 1; length > 0; length--) {
      const holder = this.#types.get(path.slice(0, length).join('.'))
      if (holder !== undefined) return holder === 'any' ? 'any' : undefined
    }
    return undefined
  }

  /** Of values, not of what holds them. */
  paths(): readonly string[] {
    return [...this.#types].flatMap(([path, type]) => (type === 'object' ? [] : [path]))
  }
}

/** The one type that a value has where it is there; undefined where it may have several. */
function valueType(type: Type): Type | undefined {
  const branches = branchesOf(type)
  if (branches === undefined) return type
  const [first, ...others] = branches.filter((branch) => !(branch instanceof avro.types.NullType))
  if (first === undefined) return undefined
  return others.every((other) => kindOf(other) === kindOf(first) && kindOf(first) !== 'object') ? first : undefined
}

function kindOf(type: Type): FieldType {
  const { types } = avro
  if (type instanceof types.RecordType) return 'object'
  if (type instanceof types.ArrayType) return 'list'
  // A number from Avro, and from JSON perhaps text.
  if (decimalScale(type) !== undefined) return 'any'
  switch (type.typeName) {
    case 'boolean':
      return 'boolean'
    case 'int':
    case 'long':
    case 'float':
    case 'double':
      return 'number'
    case 'string':
    case 'enum':
    case 'bytes':
    case 'fixed':
      return 'text'
    default:
      // A map holds whatever names it likes.
      return 'any'
  }
}
