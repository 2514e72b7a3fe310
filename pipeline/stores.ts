import type { Clock } from '../core/clock.ts'
import { formatDuration, HOUR_MS } from '../core/durations.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/ports/logger.ts'
import type { OrderedKv } from '../core/ports/ordered-kv.ts'
import { PartitionStore } from '../state/partition-store.ts'
import type { Stamp } from '../state/stamp.ts'

export interface StoresOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly open: (partition: number) => Promise<OrderedKv>
  /** The partitions that have a store on this worker's disk. */
  readonly list: () => readonly number[]
  /** Deletes a store that is closed; undefined where stores are kept for ever. */
  readonly remove?: ((partition: number) => Promise<void>) | undefined
  /** How long the store of a partition that this worker has no part in is kept, ms; undefined: for ever. */
  readonly retentionMs?: number | undefined
}

/** How often old stores are looked for, at most. */
const SWEEP_EVERY_MS = HOUR_MS

export type StoreFate = { readonly kind: 'keep' } | { readonly kind: 'remove'; readonly ageMs: number }

/**
 * What becomes of a store that nobody uses. Pure. `writtenAt` is its stamp's: a store that is owned or kept as a copy is
 * stamped anew, so this is when it was last of use. One without a stamp that can be read counts from when it was found.
 */
export function decideStoreFate(facts: { writtenAt: number; now: number; retentionMs: number }): StoreFate {
  const ageMs = facts.now - facts.writtenAt
  return ageMs >= facts.retentionMs ? { kind: 'remove', ageMs } : { kind: 'keep' }
}

/** The stores on this worker's disk, whether it uses them now or not. */
export class Stores {
  readonly #options: StoresOptions
  readonly #reached = new Map<number, number>()
  readonly #unstampedSince = new Map<number, number>()
  /** Looks into closed stores: whoever wants to use one waits for them. */
  readonly #looks = new Map<number, Promise<unknown>>()

  constructor(options: StoresOptions) {
    this.#options = options
  }

  /** Looks into every store once, so that the group can be told how far each goes. */
  async takeStock(): Promise<void> {
    await Promise.all(
      this.#options.list().map((partition) => this.#exclusively(partition, () => this.#look(partition))),
    )
  }

  async open(partition: number): Promise<OrderedKv> {
    await this.#looks.get(partition)
    return this.#options.open(partition)
  }

  /** A store was left at this changelog offset. */
  left(partition: number, reached: number): void {
    this.#reached.set(partition, reached)
  }

  /** How far each store on disk goes, as far as is known. */
  held(): readonly { readonly partition: number; readonly reached: number }[] {
    return this.#options.list().map((partition) => ({ partition, reached: this.#reached.get(partition) ?? 0 }))
  }

  /** Removes stores that are past their retention, now and then until `signal` aborts; the first look is not at once. */
  async sweep(signal: AbortSignal, inUse: (partition: number) => boolean): Promise<void> {
    const { retentionMs, clock, remove } = this.#options
    if (retentionMs === undefined || remove === undefined) return
    for (;;) {
      await clock.sleep(Math.min(SWEEP_EVERY_MS, Math.max(1, retentionMs)), signal)
      if (signal.aborted) return
      for (const partition of this.#options.list()) {
        if (signal.aborted) return
        if (inUse(partition) || this.#looks.has(partition)) continue
        await this.#exclusively(partition, () => this.#sweep(partition, { retentionMs, remove }))
      }
    }
  }

  async #sweep(
    partition: number,
    options: { readonly retentionMs: number; readonly remove: (partition: number) => Promise<void> },
  ): Promise<void> {
    const { clock, logger } = this.#options
    const stamp = await this.#look(partition)
    const now = clock.now()
    const writtenAt = stamp === 'unreadable' ? (this.#unstampedSince.get(partition) ?? now) : stamp.writtenAt
    if (stamp === 'unreadable') this.#unstampedSince.set(partition, writtenAt)
    const fate = decideStoreFate({ writtenAt, now, retentionMs: options.retentionMs })
    if (fate.kind === 'keep') return
    await options.remove(partition)
    this.#reached.delete(partition)
    this.#unstampedSince.delete(partition)
    logger.info(
      { partition, writtenAt, ageMs: fate.ageMs },
      `removed the store of a partition that was not used here for ${formatDuration(fate.ageMs)}`,
    )
  }

  async #look(partition: number): Promise<Stamp | 'unreadable'> {
    const kv = await this.#options.open(partition)
    try {
      const stamp = (await new PartitionStore(kv).stamp()) ?? 'unreadable'
      this.#reached.set(partition, stamp === 'unreadable' ? 0 : stamp.changelogOffset)
      return stamp
    } finally {
      await kv.close()
    }
  }

  /** Never rejects: what it is for is a matter of tidiness. */
  async #exclusively(partition: number, run: () => Promise<unknown>): Promise<void> {
    const { logger } = this.#options
    const looking = run().then(
      () => undefined,
      (error: unknown) =>
        logger.warn(
          { partition, error: messageOf(error) },
          'cannot look into a store that is not in use; it is left alone',
        ),
    )
    this.#looks.set(partition, looking)
    await looking
    this.#looks.delete(partition)
  }
}
