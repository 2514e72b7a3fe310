import type { Type } from 'avsc'
import { messageOf } from '../core/errors.ts'
import type { JsonObject } from '../core/model/event.ts'
import type { RegisteredSchema } from '../core/ports/registry.ts'
import { boundsOf, type Walk } from './avro-bounds.ts'
import { toJson } from './avro-json.ts'
import { avroType } from './avro-type.ts'
import type { EventRecord } from './event-record.ts'
import { inheritedField, type PayloadSchema } from './event-schema.ts'
import { schemaIdOf, WIRE_HEADER_BYTES } from './wire-format.ts'

/** `data`: the event as JSON would have it, not checked yet. `detail`: a sentence. */
export type Decoded =
  | { readonly ok: true; readonly data: JsonObject; readonly schema: PayloadSchema }
  | { readonly ok: false; readonly detail: string }

/**
 * Levels of records, lists and maps that are decoded at most. Above the normalizer's own bound for events, which the
 * writer's schema may exceed in fields that nobody reads.
 */
const DEPTH_MAX = 32
/** Characters of a writer's schema: far above any of real events, and bounded. */
const SCHEMA_LENGTH_MAX = 1_048_576

/** A schema id as the decoder knows it. */
type Entry =
  | { readonly kind: 'ready'; readonly decode: (raw: Buffer, id: number) => Decoded }
  | { readonly kind: 'unusable'; readonly problem: string }
  | { readonly kind: 'unknown' }

interface Reader {
  readonly record: EventRecord
  readonly type: Type
  readonly json: (value: unknown) => unknown
}

/**
 * Decodes events in Confluent's wire format: written by the schema whose id stands before them, read by the newest one of
 * the same event and major that this build has (Avro's schema resolution). Synchronous: whoever reads records first sees to
 * it that the decoder knows their ids (pipeline/wire/). Never throws for what the bytes or the writer's schema are.
 */
export class WireDecoder {
  readonly #readers: readonly Reader[]
  readonly #entries = new Map<number, Entry>()

  constructor(records: readonly EventRecord[]) {
    this.#readers = records.map((record) => {
      const type = avroType(record.schema)
      return { record, type, json: toJson(type) }
    })
  }

  /** False: `learn` it before decoding what was written by it. */
  knows(id: number): boolean {
    return this.#entries.has(id)
  }

  /** What the registry says of an id; undefined: that there is none. An id that is known keeps its meaning, for ever. */
  learn(id: number, schema: RegisteredSchema | undefined): void {
    const known = this.#entries.get(id)
    if (known !== undefined && known.kind !== 'unknown') return
    this.#entries.set(id, schema === undefined ? { kind: 'unknown' } : this.#entryOf(schema))
  }

  /** Forgets an id that the registry did not know, so that it is asked again. */
  forget(id: number): void {
    if (this.#entries.get(id)?.kind === 'unknown') this.#entries.delete(id)
  }

  decode(raw: Buffer): Decoded {
    const id = schemaIdOf(raw)
    if (id === undefined) {
      const detail = `the event begins with 0x00, as Avro does, but has ${raw.length} bytes; the id of its schema alone takes ${WIRE_HEADER_BYTES}`
      return { ok: false, detail }
    }
    const entry = this.#entries.get(id)
    if (entry?.kind === 'ready') return entry.decode(raw, id)
    const problem =
      entry?.kind === 'unusable'
        ? entry.problem
        : 'the schema registry does not know; register the schema, then send the event again'
    return { ok: false, detail: `the event is Avro of schema ${id}, which ${problem}` }
  }

  #entryOf({ schema, unusable }: RegisteredSchema): Entry {
    if (unusable !== undefined) return { kind: 'unusable', problem: unusable }
    if (schema.length > SCHEMA_LENGTH_MAX) {
      return { kind: 'unusable', problem: `has more than ${SCHEMA_LENGTH_MAX} characters` }
    }
    try {
      return this.#resolved(avroType(JSON.parse(schema)))
    } catch (error) {
      return { kind: 'unusable', problem: `cannot be used: ${messageOf(error)}` }
    }
  }

  #resolved(writer: Type): Entry {
    const inherited = inheritedField(writer, new Set())
    if (inherited !== undefined) {
      return { kind: 'unusable', problem: `has the field "${inherited}", a name that every JavaScript object has` }
    }
    const reader = this.#readerOf(writer.name)
    if (reader === undefined) {
      const known = this.#readers.map(({ record }) => record.name).sort()
      const shown = `${known.slice(0, 30).join(', ')}${known.length > 30 ? ` and ${known.length - 30} more` : ''}`
      const name = writer.name === undefined ? 'is no record with a name' : `is the record ${writer.name}`
      return { kind: 'unusable', problem: `${name}; events are one of ${shown}` }
    }
    let resolver
    try {
      // Avro compares names without their namespace.
      resolver = reader.type.createResolver(writer, { ignoreNamespaces: true })
    } catch (error) {
      const problem = `${reader.record.payload.file} cannot read: ${messageOf(error)}; see onceward schemas check`
      return { kind: 'unusable', problem }
    }
    return { kind: 'ready', decode: decoding(reader, resolver, boundsOf(writer, DEPTH_MAX)) }
  }

  /** By its full name or one that it had, else by its name without namespace, where that leaves no doubt. */
  #readerOf(name: string | undefined): Reader | undefined {
    if (name === undefined) return undefined
    const named = this.#readers.find(({ type }) => type.name === name || type.aliases?.includes(name) === true)
    if (named !== undefined) return named
    const short = shortName(name)
    const [only, other] = this.#readers.filter(({ type }) => shortName(type.name ?? '') === short)
    return other === undefined ? only : undefined
  }
}

function decoding(reader: Reader, resolver: ReturnType<Type['createResolver']>, walk: Walk) {
  const { type, json, record } = reader
  return (raw: Buffer, id: number): Decoded => {
    const walked = walk(raw, WIRE_HEADER_BYTES)
    if (!walked.ok) return { ok: false, detail: `the event is Avro of schema ${id} and ${walked.problem}` }
    if (walked.end !== raw.length) {
      const detail = `the event is Avro of schema ${id} and has ${raw.length - walked.end} bytes behind its last field`
      return { ok: false, detail }
    }
    try {
      const { value, offset } = type.decode(raw, WIRE_HEADER_BYTES, resolver)
      if (offset === raw.length) return { ok: true, data: json(value) as JsonObject, schema: record.payload }
      return { ok: false, detail: `the event is Avro of schema ${id} and ends before its last field` }
    } catch (error) {
      const problem =
        walked.inexact === undefined || !messageOf(error).includes('precision')
          ? `cannot be decoded: ${messageOf(error)}`
          : `has in the field "${walked.inexact}" a whole number beyond 2^53, which cannot be held exactly; send it as text`
      return { ok: false, detail: `the event is Avro of schema ${id} and ${problem}` }
    }
  }
}

function shortName(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}
