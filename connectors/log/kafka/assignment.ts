/**
 * Who reads what: a cooperative, sticky assignment, computed by the group's leader. Pure.
 *
 * Cooperative (as KIP-429): a partition that is to move is first given to nobody; its owner hands it over, joins again,
 * and the next round gives it to the new owner. So the others go on reading through a rebalance, and the new owner
 * never starts before the old one has finished.
 * Sticky: a partition stays with its owner, and one without an owner goes to the member that has come furthest with its
 * state, as far as numbers stay even. Where an owner must give some away, it gives those first that another member has the state of.
 * Together: partitions of the same number of topics read by the same members go to the same member.
 */
import type { HeldState, TopicPartition } from '../../../core/ports/log.ts'
import { assignStandbys } from '../standbys.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { byTopic, keyOf } from './requests.ts'

export const PROTOCOL = 'onceward-cooperative-sticky'

export interface GroupMember {
  readonly memberId: string
  readonly topics: readonly string[]
  /** What it still holds, whether it is to keep it or not. */
  readonly owned: readonly TopicPartition[]
  /** What it has the state of, whether it holds it or not. */
  readonly stored: readonly HeldState[]
  /** Copies of each partition that it asks for, and keeps its part of. */
  readonly copies: number
}

/** What the group's leader tells a member. */
export interface Assignment {
  /** What it may read after this round. */
  readonly owned: readonly TopicPartition[]
  /** What it keeps a copy of. */
  readonly standby: readonly TopicPartition[]
}

/** For each member what it is to do after this round. `partitionCounts`: topics missing there are left out. */
export function assign(
  members: readonly GroupMember[],
  partitionCounts: ReadonlyMap<string, number>,
): ReadonlyMap<string, Assignment> {
  const owners = new Map<string, string>()
  for (const member of inOrder(members)) {
    for (const p of member.owned) if (!owners.has(keyOf(p))) owners.set(keyOf(p), member.memberId)
  }
  const stored = new Map(members.map((m) => [m.memberId, new Map(m.stored.map((h) => [keyOf(h), h.reached ?? 0]))]))
  const result = new Map<string, TopicPartition[]>(members.map((m) => [m.memberId, []]))
  const wanted: (readonly [TopicPartition, string])[] = []
  for (const { topics, readers } of topicGroups(members, partitionCounts)) {
    for (const [unit, memberId] of spread(topics, readers, { partitionCounts, owners, stored })) {
      for (const topic of topics) {
        if (unit >= (partitionCounts.get(topic) ?? 0)) continue
        wanted.push([{ topic, partition: unit }, memberId])
        const owner = owners.get(keyOf({ topic, partition: unit }))
        if (owner === undefined || owner === memberId) result.get(memberId)?.push({ topic, partition: unit })
      }
    }
  }
  const keepers = members.map(({ memberId: id, topics, ...rest }) => ({ id, topics: new Set(topics), ...rest }))
  const standbys = assignStandbys(keepers, wanted)
  return new Map([...result].map(([id, owned]) => [id, { owned, standby: standbys.get(id) ?? [] }]))
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
  /** By member: the partitions whose state it has, and how far it goes. */
  readonly stored: ReadonlyMap<string, ReadonlyMap<string, number>>
}

/** Deals the partition numbers out evenly: each reader keeps what it has up to its share, the rest goes where room is. */
function spread(topics: readonly string[], readers: readonly string[], facts: Facts): ReadonlyMap<number, string> {
  const units = Math.max(...topics.map((topic) => facts.partitionCounts.get(topic) ?? 0))
  const reached = (reader: string, unit: number): number =>
    Math.max(-1, ...topics.map((topic) => facts.stored.get(reader)?.get(keyOf({ topic, partition: unit })) ?? -1))
  const { held, free } = holdings(topics, readers, { ...facts, units })
  const extra = units % readers.length
  const hoped = new Map(readers.map((reader) => [reader, Math.max(-1, ...free.map((unit) => reached(reader, unit)))]))
  const shares = [...held]
    .sort(([idA, a], [idB, b]) => b.length - a.length || (hoped.get(idB) ?? -1) - (hoped.get(idA) ?? -1))
    .map(([reader, own], i) => ({ reader, own, share: Math.floor(units / readers.length) + (i < extra ? 1 : 0) }))
  const withRoom = shares.filter(({ own, share }) => own.length < share)
  for (const { own, share } of shares) {
    if (own.length <= share) continue
    const wanted = (unit: number): number => (withRoom.some(({ reader }) => reached(reader, unit) >= 0) ? 1 : 0)
    own.sort((a, b) => wanted(a) - wanted(b) || a - b)
    free.push(...own.splice(share))
  }
  free.sort((a, b) => a - b)
  const offers = withRoom.flatMap((room) =>
    free.map((unit) => ({ ...room, unit, reached: reached(room.reader, unit) })),
  )
  offers.sort((a, b) => b.reached - a.reached)
  const open = new Set(free)
  for (const { own, share, unit, reached: far } of offers) {
    if (far < 0 || own.length >= share || !open.delete(unit)) continue
    own.push(unit)
  }
  const rest = [...open]
  const result = new Map<number, string>()
  for (const { reader, own, share } of shares) {
    own.push(...rest.splice(0, share - own.length))
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

/**
 * ConsumerProtocolSubscription, version 1; its user data are the partitions whose state is stored, then how far each goes,
 * then the copies asked for. A member of an older version sends the first of these alone. Source: KIP-429.
 */
export function encodeSubscription({ topics, owned, stored, copies }: Subscription): Buffer {
  const bytes = new ByteWriter().int16(1)
  const grouped = byTopic(stored).flatMap(([, own]) => own)
  const userData = writePartitions(new ByteWriter(), grouped)
  userData.array(grouped, ({ reached }) => userData.int64(reached ?? 0)).int32(copies)
  bytes.array(topics, (topic) => bytes.string(topic)).bytes(userData.result())
  return writePartitions(bytes, owned).result()
}

export function decodeSubscription(bytes: Buffer): Subscription {
  const reader = new ByteReader(bytes)
  const version = reader.int16()
  const topics = reader.array(() => reader.string() ?? '')
  const userData = new ByteReader(reader.bytes())
  const stored = userData.left === 0 ? [] : readPartitions(userData)
  const reached = userData.left === 0 ? [] : userData.array(() => userData.int64())
  const copies = userData.left === 0 ? 0 : userData.int32()
  return {
    topics,
    owned: version >= 1 ? readPartitions(reader) : [],
    stored: stored.map((held, i) => ({ ...held, reached: reached[i] ?? 0 })),
    copies,
  }
}

/** ConsumerProtocolAssignment, version 0: what Kafka's own tools show of a group. Its user data are the copies to keep. */
export function encodeAssignment({ owned, standby }: Assignment): Buffer {
  const bytes = writePartitions(new ByteWriter().int16(0), owned)
  if (standby.length === 0) return bytes.int32(-1).result()
  return bytes.bytes(writePartitions(new ByteWriter(), standby).result()).result()
}

/** An empty answer is an empty assignment. */
export function decodeAssignment(bytes: Buffer): Assignment {
  if (bytes.length === 0) return { owned: [], standby: [] }
  const reader = new ByteReader(bytes)
  reader.int16()
  const owned = readPartitions(reader)
  const userData = new ByteReader(reader.bytes())
  return { owned, standby: userData.left === 0 ? [] : readPartitions(userData) }
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
