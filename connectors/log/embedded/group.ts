import type { Clock } from '../../../core/clock.ts'
import type { HeldState } from '../../../core/ports/log.ts'
import type { Logger } from '../../../core/ports/logger.ts'
import { assignStandbys } from '../standbys.ts'
import { assignPartitions } from './assignment.ts'
import { Notifier } from './notifier.ts'
import type { LogState, Partition } from './state.ts'

/** What a member brings along when it joins. */
export interface Joining {
  readonly topics: ReadonlySet<string>
  readonly copies: number
  /** Asked at each sharing out. */
  readonly stored: () => readonly HeldState[]
}

/** A member's place in its group, from joining to leaving or being thrown out. */
export interface Seat {
  readonly id: string
  readonly topics: ReadonlySet<string>
  readonly copies: number
  readonly stored: () => readonly HeldState[]
  /** What it is to keep copies of. */
  standby: readonly Partition[]
  /** What it is to own; it lets go of the rest, and claims these as they become free. */
  target: ReadonlySet<Partition>
  /** False once it left or was thrown out: it owns nothing any more. */
  seated: boolean
  /** Fires when the target or what is free may have changed, or the seat is lost. */
  readonly changed: Notifier
}

/**
 * A consumer group of this process. Partitions move one by one: the former owner lets go (`release`) when its batch and
 * its handler are done, only then can the new one claim. Members that keep a partition never stop.
 *
 * I1. A partition has at most one owner.
 * I2. Only seated members own anything.
 */
export class Group {
  readonly name: string
  readonly #state: LogState
  readonly #logger: Logger
  readonly #seats = new Map<string, Seat>()
  readonly #owners = new Map<Partition, Seat>()
  #target = new Map<Partition, string>()
  readonly #openedAt: string
  #joined = 0
  /** Counts changes of membership. */
  generation = 0

  constructor(name: string, state: LogState, { logger, clock }: { readonly logger: Logger; readonly clock: Clock }) {
    this.name = name
    this.#state = state
    this.#logger = logger
    this.#openedAt = clock.now().toString(36)
  }

  /** Seated members. */
  get size(): number {
    return this.#seats.size
  }

  join({ topics, copies, stored }: Joining): Seat {
    this.#joined += 1
    const seat: Seat = {
      // A former opening of the log gave its own, and whoever remembers one must not hit another's seat.
      id: `${this.name}-${this.#joined}-${this.#openedAt}`,
      topics,
      copies,
      stored,
      standby: [],
      target: new Set(),
      seated: true,
      changed: new Notifier(),
    }
    this.#seats.set(seat.id, seat)
    this.#reassign('a member joined')
    return seat
  }

  /** Gives up the seat and all it owns. Idempotent. */
  leave(seat: Seat, reason: string): void {
    if (!seat.seated) return
    seat.seated = false
    seat.target = new Set()
    this.#seats.delete(seat.id)
    for (const [partition, owner] of this.#owners) if (owner === seat) this.#owners.delete(partition)
    this.#reassign(reason)
    seat.changed.notify()
  }

  /** Gives up the place of a member that is gone and left it behind; one that nobody has is nobody's. */
  leaveAs(id: string): void {
    const seat = this.#seats.get(id)
    if (seat !== undefined) this.leave(seat, 'a member came back')
  }

  /** Takes what is meant for the seat and free. */
  claim(seat: Seat): Partition[] {
    const claimed = [...seat.target].filter((partition) => !this.#owners.has(partition))
    for (const partition of claimed) this.#owners.set(partition, seat)
    return claimed
  }

  release(seat: Seat, partitions: readonly Partition[]): void {
    for (const partition of partitions) if (this.owns(seat, partition)) this.#owners.delete(partition)
    this.#wake()
  }

  owns(seat: Seat, partition: Partition): boolean {
    return this.#owners.get(partition) === seat
  }

  #reassign(reason: string): void {
    this.generation += 1
    const members = [...this.#seats.values()].map((seat) => ({
      seat,
      id: seat.id,
      topics: seat.topics,
      copies: seat.copies,
      stored: seat.stored(),
    }))
    const topics = [...new Set(members.flatMap((member) => [...member.topics]))].sort()
    const partitions = topics.flatMap((topic) => this.#state.topics.get(topic)?.partitions ?? [])
    this.#target = assignPartitions(members, partitions, this.#target)
    const standbys = assignStandbys(members, this.#target)
    for (const { seat } of members) {
      seat.target = new Set(partitions.filter((partition) => this.#target.get(partition) === seat.id))
      seat.standby = standbys.get(seat.id) ?? []
    }
    this.#logger.debug(
      { group: this.name, generation: this.generation, members: members.length, reason },
      'the group is assigned anew',
    )
    this.#wake()
  }

  #wake(): void {
    for (const seat of this.#seats.values()) seat.changed.notify()
  }
}
