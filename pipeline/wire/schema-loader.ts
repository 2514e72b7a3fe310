import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { RegisteredSchema, SchemaRegistry } from '../../core/ports/registry.ts'
import type { WireDecoder } from '../../operators/wire-decoder.ts'
import { schemaIdOf } from '../../operators/wire-format.ts'

export interface SchemaLoaderOptions {
  readonly registry: Pick<SchemaRegistry, 'schema'>
  readonly decoder: WireDecoder
  readonly clock: Clock
  readonly logger: Logger
}

/** Calls under way at once. */
const CALLS_MAX = 8
/** How long whoever waits does so at a time: between, it shows the group that it is alive. */
const HOLD_MS = 1_000
/**
 * An id that the registry does not know is asked for once more after this long: whoever registered it a moment ago may have
 * done so at another of the registry's instances. Only then are its events dead letters.
 */
const SECOND_LOOK_MS = 1_000
/** How long an id that the registry does not know stays so: it may be registered, or the registry restored. */
const UNKNOWN_MS = 60_000
/** Made-up ids must not fill the memory. */
const UNKNOWN_MAX = 10_000

/**
 * Sees to it that the decoder knows the schemas of records before they are decoded, so that decoding needs no I/O. An id
 * names one schema for ever, so each is asked for once in the life of a process; a batch of JSON asks for nothing.
 */
export class SchemaLoader {
  readonly #options: SchemaLoaderOptions
  /** Monotonic ms at which the registry last said that there is no such id. */
  readonly #unknown = new Map<number, number>()
  /** Calls under way: several partitions meet the same id at once. */
  readonly #asking = new Map<number, Promise<RegisteredSchema | undefined>>()
  #waiting = 0

  constructor(options: SchemaLoaderOptions) {
    this.#options = options
  }

  /** True while records wait for the registry. */
  get holding(): boolean {
    return this.#waiting > 0
  }

  /** For readers that somebody waits for: rejects where the registry cannot be asked. */
  async load(records: readonly Pick<LogRecord, 'value'>[]): Promise<void> {
    const missing = this.#missingIds(records)
    if (missing.length > 0) await this.#learn(missing)
  }

  /**
   * For a worker: tries until it has them, and never rejects; false where `signal` aborts before. `alive` is called about
   * every second.
   */
  async untilLoaded(
    records: readonly Pick<LogRecord, 'value'>[],
    { signal, alive }: { readonly signal: AbortSignal; readonly alive: () => Promise<void> },
  ): Promise<boolean> {
    const missing = this.#missingIds(records)
    if (missing.length === 0) return true
    this.#waiting++
    try {
      return await this.#hold(missing, signal, alive)
    } finally {
      this.#waiting--
    }
  }

  async #hold(missing: readonly number[], signal: AbortSignal, alive: () => Promise<void>): Promise<boolean> {
    const { clock, logger } = this.#options
    let told = false
    while (!signal.aborted) {
      const done = new AbortController()
      const learning = this.#learn(missing, signal).then(
        () => 'learnt' as const,
        (error: unknown) => ({ error }),
      )
      const settled = learning.finally(() => done.abort())
      let outcome: Awaited<typeof learning> | 'waiting' = 'waiting'
      while (outcome === 'waiting' && !signal.aborted) {
        const either = AbortSignal.any([signal, done.signal])
        outcome = await Promise.race([settled, clock.sleep(HOLD_MS, either).then(() => 'waiting' as const)])
        if (outcome === 'waiting') await alive()
      }
      if (outcome === 'learnt') {
        if (told) logger.info({ schemas: missing }, 'the schema registry answers again; events go on')
        return true
      }
      if (outcome === 'waiting') break
      if (!told) {
        const fields = { schemas: missing.slice(0, 20), error: messageOf(outcome.error) }
        logger.warn(fields, 'the schema registry cannot be asked for schemas of events; they wait until it can')
      }
      told = true
      await clock.sleep(HOLD_MS, signal)
      await alive()
    }
    return false
  }

  #missingIds(records: readonly Pick<LogRecord, 'value'>[]): readonly number[] {
    let ids: Set<number> | undefined
    for (const { value } of records) {
      // Most are JSON: one look at the first byte.
      const id = schemaIdOf(value)
      if (id === undefined || (this.#options.decoder.knows(id) && !this.#isStale(id))) continue
      ids ??= new Set()
      ids.add(id)
    }
    return ids === undefined ? [] : [...ids]
  }

  #isStale(id: number): boolean {
    const since = this.#unknown.get(id)
    return since !== undefined && this.#options.clock.monotonic() - since > UNKNOWN_MS
  }

  async #learn(ids: readonly number[], signal?: AbortSignal): Promise<void> {
    const { decoder, clock } = this.#options
    let unknown = await this.#ask(ids)
    if (unknown.length > 0) {
      await clock.sleep(SECOND_LOOK_MS, signal)
      unknown = await this.#ask(unknown)
    }
    if (this.#unknown.size + unknown.length > UNKNOWN_MAX) {
      for (const id of this.#unknown.keys()) decoder.forget(id)
      this.#unknown.clear()
    }
    for (const id of unknown) {
      decoder.learn(id, undefined)
      this.#unknown.set(id, clock.monotonic())
    }
  }

  /** Learns what the registry knows; answers what it does not. */
  async #ask(ids: readonly number[]): Promise<readonly number[]> {
    const { decoder } = this.#options
    const unknown: number[] = []
    const waiting = [...ids]
    const lane = async (): Promise<void> => {
      for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
        const found = await this.#askOnce(id)
        if (found === undefined) unknown.push(id)
        else {
          decoder.learn(id, found)
          this.#unknown.delete(id)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(CALLS_MAX, ids.length) }, lane))
    return unknown
  }

  #askOnce(id: number): Promise<RegisteredSchema | undefined> {
    const underWay = this.#asking.get(id)
    if (underWay !== undefined) return underWay
    const asking = this.#options.registry.schema(id).finally(() => this.#asking.delete(id))
    this.#asking.set(id, asking)
    return asking
  }
}
