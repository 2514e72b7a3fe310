import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../../core/clock.ts'
import { OncewardError } from '../../../core/errors.ts'
import type { GroupHandler, RecordBatch, TopicPartition } from '../../../core/ports/log.ts'
import type { Logger } from '../../../core/ports/logger.ts'
import type { Cursor, Fetcher } from './fetch.ts'
import type { Group, Seat } from './group.ts'
import { Notifier } from './notifier.ts'
import type { LogState, Partition } from './state.ts'

export interface MemberSettings {
  readonly sessionTimeoutMs: number
  /** How long a batch under way may hold up the hand-over of its partition, in milliseconds. */
  readonly rebalanceTimeoutMs: number
  readonly batchBytesMax: number
}

export interface MemberContext {
  readonly state: LogState
  readonly fetcher: Fetcher
  readonly clock: Clock
  readonly logger: Logger
  /** Aborts when the log closes. */
  readonly closing: AbortSignal
}

/** Reading one partition: `done` resolves when its last batch has been handled. */
interface Delivery {
  readonly stop: AbortController
  readonly done: Promise<void>
}

/**
 * One membership: from taking the seat until it is given up (`stopped`) or lost (`expelled`).
 *
 * I1. A partition's batches begin after `rebalanced` gave it and end before `rebalanced` takes it.
 * I2. The seat owns a partition from before the handler hears of it until after the handler has let it go, unless the
 *     seat is lost.
 */
export class MemberSession {
  readonly #group: Group
  readonly #seat: Seat
  readonly #handler: GroupHandler
  readonly #settings: MemberSettings
  readonly #context: MemberContext
  /** What the handler was given and not yet told lost. */
  readonly #held = new Set<Partition>()
  readonly #deliveries = new Map<Partition, Delivery>()
  readonly #over = new AbortController()
  readonly #failed = new Notifier()
  #failure: { readonly error: unknown } | undefined
  #stopping = false
  /** What the handler was last told to keep copies of. */
  #standby: readonly Partition[] = []
  #busy = 0
  #watching = false
  #lastSeenMs = 0

  constructor(
    group: Group,
    seat: Seat,
    member: { handler: GroupHandler; settings: MemberSettings; context: MemberContext },
  ) {
    this.#group = group
    this.#seat = seat
    this.#handler = member.handler
    this.#settings = member.settings
    this.#context = member.context
  }

  /** Lets the batches under way finish, then gives up the seat. */
  stop(): void {
    this.#stopping = true
    this.#seat.changed.notify()
  }

  /** Rejects with what the handler, or reading, failed with. */
  async run(): Promise<'stopped' | 'expelled'> {
    const closed = (): void => this.#fail(undefined)
    this.#context.closing.addEventListener('abort', closed, { once: true })
    try {
      const ended = await this.#reconcile()
      if (this.#failure) {
        await this.#drainAll(this.#settings.sessionTimeoutMs)
        throw this.#failure.error
      }
      return ended
    } finally {
      this.#over.abort()
      this.#context.closing.removeEventListener('abort', closed)
      this.#group.leave(this.#seat, 'a member left')
    }
  }

  /** Brings what is held in line with what the group wants, until the membership ends. */
  async #reconcile(): Promise<'stopped' | 'expelled'> {
    while (!this.#failure) {
      if (!this.#seat.seated) {
        await this.#drainAll()
        if (!this.#failure) await this.#change([], [...this.#held])
        return 'expelled'
      }
      const lost = [...this.#held].filter((partition) => this.#stopping || !this.#seat.target.has(partition))
      const gained = this.#stopping ? [] : this.#group.claim(this.#seat)
      if (lost.length > 0 || gained.length > 0) {
        await this.#drain(lost)
        if (this.#seat.seated && !this.#failure) await this.#change(gained, lost)
      } else if (this.#stopping) return 'stopped'
      else if (this.#standby !== this.#seat.standby) this.#tellStandby()
      else await this.#seat.changed.next()
    }
    return 'stopped'
  }

  async #change(gained: readonly Partition[], lost: readonly Partition[]): Promise<void> {
    if (gained.length === 0 && lost.length === 0) return
    for (const partition of gained) this.#held.add(partition)
    for (const partition of lost) this.#held.delete(partition)
    try {
      await this.#handler.rebalanced({ gained: gained.map(named), lost: lost.map(named) })
    } catch (error) {
      this.#fail({ error })
      return
    }
    this.#group.release(this.#seat, lost)
    for (const partition of gained) this.#deliver(partition)
  }

  #tellStandby(): void {
    this.#standby = this.#seat.standby
    this.#handler.standby?.(this.#standby.map(named))
  }

  /** Waits for the batches of these partitions; one that takes too long costs the seat. */
  async #drain(partitions: readonly Partition[]): Promise<void> {
    const done = this.#stopDeliveries(partitions)
    if (done.length === 0) return
    if (await this.#within(Promise.all(done), this.#settings.rebalanceTimeoutMs)) return
    this.#group.leave(this.#seat, 'a member held up the hand-over')
  }

  async #drainAll(boundMs = Number.POSITIVE_INFINITY): Promise<void> {
    const done = Promise.all(this.#stopDeliveries([...this.#deliveries.keys()]))
    if (Number.isFinite(boundMs)) await this.#within(done, boundMs)
    else await Promise.race([done, this.#failed.next()])
  }

  #stopDeliveries(partitions: readonly Partition[]): Promise<void>[] {
    return partitions.flatMap((partition) => {
      const delivery = this.#deliveries.get(partition)
      delivery?.stop.abort()
      return delivery ? [delivery.done] : []
    })
  }

  async #within(done: Promise<unknown>, boundMs: number): Promise<boolean> {
    const timer = new AbortController()
    const late = this.#context.clock.sleep(boundMs, timer.signal).then(() => false)
    const finished = await Promise.race([done.then(() => true), late])
    timer.abort()
    return finished
  }

  #deliver(partition: Partition): void {
    const stop = new AbortController()
    const done = this.#deliverLoop(partition, stop.signal)
      .catch((error: unknown) => this.#fail({ error }))
      .finally(() => {
        if (this.#deliveries.get(partition)?.stop === stop) this.#deliveries.delete(partition)
      })
    this.#deliveries.set(partition, { stop, done })
  }

  async #deliverLoop(partition: Partition, signal: AbortSignal): Promise<void> {
    const { state, fetcher } = this.#context
    const start = this.#handler.startOffset(named(partition)) ?? state.committed(this.#group.name, partition)
    let position = start ?? partition.earliest
    const cursor: Cursor = { chunk: undefined }
    const fetching = { bytesMax: this.#settings.batchBytesMax, waitMs: Number.POSITIVE_INFINITY, signal }
    while (this.#mayDeliver(signal)) {
      const batch = await fetcher.fetch(partition, position, cursor, fetching)
      if (!this.#mayDeliver(signal)) return
      position = batch.records.length === 0 ? batch.nextOffset : await this.#hand(batch)
      // A store in memory answers within the turn: without this, timers and sockets would starve.
      await nextTurn()
    }
  }

  #mayDeliver(signal: AbortSignal): boolean {
    return !signal.aborted && !this.#failure && this.#seat.seated && !this.#stopping
  }

  async #hand(batch: RecordBatch): Promise<number> {
    this.#alive()
    this.#busy += 1
    if (!this.#watching) void this.#watch()
    try {
      return await this.#handler.batch(batch, {
        heartbeat: () => {
          this.#alive()
          return Promise.resolve()
        },
      })
    } finally {
      this.#busy -= 1
      this.#alive()
    }
  }

  #alive(): void {
    this.#lastSeenMs = this.#context.clock.monotonic()
  }

  /** While batches are under way: throws the member out when none of them has shown life for the session time-out. */
  async #watch(): Promise<void> {
    const { clock } = this.#context
    this.#watching = true
    while (this.#busy > 0 && !this.#over.signal.aborted) {
      const leftMs = this.#lastSeenMs + this.#settings.sessionTimeoutMs - clock.monotonic()
      if (leftMs > 0) {
        await clock.sleep(leftMs, this.#over.signal)
        continue
      }
      this.#context.logger.warn(
        { group: this.#group.name, member: this.#seat.id, sessionTimeoutMs: this.#settings.sessionTimeoutMs },
        'a member of the group showed no life within its session time-out and is thrown out',
      )
      this.#group.leave(this.#seat, 'a member fell silent')
      break
    }
    this.#watching = false
  }

  /** The first failure ends the membership. */
  #fail(failure: { readonly error: unknown } | undefined): void {
    this.#failure ??= failure ?? {
      error: new OncewardError('ONCEWARD_E_LOG_CLOSED', 'the embedded log was closed under its consumer'),
    }
    this.#failed.notify()
    for (const { stop } of this.#deliveries.values()) stop.abort()
    this.#seat.changed.notify()
  }
}

function named({ topic, partition }: Partition): TopicPartition {
  return { topic, partition }
}
