import { messageOf } from '../core/errors.ts'
import type { JsonObject } from '../core/model/event.ts'
import { fromJson, Unencodable } from './avro-json.ts'
import { avroType } from './avro-type.ts'
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
