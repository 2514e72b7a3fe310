/**
 * Who reads what: a cooperative, sticky assignment, computed by the group's leader. Pure.
 *
 * Cooperative (as KIP-429): a partition that is to move is first given to nobody; its owner hands it over, joins again,
 * and the next round gives it to the new owner. So the others go on reading through a rebalance, and the new owner
 * never starts before the old one has finished.
 * Sticky: a partition stays with its owner, and one without an owner goes to a member that has its state on disk, as far
 * as numbers stay even. Where an owner must give some away, it gives those first that another member has the state of.
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
  /** What it has the state of, whether it holds it or not. */
  readonly stored: readonly TopicPartition[]
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
  const stored = new Map(members.map((m) => [m.memberId, new Set(m.stored.map(keyOf))]))
  const result = new Map<string, TopicPartition[]>(members.map((m) => [m.memberId, []]))
  for (const { topics, readers } of topicGroups(members, partitionCounts)) {
    for (const [unit, memberId] of spread(topics, readers, { partitionCounts, owners, stored })) {
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

interface Facts {
  readonly partitionCounts: ReadonlyMap<string, number>
  readonly owners: ReadonlyMap<string, string>
  /** By member: the partitions whose state it has. */
  readonly stored: ReadonlyMap<string, ReadonlySet<string>>
}

/** Deals the partition numbers out evenly: each reader keeps what it has up to its share, the rest goes where room is. */
function spread(topics: readonly string[], readers: readonly string[], facts: Facts): ReadonlyMap<number, string> {
  const units = Math.max(...topics.map((topic) => facts.partitionCounts.get(topic) ?? 0))
  const isStored = (reader: string, unit: number): boolean =>
    topics.some((topic) => facts.stored.get(reader)?.has(keyOf({ topic, partition: unit })))
  const { held, free } = holdings(topics, readers, { ...facts, units })
  const extra = units % readers.length
  const shares = [...held]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([reader, own], i) => ({ reader, own, share: Math.floor(units / readers.length) + (i < extra ? 1 : 0) }))
  const withRoom = shares.filter(({ own, share }) => own.length < share)
  for (const { own, share } of shares) {
    if (own.length <= share) continue
    const wanted = (unit: number): number => (withRoom.some(({ reader }) => isStored(reader, unit)) ? 1 : 0)
    own.sort((a, b) => wanted(a) - wanted(b) || a - b)
    free.push(...own.splice(share))
  }
  free.sort((a, b) => a - b)
  for (const { reader, own, share } of withRoom) {
    const mine = free.filter((unit) => isStored(reader, unit)).slice(0, share - own.length)
    own.push(...mine)
    for (const unit of mine) free.splice(free.indexOf(unit), 1)
  }
  const result = new Map<number, string>()
  for (const { reader, own, share } of shares) {
    own.push(...free.splice(0, share - own.length))
    for (const unit of own) result.set(unit, reader)
  }
  return result
}

/** What each reader holds of the units, and what nobody does. */
function holdings(
  topics: readonly string[],
  readers: readonly string[],
  { owners, units }: Facts & { readonly units: number },
): { readonly held: ReadonlyMap<string, number[]>; readonly free: number[] } {
  const held = new Map<string, number[]>(readers.map((reader) => [reader, []]))
  const free: number[] = []
  for (let unit = 0; unit < units; unit += 1) {
    const owner = topics.map((topic) => owners.get(keyOf({ topic, partition: unit }))).find((o) => o !== undefined)
    const own = owner === undefined ? undefined : held.get(owner)
    if (own) own.push(unit)
    else free.push(unit)
  }
  return { held, free }
}

export type Subscription = Omit<GroupMember, 'memberId'>

/** ConsumerProtocolSubscription, version 1; its user data are the partitions whose state is stored. Source: KIP-429. */
export function encodeSubscription({ topics, owned, stored }: Subscription): Buffer {
  const bytes = new ByteWriter().int16(1)
  bytes.array(topics, (topic) => bytes.string(topic)).bytes(writePartitions(new ByteWriter(), stored).result())
  return writePartitions(bytes, owned).result()
}

export function decodeSubscription(bytes: Buffer): Subscription {
  const reader = new ByteReader(bytes)
  const version = reader.int16()
  const topics = reader.array(() => reader.string() ?? '')
  const userData = reader.bytes()
  const stored = userData.length === 0 ? [] : readPartitions(new ByteReader(userData))
  return { topics, owned: version >= 1 ? readPartitions(reader) : [], stored }
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
