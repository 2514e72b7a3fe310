/**
 * The key layout on the ordered store. The first byte names the kind; numbers are big endian, so that bytes order as
 * offsets do.
 *
 *     S                                    sequence of the last write (u64)
 *     T name                               a topic
 *     B topicId partition offset           a chunk: appended records, or a transaction marker
 *     E topicId partition                  where the partition begins, and what compaction has done
 *     X topicId partition last first       an aborted transaction's range of offsets
 *     I transactionalId                    a transactional id: producer id, epoch, the transaction it left open
 *     G group NUL topicId partition        a group's committed offset (u64)
 */
export const SEQUENCE_KEY = Buffer.from('S')

/** Topic names, groups and transactional ids must not hold it: it ends a name inside of a key. */
const NUL = Buffer.from([0])

export interface PartitionId {
  readonly topicId: number
  readonly partition: number
}

export interface KeyRange {
  readonly gte: Buffer
  readonly lt: Buffer
}

export function topicKey(name: string): Buffer {
  return Buffer.from(`T${name}`)
}

export function producerKey(transactionalId: string): Buffer {
  return Buffer.from(`I${transactionalId}`)
}

export function chunkKey(id: PartitionId, offset: number): Buffer {
  const key = Buffer.allocUnsafe(17)
  writePartition(key, 'B', id)
  writeU64(key, offset, 9)
  return key
}

export function partitionKey(id: PartitionId): Buffer {
  const key = Buffer.allocUnsafe(9)
  writePartition(key, 'E', id)
  return key
}

/** Ordered by the range's last offset. */
export function abortedKey(id: PartitionId, first: number, last: number): Buffer {
  const key = Buffer.allocUnsafe(25)
  writePartition(key, 'X', id)
  writeU64(key, last, 9)
  writeU64(key, first, 17)
  return key
}

export function parseAbortedKey(key: Buffer): PartitionId & { readonly first: number; readonly last: number } {
  return {
    topicId: key.readUInt32BE(1),
    partition: key.readUInt32BE(5),
    last: readU64(key, 9),
    first: readU64(key, 17),
  }
}

export function groupOffsetKey(group: string, id: PartitionId): Buffer {
  const tail = Buffer.allocUnsafe(9)
  writePartition(tail, '\0', id)
  return Buffer.concat([Buffer.from(`G${group}`), tail])
}

export function parseGroupOffsetKey(key: Buffer): PartitionId & { readonly group: string } {
  const tail = key.length - 9
  return {
    group: key.toString('utf8', 1, tail),
    topicId: key.readUInt32BE(tail + 1),
    partition: key.readUInt32BE(tail + 5),
  }
}

/** Every key of one kind. */
export function kindRange(kind: 'T' | 'E' | 'X' | 'I' | 'G'): KeyRange {
  return { gte: Buffer.from(kind), lt: Buffer.from([kind.charCodeAt(0) + 1]) }
}

/** The chunks of a partition whose base offset is in [from, to). */
export function chunkRange(id: PartitionId, from: number, to: number): KeyRange {
  return { gte: chunkKey(id, from), lt: chunkKey(id, to) }
}

export function nameFits(name: string): boolean {
  return name.length > 0 && name.length <= 249 && !name.includes(NUL.toString())
}

/** A whole number below 2^53 as eight bytes. */
export function writeU64(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at)
  buffer.writeUInt32BE(value % 0x1_0000_0000, at + 4)
}

export function readU64(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4)
}

export function u64(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(8)
  writeU64(buffer, value, 0)
  return buffer
}

function writePartition(key: Buffer, kind: string, id: PartitionId): void {
  key.write(kind, 0, 'latin1')
  key.writeUInt32BE(id.topicId, 1)
  key.writeUInt32BE(id.partition, 5)
}
