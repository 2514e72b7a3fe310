import { messageOf } from '../core/errors.ts'
import type { JsonObject, PlayerEvent } from '../core/model/event.ts'
import { fromJson, Unencodable } from './avro-json.ts'
import { avroType } from './avro-type.ts'
import type { EventRecord } from './event-record.ts'
import { majorOf } from './event-schema.ts'
import { withHeader } from './wire-format.ts'

export type Encoded = { readonly ok: true; readonly value: Buffer } | { readonly ok: false; readonly detail: string }

/**
 * Encodes events of one type in Confluent's wire format. `schema`: an Avro record of whole events (`eventSchemaOf`), under
 * `id` in the registry. What the schema does not declare is refused rather than lost; `detail` is a sentence. Throws what
 * avsc throws where `schema` is none.
 */
export function createWireEncoder(schema: JsonObject, id: number): (event: JsonObject) => Encoded {
  const type = avroType(schema)
  const prepare = fromJson(type)
  return (event) => {
    try {
      return { ok: true, value: withHeader(id, type.toBuffer(prepare(event))) }
    } catch (error) {
      const detail = error instanceof Unencodable ? error.message : `the event cannot be encoded: ${messageOf(error)}`
      return { ok: false, detail }
    }
  }
}

/**
 * Encodes events of all types by the schemas they were checked by. `idOf`: the id of a record's schema in the registry. What a
 * schema does not declare is a reason not to encode (`ok: false`), and none to lose the event: it can be sent as JSON.
 */
export function createEventEncoder(
  records: readonly EventRecord[],
  idOf: (record: EventRecord) => number,
): (event: PlayerEvent) => Encoded {
  const byEvent = new Map<string, { readonly major: number; readonly encode: (event: JsonObject) => Encoded }[]>()
  for (const record of records) {
    const { eventName, major } = record.payload
    const encode = createWireEncoder(record.schema, idOf(record))
    byEvent.set(eventName, [...(byEvent.get(eventName) ?? []), { major, encode }])
  }
  return ({ eventName, data }) => {
    // Ascending: the first is that of events without a version, as for the normalizer.
    const majors = byEvent.get(eventName) ?? []
    const { version } = data
    const major = typeof version === 'string' ? majorOf(version) : undefined
    const chosen = majors.find((each) => each.major === major) ?? majors[0]
    return chosen?.encode(data) ?? { ok: false, detail: `no schema declares the event ${eventName}` }
  }
}
