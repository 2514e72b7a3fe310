import { OncewardError } from '../core/errors.ts'
import type { Log, PartitionReader, RecordBatch } from '../core/ports/log.ts'
import type { PartitionStore } from '../state/partition-store.ts'
import { NO_INPUT_OFFSET, STORE_FORMAT, type Stamp } from '../state/stamp.ts'
import { settledOffset } from '../state/stores.ts'

export interface FollowerOptions {
  readonly log: Log
  readonly store: PartitionStore
  readonly application: string
  readonly partition: number
  readonly changelog: string
  /** The first changelog offset that the store does not have. */
  readonly from: number
  /** Wall clock, ms: when the store was last level with the changelog, or empty. */
  readonly levelAt: number
  /** How long the changelog keeps tombstones, ms. */
  readonly deleteRetentionMs: number
  /** Bytes of changelog in one read, and so in one write to the store; twice as many are in memory. */
  readonly readBytesMax: number
  /** Wall clock, ms. */
  readonly now: () => number
}

/** What one step did. */
export interface Followed {
  /** Changelog records applied. */
  readonly applied: number
  /** The end of the changelog at the time. */
  readonly end: number
  /** The store has all that was committed when the step began to read. */
  readonly level: boolean
}

/**
 * Applies a partition's changelog to its store, run by run: for a recovery up to the end, for a standby copy for ever.
 *
 * I1 (stamp): each run is written with the stamp that it leads to, so a follower that stops anywhere is taken up there.
 * I7 (between commits): a run may end in the middle of a commit. Then the stamp names no input offset, for the store is
 *    level with none; only where all committed records are applied does it name the one that the state itself knows.
 *    Its date is when the store was last level: a tombstone written since may be gone before this store has read it.
 * I11 (no tombstone missed): a follower that was not level for as long as tombstones are kept (its process was frozen, its
 *    broker away) applies nothing any more: the stamp is as old, so whoever opens the store next rebuilds it.
 */
export class ChangelogFollower {
  readonly #options: FollowerOptions
  readonly #reader: PartitionReader
  #reached: number
  #levelAt: number
  #ahead: { readonly askedAt: number; readonly batch: Promise<RecordBatch> } | undefined

  private constructor(options: FollowerOptions, reader: PartitionReader) {
    this.#options = options
    this.#reader = reader
    this.#reached = options.from
    this.#levelAt = options.levelAt
  }

  static async open(options: FollowerOptions): Promise<ChangelogFollower> {
    const { log, changelog, partition } = options
    return new ChangelogFollower(options, await log.reader({ topic: changelog, partition }))
  }

  /** The next changelog offset to apply. */
  get reached(): number {
    return this.#reached
  }

  /** Wall clock, ms: when the store was last known to be level with the changelog. */
  get levelAt(): number {
    return this.#levelAt
  }

  /**
   * Reads and applies one run; waits up to `waitMs` for something to apply where there is nothing.
   * ONCEWARD_E_STATE_OUTDATED where tombstones may have gone unread.
   */
  async step(waitMs = 0): Promise<Followed> {
    const { store } = this.#options
    const { askedAt, batch: reading } = this.#ahead ?? this.#read(this.#reached, waitMs)
    this.#ahead = undefined
    const { records, nextOffset, end } = await reading
    this.#refuseOutdated()
    // No record and no way on: nothing but markers and aborted records are left.
    const stuck = records.length === 0 && nextOffset <= this.#reached
    const level = nextOffset >= end || stuck
    const reached = stuck ? Math.max(end, nextOffset) : nextOffset
    if (!level) this.#ahead = this.#read(nextOffset, 0)
    if (level) this.#levelAt = askedAt
    if (records.length > 0) await store.apply(records, (inputOffset) => this.#stamp(level, inputOffset, reached))
    this.#reached = reached
    return { applied: records.length, end, level }
  }

  /** Dates the stamp anew: a store that is level has missed no tombstone, however long nothing has been written. */
  async renew(): Promise<void> {
    const { store } = this.#options
    await store.write([], [], this.#stamp(true, settledOffset(await store.meta()), this.#reached))
  }

  async close(): Promise<void> {
    await this.#reader.close()
  }

  /** Asked once the records are here: what was gone before then cannot be among them. */
  #refuseOutdated(): void {
    const { now, deleteRetentionMs, application, partition } = this.#options
    const age = now() - this.#levelAt
    if (age < deleteRetentionMs) return
    throw new OncewardError(
      'ONCEWARD_E_STATE_OUTDATED',
      `${application}, partition ${partition}: the store was not level with the changelog for ${age} ms and may have missed tombstones, which are kept ${deleteRetentionMs} ms; it is rebuilt`,
    )
  }

  #read(offset: number, waitMs: number): { readonly askedAt: number; readonly batch: Promise<RecordBatch> } {
    const batch = this.#reader.read(offset, { waitMs, bytesMax: this.#options.readBytesMax })
    // What fails ahead of its time is told by the step that asks for it, if one still does.
    batch.catch(() => undefined)
    return { askedAt: this.#options.now(), batch }
  }

  #stamp(level: boolean, inputOffset: number | undefined, changelogOffset: number): Stamp {
    const { application, partition } = this.#options
    return {
      format: STORE_FORMAT,
      application,
      partition,
      inputOffset: (level ? inputOffset : undefined) ?? NO_INPUT_OFFSET,
      changelogOffset,
      writtenAt: this.#levelAt,
    }
  }
}
