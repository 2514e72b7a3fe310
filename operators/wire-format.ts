/**
 * Confluent's wire format: 0x00, the id of the writer's schema in four bytes, big-endian, then the value in Avro's binary
 * encoding. No JSON begins with 0x00, so the first byte tells the two apart.
 * Source: Confluent's documentation of the Schema Registry, "Wire format".
 */
const MAGIC = 0
export const WIRE_HEADER_BYTES = 5

/** True where the bytes can only be meant as wire format. */
export function isWireFormat(raw: Buffer): boolean {
  return raw[0] === MAGIC
}

/** The id of the writer's schema; undefined where the bytes are JSON, or too few. */
export function schemaIdOf(raw: Buffer | null): number | undefined {
  if (raw === null || raw[0] !== MAGIC || raw.length < WIRE_HEADER_BYTES) return undefined
  return raw.readUInt32BE(1)
}

/** Puts the header before a value in Avro's binary encoding. */
export function withHeader(id: number, value: Buffer): Buffer {
  const raw = Buffer.allocUnsafe(WIRE_HEADER_BYTES + value.length)
  raw[0] = MAGIC
  raw.writeUInt32BE(id, 1)
  value.copy(raw, WIRE_HEADER_BYTES)
  return raw
}
