/**
 * Who reads what: a cooperative, sticky assignment, computed by the group's leader. Pure.
 *
 * Cooperative (as KIP-429): a partition that is to move is first given to nobody; its owner hands it over, joins again,
 * and the next round gives it to the new owner. So the others go on reading through a rebalance, and the new owner
 * never starts before the old one has finished.
 * Sticky: a partition stays where its state is, as far as numbers stay even.
 * Together: partitions of the same number of topics read by the same members go to the same member.
 */
import type { TopicPartition } from '../../../core/ports/log.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { byTopic, keyOf } from './requests.ts'

export const PROTOCOL = 'onceward-cooperative-sticky'

export interface GroupMember {
  readonly memberId: string
  readonly topics: readonly string[]
  /** What it still holds, whether it is to keep it or not. */
  readonly owned: readonly TopicPartition[]
}

/** For each member what it may read after this round. `partitionCounts`: topics missing there are left out. */
export function assign(
  members: readonly GroupMember[],
  partitionCounts: ReadonlyMap<string, number>,
): ReadonlyMap<string, readonly TopicPartition[]> {
  const owners = new Map<string, string>()
  for (const member of inOrder(members)) {
    for (const p of member.owned) if (!owners.has(keyOf(p))) owners.set(keyOf(p), member.memberId)
  }
  const result = new Map<string, TopicPartition[]>(members.map((m) => [m.memberId, []]))
  for (const { topics, readers } of topicGroups(members, partitionCounts)) {
    for (const [unit, memberId] of spread(topics, readers, { partitionCounts, owners })) {
      for (const topic of topics) {
        if (unit >= (partitionCounts.get(topic) ?? 0)) continue
        const owner = owners.get(keyOf({ topic, partition: unit }))
        if (owner === undefined || owner === memberId) result.get(memberId)?.push({ topic, partition: unit })
      }
    }
  }
  return result
}

function inOrder(members: readonly GroupMember[]): readonly GroupMember[] {
  return [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
}

/** Topics with the same readers belong together. */
function topicGroups(
  members: readonly GroupMember[],
  partitionCounts: ReadonlyMap<string, number>,
): readonly { readonly topics: readonly string[]; readonly readers: readonly string[] }[] {
  const groups = new Map<string, { topics: string[]; readers: string[] }>()
  for (const topic of [...partitionCounts.keys()].sort()) {
    const readers = inOrder(members)
      .filter((m) => m.topics.includes(topic))
      .map((m) => m.memberId)
    if (readers.length === 0) continue
    const key = JSON.stringify(readers)
    const group = groups.get(key)
    if (group) group.topics.push(topic)
    else groups.set(key, { topics: [topic], readers })
  }
  return [...groups.values()]
}

/** Deals the partition numbers out evenly: each reader keeps what it has up to its share, the rest goes where room is. */
function spread(
  topics: readonly string[],
  readers: readonly string[],
  facts: { readonly partitionCounts: ReadonlyMap<string, number>; readonly owners: ReadonlyMap<string, string> },
): ReadonlyMap<number, string> {
  const units = Math.max(...topics.map((topic) => facts.partitionCounts.get(topic) ?? 0))
  const held = new Map<string, number[]>(readers.map((reader) => [reader, []]))
  const free: number[] = []
  for (let unit = 0; unit < units; unit += 1) {
    const owner = topics
      .map((topic) => facts.owners.get(keyOf({ topic, partition: unit })))
      .find((o) => o !== undefined)
    const own = owner === undefined ? undefined : held.get(owner)
    if (own) own.push(unit)
    else free.push(unit)
  }
  const extra = units % readers.length
  const byHolding = [...held].sort(([, a], [, b]) => b.length - a.length)
  const shares = byHolding.map(([reader, own], i) => ({
    reader,
    own,
    share: Math.floor(units / readers.length) + (i < extra ? 1 : 0),
  }))
  for (const { own, share } of shares) free.push(...own.splice(share))
  free.sort((a, b) => a - b)
  const result = new Map<number, string>()
  for (const { reader, own, share } of shares) {
    own.push(...free.splice(0, share - own.length))
    for (const unit of own) result.set(unit, reader)
  }
  return result
}

/** ConsumerProtocolSubscription, version 1. Source: KIP-429. */
export function encodeSubscription(topics: readonly string[], owned: readonly TopicPartition[]): Buffer {
  const bytes = new ByteWriter().int16(1)
  bytes.array(topics, (topic) => bytes.string(topic)).int32(-1)
  return writePartitions(bytes, owned).result()
}

export function decodeSubscription(bytes: Buffer): { topics: string[]; owned: TopicPartition[] } {
  const reader = new ByteReader(bytes)
  const version = reader.int16()
  const topics = reader.array(() => reader.string() ?? '')
  reader.bytes()
  return { topics, owned: version >= 1 ? readPartitions(reader) : [] }
}

/** ConsumerProtocolAssignment, version 0: what Kafka's own tools show of a group. */
export function encodeAssignment(partitions: readonly TopicPartition[]): Buffer {
  return writePartitions(new ByteWriter().int16(0), partitions).int32(-1).result()
}

/** An empty answer is an empty assignment. */
export function decodeAssignment(bytes: Buffer): TopicPartition[] {
  if (bytes.length === 0) return []
  const reader = new ByteReader(bytes)
  reader.int16()
  return readPartitions(reader)
}

function writePartitions(bytes: ByteWriter, partitions: readonly TopicPartition[]): ByteWriter {
  return bytes.array(byTopic(partitions), ([topic, own]) =>
    bytes.string(topic).array(own, (p) => bytes.int32(p.partition)),
  )
}

function readPartitions(reader: ByteReader): TopicPartition[] {
  const topics = reader.array(() => {
    const topic = reader.string() ?? ''
    return reader.array(() => ({ topic, partition: reader.int32() }))
  })
  return topics.flat()
}
