import { isUtf8 } from 'node:buffer'
import type { JsonObject } from '../../core/model/event.ts'
import type { AuditEntry } from '../../core/ports/audit.ts'
import type { TrailRow, TrailTable } from '../../core/ports/ledger-trail.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import { BEGIN, GAP } from './positions.ts'

/** Longer texts stand in base64: escaped in JSON they could become six times as long. */
const TEXT_BYTES_MAX = 1_048_576

/** What a person or a program asked for, or what Onceward decided. */
export type CollectedKind = 'command' | 'decision'

/** A record of the log, byte for byte, and where it stands. */
export function recordEntry(kind: CollectedKind, record: LogRecord): AuditEntry {
  const { topic, partition, offset, timestamp, key, value, headers } = record
  const body: JsonObject = {
    source: { topic, partition, offset },
    ...bytesField('key', key),
    ...bytesField('value', value),
    ...(headers === undefined ? {} : { headers: headerFields(headers) }),
  }
  return { at: timestamp, kind, body }
}

export function rowEntry(kind: CollectedKind, table: TrailTable, { id, at, body }: TrailRow): AuditEntry {
  return { at, kind, body: { source: { table, id }, ...body } }
}

/** Where the collecting of a partition begins: what lies before was never seen. */
export function beginEntry(at: number, place: { topic: string; partition: number; earliest: number }): AuditEntry {
  const { topic, partition, earliest } = place
  return { at, kind: BEGIN, body: { source: { topic, partition, offset: earliest - 1 } } }
}

/** Retention has deleted what was not collected yet. */
export function gapEntry(
  at: number,
  { topic, partition, from, to }: { topic: string; partition: number; from: number; to: number },
): AuditEntry {
  return { at, kind: GAP, body: { source: { topic, partition, offset: to }, from_offset: from, to_offset: to } }
}

function bytesField(name: string, bytes: Buffer | null): JsonObject {
  if (bytes === null) return { [name]: null }
  const isText = bytes.length <= TEXT_BYTES_MAX && isUtf8(bytes)
  return isText ? { [name]: bytes.toString() } : { [`${name}_base64`]: bytes.toString('base64') }
}

function headerFields(headers: Readonly<Record<string, Buffer>>): JsonObject {
  return Object.assign({}, ...Object.entries(headers).map(([name, value]) => bytesField(name, value))) as JsonObject
}
