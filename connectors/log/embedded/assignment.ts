/**
 * Who reads what. Pure: the same members, partitions and former owners always give the same assignment.
 *
 * Shared evenly: of topics with the same readers, each reader gets as many partition numbers as any other, or one more.
 * Together: the same partition number of such topics goes to the same reader, as joining them needs.
 * Stable: a partition stays with its former owner as far as that allows; one without goes to the member that has come
 * furthest with its state, if any has it.
 */
import type { HeldState } from '../../../core/ports/log.ts'

export interface GroupMember {
  readonly id: string
  readonly topics: ReadonlySet<string>
  /** The state that lies with it. */
  readonly stored?: readonly HeldState[]
}

export interface Assignable {
  readonly topic: string
  readonly partition: number
}

interface Standing {
  /** The former owner of each partition number. */
  readonly former: ReadonlyMap<number, string>
  /** How much each member has been given so far. */
  readonly load: ReadonlyMap<string, number>
  /** How far a member has come with the state of a partition number; -1 where it has none. */
  readonly reached: (id: string, unit: number) => number
}

/** `members` in the order they joined; `partitions` in topic and partition order. Answers each partition's owner's id. */
export function assignPartitions<P extends Assignable>(
  members: readonly GroupMember[],
  partitions: readonly P[],
  former: ReadonlyMap<P, string>,
): Map<P, string> {
  const load = new Map<string, number>()
  const owners = new Map<P, string>()
  for (const { readers, own } of sameReaders(members, partitions)) {
    const formerUnits = new Map<number, string>()
    for (const partition of own) {
      const id = former.get(partition)
      if (id !== undefined && !formerUnits.has(partition.partition)) formerUnits.set(partition.partition, id)
    }
    const units = [...new Set(own.map((partition) => partition.partition))].sort((a, b) => a - b)
    const reached = furthest(readers, own)
    const shared = shareUnits(readers, units, { former: formerUnits, load, reached })
    for (const partition of own) {
      const id = shared.get(partition.partition)
      if (id === undefined) continue
      owners.set(partition, id)
      load.set(id, (load.get(id) ?? 0) + 1)
    }
  }
  return owners
}

function furthest(readers: readonly GroupMember[], own: readonly Assignable[]): Standing['reached'] {
  const topics = new Set(own.map(({ topic }) => topic))
  const reached = new Map<string, number>()
  for (const { id, stored = [] } of readers) {
    for (const held of stored) {
      const name = `${held.partition}/${id}`
      if (topics.has(held.topic)) reached.set(name, Math.max(reached.get(name) ?? -1, held.reached ?? 0))
    }
  }
  return (id, unit) => reached.get(`${unit}/${id}`) ?? -1
}

/** The partitions of topics that the same members read, by those members. */
function sameReaders<P extends Assignable>(
  members: readonly GroupMember[],
  partitions: readonly P[],
): Iterable<{ readonly readers: readonly GroupMember[]; readonly own: readonly P[] }> {
  const sets = new Map<string, { readers: readonly GroupMember[]; own: P[] }>()
  for (const partition of partitions) {
    const readers = members.filter((member) => member.topics.has(partition.topic))
    const name = JSON.stringify(readers.map((reader) => reader.id))
    const set = sets.get(name)
    if (set) set.own.push(partition)
    else if (readers.length > 0) sets.set(name, { readers, own: [partition] })
  }
  return sets.values()
}

/** First each unit to its former owner, while that one's quota lasts; then the rest to whoever has quota left. */
function shareUnits(
  readers: readonly GroupMember[],
  units: readonly number[],
  standing: Standing,
): ReadonlyMap<number, string> {
  const quotas = quotasOf(readers, units, standing)
  const owners = new Map<number, string>()
  for (const unit of units) {
    const id = standing.former.get(unit)
    if (id !== undefined && take(quotas, id)) owners.set(unit, id)
  }
  for (const unit of units) {
    if (owners.has(unit)) continue
    const withRoom = [...quotas].filter(([, left]) => left > 0)
    const [most] = withRoom.sort(
      ([a, leftA], [b, leftB]) => standing.reached(b, unit) - standing.reached(a, unit) || leftB - leftA,
    )
    if (most && take(quotas, most[0])) owners.set(unit, most[0])
  }
  return owners
}

/** How many units each reader gets; the odd ones go to who has least, then to who held most. */
function quotasOf(
  readers: readonly GroupMember[],
  units: readonly number[],
  { former, load }: Standing,
): Map<string, number> {
  const held = (id: string): number => units.filter((unit) => former.get(unit) === id).length
  const ranked = readers
    .map(({ id }, order) => ({ id, order, load: load.get(id) ?? 0, held: held(id) }))
    .sort((a, b) => a.load - b.load || b.held - a.held || a.order - b.order)
  const floor = Math.floor(units.length / ranked.length)
  const odd = units.length - floor * ranked.length
  return new Map(ranked.map(({ id }, rank) => [id, floor + (rank < odd ? 1 : 0)]))
}

function take(quotas: Map<string, number>, id: string): boolean {
  const left = quotas.get(id) ?? 0
  if (left === 0) return false
  quotas.set(id, left - 1)
  return true
}
