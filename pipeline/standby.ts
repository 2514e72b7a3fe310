import type { Clock } from '../core/clock.ts'
import { messageOf, OncewardError } from '../core/errors.ts'
import type { Log } from '../core/ports/log.ts'
import type { Logger } from '../core/ports/logger.ts'
import type { OrderedKv } from '../core/ports/ordered-kv.ts'
import { PartitionStore } from '../state/partition-store.ts'
import { decideStandby } from '../state/recovery.ts'
import type { Stamp } from '../state/stamp.ts'
import { ChangelogFollower } from './changelog-follower.ts'

export interface StandbyOptions {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  readonly application: string
  readonly partition: number
  readonly changelog: string
  readonly deleteRetentionMs: number
  readonly openStore: (partition: number) => Promise<OrderedKv>
}

/** Small, for the worker's own partitions are to go on meanwhile. */
const READ_BYTES_MAX = 1 << 20
/** How long one read waits for something new. */
const POLL_MS = 1_000
/** A copy that failed is begun again after this. */
const RETRY_MS = 5_000

/**
 * A copy of the state of a partition that another worker has, in the store that this worker would use if it were its own:
 * to take the partition over is to open that store and apply what is left of the changelog.
 *
 * I8 (behind): a copy is made from committed changelog records alone and takes no part in commits, so it is level with the
 *    log or behind, as an owner's store is, and the same decision fits both.
 * I9 (one user): the store is closed when `stop` resolves.
 */
export class StandbyCopy {
  readonly partition: number
  readonly #options: StandbyOptions
  readonly #stopping = new AbortController()
  readonly #ended: Promise<void>
  #follower: ChangelogFollower | undefined
  #level = false

  /** Begins at once, and again after each failure, until `stop`. */
  constructor(options: StandbyOptions) {
    this.partition = options.partition
    this.#options = options
    this.#ended = this.#run()
  }

  /** The changelog offset reached; undefined while the store is not open. */
  get reached(): number | undefined {
    return this.#follower?.reached
  }

  /** True where it had all that was committed when it last looked. */
  get level(): boolean {
    return this.#level
  }

  /** Resolves once the store is closed: within the time of one write. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    // Cuts off the read under way; what it fails with is nobody's concern any more.
    await this.#follower?.close().catch(() => undefined)
    await this.#ended
  }

  async #run(): Promise<void> {
    const { clock, logger, partition } = this.#options
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#keep()
      } catch (error) {
        if (signal.aborted) return
        logger.warn({ partition, error: messageOf(error) }, 'a standby copy failed; it is begun again where it stopped')
        await clock.sleep(RETRY_MS, signal)
      }
    }
  }

  async #keep(): Promise<void> {
    const kv = await this.#options.openStore(this.partition)
    try {
      if (this.#stopping.signal.aborted) return
      this.#follower = await this.#begin(new PartitionStore(kv))
      await this.#follow(this.#follower)
    } finally {
      this.#level = false
      await this.#follower?.close()
      this.#follower = undefined
      await kv.close()
    }
  }

  async #begin(store: PartitionStore): Promise<ChangelogFollower> {
    const { log, clock, logger, application, partition, changelog, deleteRetentionMs } = this.#options
    const now = clock.now()
    const stamp = await store.stamp()
    const [bounds] = await log.bounds([{ topic: changelog, partition }])
    if (bounds === undefined) throw new OncewardError('ONCEWARD_E_LOG_TOPIC_MISSING', `there is no topic ${changelog}`)
    const decision = decideStandby({ application, partition, stamp, changelog: bounds, now, deleteRetentionMs })
    if (decision.kind === 'refuse') throw new OncewardError(decision.code, decision.reason)
    logger.info({ partition, copy: decision.kind }, `standby copy begun: ${decision.kind}, ${decision.reason}`)
    if (decision.kind === 'rebuild') await store.clear()
    const options = { log, store, application, partition, changelog, deleteRetentionMs, readBytesMax: READ_BYTES_MAX }
    return ChangelogFollower.open({
      ...options,
      from: decision.kind === 'rebuild' ? bounds.earliest : decision.from,
      levelAt: decision.kind === 'rebuild' || !isStamp(stamp) ? now : stamp.writtenAt,
      now: () => clock.now(),
    })
  }

  async #follow(follower: ChangelogFollower): Promise<void> {
    const { clock, logger, partition, deleteRetentionMs } = this.#options
    let stampedAt = follower.levelAt
    while (!this.#stopping.signal.aborted) {
      const { applied, level } = await follower.step(POLL_MS)
      if (level && !this.#level) logger.info({ partition, reached: follower.reached }, 'standby copy is level')
      this.#level = level
      if (applied > 0) stampedAt = follower.levelAt
      else if (level && clock.now() - stampedAt >= deleteRetentionMs / 4) {
        await follower.renew()
        stampedAt = follower.levelAt
      }
    }
  }
}

function isStamp(stamp: Stamp | 'unreadable' | undefined): stamp is Stamp {
  return stamp !== undefined && stamp !== 'unreadable'
}
