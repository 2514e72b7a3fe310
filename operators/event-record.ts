import { messageOf, OncewardError } from '../core/errors.ts'
import type { Json, JsonObject } from '../core/model/event.ts'
import { avroType } from './avro-type.ts'
import type { EventSchemas, PayloadSchema } from './event-schema.ts'

const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'])

/** The schema of whole events of one type and major: what stands on the log, and in the registry. */
export interface EventRecord {
  readonly payload: PayloadSchema
  /** Its full name, such as `onceward.events.bet_v1`. */
  readonly name: string
  /** An Avro record. */
  readonly schema: JsonObject
  /** `schema` as JSON text, always the same. */
  readonly text: string
}

/**
 * One record from the envelope's and a payload's: the envelope's fields, `payload` among them being the payload. Names are
 * written in full, so that none depends on what it stands in. Throws ONCEWARD_E_SCHEMA_INVALID where the two do not go
 * together.
 */
export function eventSchemaOf(envelope: JsonObject, payload: JsonObject, major = 1): JsonObject {
  const outer = qualified(envelope, undefined) as JsonObject
  const { version, event_name: eventName, ...inner } = qualified(payload, undefined) as JsonObject
  const ofEvent = (name: Json | undefined): string => `${textOf(name)}_v${major}`
  const fields = Array.isArray(outer['fields']) ? (outer['fields'] as readonly JsonObject[]) : []
  return {
    type: 'record',
    name: ofEvent(inner['name']),
    ...(isList(inner['aliases']) ? { aliases: inner['aliases'].map(ofEvent) } : {}),
    ...(version === undefined ? {} : { version }),
    ...(eventName === undefined ? {} : { event_name: eventName }),
    ...(inner['doc'] === undefined ? {} : { doc: `An event. ${textOf(inner['doc'])}` }),
    fields: fields.map((field) => (field['name'] === 'payload' ? { ...field, type: inner } : field)),
  }
}

/** The records of all events. Throws ONCEWARD_E_SCHEMA_INVALID naming the files. */
export function eventRecords({ envelopeSource, all }: EventSchemas): readonly EventRecord[] {
  const byName = new Map<string, EventRecord>()
  for (const payload of all) {
    const schema = eventSchemaOf(envelopeSource.json, payload.json, payload.major)
    const name = textOf(schema['name'])
    const other = byName.get(name)
    if (other !== undefined) {
      throw invalid(
        payload,
        `declares a record of the same name as ${other.payload.file}, for another event; give it another name or namespace`,
      )
    }
    try {
      avroType(schema)
    } catch (error) {
      throw invalid(payload, `does not go together with ${envelopeSource.file}: ${messageOf(error)}`)
    }
    byName.set(name, { payload, name, schema, text: JSON.stringify(schema) })
  }
  return [...byName.values()]
}

/** The subject of an event's schemas: what Confluent's TopicRecordNameStrategy gives. `events`: the topic. */
export function subjectOf(events: string, { name }: EventRecord): string {
  return `${events}-${name}`
}

/** The same schema with the full name wherever a type is named or referred to. */
function qualified(schema: Json, namespace: string | undefined): Json {
  if (typeof schema === 'string') return PRIMITIVES.has(schema) ? schema : fullName(schema, namespace)
  if (isList(schema)) return schema.map((branch) => qualified(branch, namespace))
  if (typeof schema !== 'object' || schema === null) return schema
  const { namespace: given, ...rest } = schema
  const name =
    typeof rest['name'] === 'string' ? fullName(rest['name'], typeof given === 'string' ? given : namespace) : undefined
  const inner = name === undefined ? namespace : namespaceOf(name)
  return {
    ...rest,
    ...(name === undefined ? {} : { name }),
    ...(rest['type'] === undefined ? {} : { type: ofType(rest['type'], inner) }),
    ...(rest['items'] === undefined ? {} : { items: qualified(rest['items'], inner) }),
    ...(rest['values'] === undefined ? {} : { values: qualified(rest['values'], inner) }),
    ...(isList(rest['aliases']) ? { aliases: rest['aliases'].map((alias) => fullName(textOf(alias), inner)) } : {}),
    ...(isList(rest['fields']) ? { fields: rest['fields'].map((field) => ofField(field, inner)) } : {}),
  }
}

/** `record`, `array` and the like are no names. */
function ofType(type: Json, namespace: string | undefined): Json {
  return typeof type === 'string' && KINDS.has(type) ? type : qualified(type, namespace)
}

const KINDS = new Set(['record', 'error', 'enum', 'fixed', 'array', 'map'])

/** A field's own name and aliases have no namespace. */
function ofField(field: Json, namespace: string | undefined): Json {
  if (typeof field !== 'object' || field === null || isList(field)) return field
  return { ...field, ...(field['type'] === undefined ? {} : { type: qualified(field['type'], namespace) }) }
}

function fullName(name: string, namespace: string | undefined): string {
  if (name.includes('.') || namespace === undefined || namespace === '') return name.replace(/^\./, '')
  return `${namespace}.${name}`
}

function namespaceOf(name: string): string | undefined {
  const at = name.lastIndexOf('.')
  return at === -1 ? undefined : name.slice(0, at)
}

/** A part of a schema that is text wherever the schema is one. */
function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

function invalid({ file }: PayloadSchema, problem: string): OncewardError {
  return new OncewardError('ONCEWARD_E_SCHEMA_INVALID', `schema file ${file} ${problem}`)
}
