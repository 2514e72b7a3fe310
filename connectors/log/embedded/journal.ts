import { messageOf, OncewardError } from '../../../core/errors.ts'
import type { Logger } from '../../../core/ports/logger.ts'
import { Draft } from './draft.ts'
import { readU64, SEQUENCE_KEY, u64 } from './keys.ts'
import type { LogState } from './state.ts'
import type { Storage } from './storage.ts'

/** One write takes what has queued up meanwhile, up to about so many bytes. */
const WRITE_BYTES_MAX = 4 << 20

interface Request {
  /** Checks and stages; throws to refuse this request alone. May be called again on a fresh draft. */
  readonly stage: (draft: Draft) => () => void
  readonly reject: (error: unknown) => void
}

interface Write {
  readonly draft: Draft
  readonly sequence: number
}

/** What came of a write whose call failed. */
type Fate = 'landed' | 'lost' | 'unknown'

/**
 * The single writer. Requests are staged in order on a draft, written in one atomic write, then applied; those that
 * come while a write is under way share the next one.
 *
 * I1. State in memory moves only after the write that carries it has succeeded.
 * I2. Each write raises the stored sequence by one, so that after a failed call the store itself says whether the write
 *     is in it; no further write happens before that is known.
 */
export class Journal {
  readonly #state: LogState
  readonly #storage: Storage
  readonly #options: { readonly sync: boolean; readonly logger: Logger }
  #queue: Request[] = []
  #draining: Promise<void> | undefined
  #unsettled: Write | undefined
  /** Called after each write. */
  onWritten: () => void = () => undefined

  constructor(state: LogState, storage: Storage, options: { readonly sync: boolean; readonly logger: Logger }) {
    this.#state = state
    this.#storage = storage
    this.#options = options
  }

  /**
   * Stages, writes and applies; answers what `stage` did. A `stage` that throws leaves nothing, and harms no other.
   * ONCEWARD_E_LOG_UNAVAILABLE: not written. ONCEWARD_E_LOG_COMMIT_UNKNOWN: the store failed and does not say whether
   * the write is in it.
   */
  submit<T>(stage: (draft: Draft) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#storage.checkOpen()
      const request = {
        reject,
        stage: (draft: Draft) => {
          const result = stage(draft)
          return () => resolve(result)
        },
      }
      this.#queue.push(request)
      this.#draining ??= this.#drain()
    })
  }

  /** Resolves once nothing is under way. */
  async idle(): Promise<void> {
    while (this.#draining) await this.#draining
  }

  async #drain(): Promise<void> {
    // The first turn ends here, so that requests made together share one write.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      try {
        await this.#settle()
        this.#storage.checkOpen()
      } catch (error) {
        for (const request of this.#queue.splice(0)) request.reject(error)
        continue
      }
      await this.#writeOnce()
    }
    // In the same turn as the last look at the queue: a request made later starts the next drain.
    this.#draining = undefined
  }

  async #writeOnce(): Promise<void> {
    const { draft, staged } = this.#stage()
    const ops = draft.ops()
    if (ops.length === 0) {
      draft.apply(this.#storage)
      for (const { resolve } of staged) resolve()
      return
    }
    const write = { draft, sequence: this.#state.sequence + 1 }
    ops.push({ type: 'put', key: SEQUENCE_KEY, value: u64(write.sequence) })
    try {
      await this.#storage.write(ops, this.#options.sync)
      this.#apply(write)
    } catch (error) {
      const failure = await this.#afterFailure(write, error)
      if (failure !== undefined) {
        for (const { request } of staged) request.reject(failure)
        return
      }
    }
    for (const { resolve } of staged) resolve()
  }

  /** Stages as many requests as fit. One that fails after it changed the draft is refused and the rest staged anew. */
  #stage(): { draft: Draft; staged: { request: Request; resolve: () => void }[] } {
    const draft = new Draft(this.#state)
    const staged: { request: Request; resolve: () => void }[] = []
    while (draft.bytes < WRITE_BYTES_MAX) {
      const request = this.#queue.shift()
      if (request === undefined) break
      const before = draft.changes
      try {
        staged.push({ request, resolve: request.stage(draft) })
      } catch (error) {
        request.reject(error)
        if (draft.changes === before) continue
        this.#queue.unshift(...staged.map((entry) => entry.request))
        return this.#stage()
      }
    }
    return { draft, staged }
  }

  #apply({ draft, sequence }: Write): void {
    this.#state.sequence = sequence
    draft.apply(this.#storage)
    this.onWritten()
  }

  /** undefined where the write is in the store after all; else what its callers are told. */
  async #afterFailure(write: Write, error: unknown): Promise<unknown> {
    const fate = await this.#fate(write)
    this.#options.logger.error({ err: messageOf(error), fate }, 'a write to the embedded log failed')
    if (fate === 'landed') this.#apply(write)
    if (fate === 'landed') return undefined
    if (fate === 'lost') return error
    this.#unsettled = write
    return new OncewardError(
      'ONCEWARD_E_LOG_COMMIT_UNKNOWN',
      `the embedded log's store failed and does not say whether the write is in it: ${messageOf(error)}`,
      { cause: error },
    )
  }

  /** Finds out about a write whose fate was unknown; throws where the store still does not say. */
  async #settle(): Promise<void> {
    const write = this.#unsettled
    if (!write) return
    const fate = await this.#fate(write)
    if (fate === 'unknown') {
      throw new OncewardError(
        'ONCEWARD_E_LOG_UNAVAILABLE',
        "the embedded log's store cannot be read since a write failed; check the disk, then open the log again",
      )
    }
    this.#unsettled = undefined
    if (fate === 'landed') this.#apply(write)
  }

  async #fate({ sequence }: Write): Promise<Fate> {
    try {
      const stored = await this.#storage.get(SEQUENCE_KEY)
      return stored !== undefined && readU64(stored, 0) >= sequence ? 'landed' : 'lost'
    } catch {
      return 'unknown'
    }
  }
}
