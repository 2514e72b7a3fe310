import * as fc from 'fast-check'
import { loadSchemas } from '../../connectors/files/schemas.ts'
import { OncewardError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/model/event.ts'
import { eventRecords } from '../../operators/event-record.ts'
import { parseSchemas, type SchemaFile } from '../../operators/event-schema.ts'
import { createNormalizer, type Normalized } from '../../operators/normalize.ts'
import { WireDecoder } from '../../operators/wire-decoder.ts'
import { createWireEncoder } from '../../operators/wire-encoder.ts'

export const shipped = await loadSchemas()

/** The code of the OncewardError that a promise rejects with; `none` where it resolves. */
export async function errorOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (error) {
    if (error instanceof OncewardError) return error.code
    throw error
  }
}

/** A payload schema as a file. */
export function payloadFile(name: string, fields: readonly object[], more: object = {}): SchemaFile {
  return { name: `${name}.avsc`, text: JSON.stringify({ type: 'record', name, namespace: 'acme', fields, ...more }) }
}

/** A build that has these schema files, and decodes. */
export class Build {
  readonly schemas
  readonly records
  readonly decoder: WireDecoder
  readonly normalize: (raw: Buffer | null) => Normalized

  constructor(files: readonly SchemaFile[] = shipped) {
    this.schemas = parseSchemas(files)
    this.records = eventRecords(this.schemas)
    this.decoder = new WireDecoder(this.records)
    this.normalize = createNormalizer(this.schemas, this.decoder)
  }

  record(eventName: string, major = 1) {
    const found = this.records.find(({ payload }) => payload.eventName === eventName && payload.major === major)
    if (found === undefined) throw new Error(`no schema of ${eventName} ${major}`)
    return found
  }

  /** The event as a producer with this build's schema writes it, under an id. */
  write(event: JsonObject, id: number, major = 1): Buffer {
    const { event_name: name } = event
    const encoded = createWireEncoder(this.record(typeof name === 'string' ? name : '', major).schema, id)(event)
    if (!encoded.ok) throw new Error(encoded.detail)
    return encoded.value
  }
}

export function event(eventName: string, payload: JsonObject, more: JsonObject = {}): JsonObject {
  return { event_id: 'e-1', event_name: eventName, ts: '2025-11-03T12:00:00Z', user: { id: 'u_1' }, payload, ...more }
}

const short = fc.string({ maxLength: 12, unit: 'grapheme' })
const whole = fc.integer({ min: -(2 ** 52), max: Number.MAX_SAFE_INTEGER - 1 })
/** JSON has no zero below zero. */
const plus = (value: number): number => (value === 0 ? 0 : value)

/** JSON values that fit an Avro schema, absent and null ones among them. */
export function valueOf(schema: unknown): fc.Arbitrary<unknown> {
  if (Array.isArray(schema)) return fc.oneof(...schema.map(valueOf))
  if (typeof schema === 'object' && schema !== null) return complexOf(schema as SchemaObject)
  switch (schema) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'int':
      return fc.integer()
    case 'long':
      return whole
    case 'float':
      return fc.float({ noNaN: true, noDefaultInfinity: true }).map(plus)
    case 'double':
      return fc.double({ noNaN: true, noDefaultInfinity: true }).map(plus)
    case 'bytes':
      return fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
    default:
      return short
  }
}

interface SchemaObject {
  readonly type: unknown
  readonly symbols?: readonly string[]
  readonly items?: unknown
  readonly values?: unknown
  readonly size?: number
  readonly fields?: readonly { readonly name: string; readonly type: unknown; readonly default?: unknown }[]
}

function complexOf({ type, symbols = [], items, values, size = 0, fields = [] }: SchemaObject): fc.Arbitrary<unknown> {
  switch (type) {
    case 'record': {
      const required = fields.filter((field) => field.default === undefined).map(({ name }) => name)
      return fc.record(Object.fromEntries(fields.map((field) => [field.name, valueOf(field.type)])), {
        requiredKeys: required,
        noNullPrototype: true,
      })
    }
    case 'enum':
      return fc.constantFrom(...symbols)
    case 'array':
      return fc.array(valueOf(items), { maxLength: 4 })
    case 'map':
      return fc.dictionary(
        short.filter((key) => key !== '__proto__'),
        valueOf(values),
        { maxKeys: 4, noNullPrototype: true },
      )
    case 'fixed':
      return fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => Buffer.from(bytes).toString('latin1'))
    default:
      return valueOf(type)
  }
}

/** The value without its null fields, at whatever depth of objects; those of lists stay. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => (inner === null ? [] : [[key, withoutNulls(inner)]])),
  )
}
