/**
 * Who keeps a copy of which partition's state. Pure: whoever shares the partitions out decides this too, from the same
 * facts, so that no member needs to know the others and no two have different opinions.
 *
 * Elsewhere: a copy is never with the owner, nor twice with the same member.
 * Spread: the copies of one owner's partitions lie with as many members as can be, so that what it leaves behind when it
 * dies is taken over by several, each of what it has.
 * Sticky: within that, a copy stays with the member that has come furthest with it.
 */
import type { HeldState, TopicPartition } from '../../core/ports/log.ts'

export interface StandbyMember {
  readonly id: string
  readonly topics: ReadonlySet<string>
  /** Copies of each partition that it asks for; 0: it keeps none. The greatest number that any member asks for counts. */
  readonly copies: number
  readonly stored: readonly HeldState[]
}

/** Copies beside the owner that a member may ask for. */
export const STANDBY_COPIES_MAX = 10

/** For each member that keeps copies, which. `owners` has each partition's owner's id; one without owner has no copies. */
export function assignStandbys<P extends TopicPartition>(
  members: readonly StandbyMember[],
  owners: Iterable<readonly [P, string]>,
): ReadonlyMap<string, readonly P[]> {
  const keepers = members.filter(({ copies }) => copies > 0).sort((a, b) => (a.id < b.id ? -1 : 1))
  const copies = Math.max(0, ...keepers.map((member) => member.copies))
  const owned = [...owners].sort(([a], [b]) =>
    a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
  )
  const standing = new Standing(keepers, owned)
  const result = new Map<string, P[]>(keepers.map(({ id }) => [id, []]))
  for (const [partition, owner] of owned) {
    const others = keepers.filter(({ id, topics }) => id !== owner && topics.has(partition.topic))
    for (const { id } of standing.rank(others, partition, owner).slice(0, copies)) {
      result.get(id)?.push(partition)
      standing.add(id, owner)
    }
  }
  return result
}

/** How many copies each member has been given so far, and from whom. */
class Standing {
  readonly #reached: ReadonlyMap<string, ReadonlyMap<string, number>>
  readonly #partitionsOf = new Map<string, number>()
  readonly #keepers: readonly StandbyMember[]
  readonly #load = new Map<string, number>()
  readonly #pairs = new Map<string, number>()

  constructor(keepers: readonly StandbyMember[], owned: Iterable<readonly [TopicPartition, string]>) {
    this.#keepers = keepers
    this.#reached = new Map(
      keepers.map(({ id, stored }) => [id, new Map(stored.map((held) => [nameOf(held), held.reached ?? 0]))]),
    )
    for (const [, owner] of owned) this.#partitionsOf.set(owner, (this.#partitionsOf.get(owner) ?? 0) + 1)
  }

  rank(others: readonly StandbyMember[], partition: TopicPartition, owner: string): readonly StandbyMember[] {
    const name = nameOf(partition)
    const share = Math.ceil((this.#partitionsOf.get(owner) ?? 0) / Math.max(1, this.#others(owner)))
    const facts = others.map((member) => {
      const pair = this.#pairs.get(pairOf(member.id, owner)) ?? 0
      const reached = this.#reached.get(member.id)?.get(name) ?? -1
      return { member, full: pair >= share ? 1 : 0, reached, pair, load: this.#load.get(member.id) ?? 0 }
    })
    return facts
      .sort((a, b) => a.full - b.full || b.reached - a.reached || a.pair - b.pair || a.load - b.load)
      .map(({ member }) => member)
  }

  add(id: string, owner: string): void {
    this.#load.set(id, (this.#load.get(id) ?? 0) + 1)
    this.#pairs.set(pairOf(id, owner), (this.#pairs.get(pairOf(id, owner)) ?? 0) + 1)
  }

  #others(owner: string): number {
    return this.#keepers.filter(({ id }) => id !== owner).length
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${partition}/${topic}`
}

function pairOf(id: string, owner: string): string {
  return JSON.stringify([id, owner])
}
