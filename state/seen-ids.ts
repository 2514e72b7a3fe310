import { hash } from 'node:crypto'
import { assert, InvariantError } from '../core/assert.ts'
import { HOUR_MS } from '../core/durations.ts'
import { SEEN_CHUNK_PREFIX, SEEN_PREFIX } from './stores.ts'

/**
 * The event ids a partition remembers: 16 bytes of SHA-256 each, with the event time, in hourly segments of event time
 * that are dropped whole. The changelog gets one record a batch and hour (a chunk), not one an event; on disk each id
 * is also an index entry of its own, so that a look-up is one point read.
 */
const HASH_BYTES = 16
/** A chunk's entry: the hash, then the milliseconds within the hour. */
const ENTRY_BYTES = HASH_BYTES + 4
const HOUR_BIAS = 62_135_596_800_000 / HOUR_MS

/** The hash of an event id as a binary text of 16 characters. */
export function idHash(eventId: string): string {
  return hash('sha256', eventId, 'binary').slice(0, HASH_BYTES)
}

export function seenIndexKey(hash: string): Buffer {
  return Buffer.from(SEEN_PREFIX + hash, 'latin1')
}

/** An index entry's value: the event time, 8 bytes. */
export function encodeSeenTime(ts: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleBE(ts)
  return bytes
}

export function decodeSeenTime(bytes: Buffer): number {
  return bytes.readDoubleBE(0)
}

export function hourOf(ts: number): number {
  return Math.floor(ts / HOUR_MS)
}

/** Chunks sort by hour, so that the oldest segment is at the front. `sequence` is unique in the partition. */
export function seenChunkKey(hour: number, sequence: number): Buffer {
  const biased = String(hour + HOUR_BIAS).padStart(10, '0')
  return Buffer.from(`${SEEN_CHUNK_PREFIX}${biased}:${String(sequence).padStart(16, '0')}`)
}

export function hourOfChunkKey(key: Buffer): number {
  return Number(key.toString('latin1', 1, 11)) - HOUR_BIAS
}

export interface SeenEntry {
  readonly hash: string
  readonly ts: number
}

/** All `entries` lie in the hour `hour`. */
export function encodeSeenChunk(hour: number, entries: readonly SeenEntry[]): Buffer {
  const bytes = Buffer.allocUnsafe(entries.length * ENTRY_BYTES)
  let at = 0
  for (const { hash, ts } of entries) {
    const within = ts - hour * HOUR_MS
    if (within < 0 || within >= HOUR_MS)
      throw new InvariantError(`a remembered id lies in its segment's hour: ${ts} in ${hour}`)
    bytes.write(hash, at, HASH_BYTES, 'latin1')
    bytes.writeUInt32BE(within, at + HASH_BYTES)
    at += ENTRY_BYTES
  }
  return bytes
}

export function decodeSeenChunk(hour: number, bytes: Buffer): SeenEntry[] {
  let at = HASH_BYTES
  return hashesOfChunk(bytes).map((hash) => {
    const ts = hour * HOUR_MS + bytes.readUInt32BE(at)
    at += ENTRY_BYTES
    return { hash, ts }
  })
}

/** How many ids a chunk holds. */
export function countOfChunk(bytes: Buffer): number {
  assert(bytes.length % ENTRY_BYTES === 0, `a chunk of remembered ids is whole entries, not ${bytes.length} bytes`)
  return bytes.length / ENTRY_BYTES
}

export function hashesOfChunk(bytes: Buffer): string[] {
  const hashes: string[] = []
  const count = countOfChunk(bytes)
  for (let i = 0; i < count; i++) hashes.push(bytes.toString('latin1', i * ENTRY_BYTES, i * ENTRY_BYTES + HASH_BYTES))
  return hashes
}
