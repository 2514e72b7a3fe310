/**
 * Who reads what. Pure: the same members, partitions and former owners always give the same assignment.
 *
 * Each topic's partitions are shared out evenly among the members that subscribe to it (their counts differ by at most
 * one), a partition stays with its former owner as far as that allows, and no partition has two owners.
 */
export interface GroupMember {
  readonly id: string
  readonly topics: ReadonlySet<string>
}

export interface Assignable {
  readonly topic: string
}

/** `members` in the order they joined; `partitions` in topic and partition order. Answers each partition's owner's id. */
export function assignPartitions<P extends Assignable>(
  members: readonly GroupMember[],
  partitions: readonly P[],
  former: ReadonlyMap<P, string>,
): Map<P, string> {
  const load = new Map(members.map((member) => [member.id, 0]))
  const owners = new Map<P, string>()
  for (const topic of new Set(partitions.map((partition) => partition.topic))) {
    const own = partitions.filter((partition) => partition.topic === topic)
    const quotas = quotasOf(members, own, { former, load })
    for (const partition of own) {
      const id = former.get(partition)
      if (id !== undefined && take(quotas, id)) owners.set(partition, id)
    }
    for (const partition of own) {
      if (owners.has(partition)) continue
      for (const id of quotas.keys()) {
        if (!take(quotas, id)) continue
        owners.set(partition, id)
        break
      }
    }
    for (const partition of own) {
      const id = owners.get(partition)
      if (id !== undefined) load.set(id, (load.get(id) ?? 0) + 1)
    }
  }
  return owners
}

interface Standing<P> {
  readonly former: ReadonlyMap<P, string>
  readonly load: ReadonlyMap<string, number>
}

/** How many of the topic's partitions each subscriber gets; the odd ones go to who has least, then to who had most. */
function quotasOf<P extends Assignable>(
  members: readonly GroupMember[],
  own: readonly P[],
  { former, load }: Standing<P>,
): Map<string, number> {
  const topic = own[0]?.topic
  const subscribers = members.filter((member) => topic !== undefined && member.topics.has(topic))
  const held = (id: string): number => own.filter((partition) => former.get(partition) === id).length
  const ranked = subscribers
    .map((member, order) => ({ id: member.id, order, load: load.get(member.id) ?? 0, held: held(member.id) }))
    .sort((a, b) => a.load - b.load || b.held - a.held || a.order - b.order)
  const floor = ranked.length === 0 ? 0 : Math.floor(own.length / ranked.length)
  const odd = own.length - floor * ranked.length
  return new Map(ranked.map(({ id }, rank) => [id, floor + (rank < odd ? 1 : 0)]))
}

function take(quotas: Map<string, number>, id: string): boolean {
  const left = quotas.get(id) ?? 0
  if (left === 0) return false
  quotas.set(id, left - 1)
  return true
}
