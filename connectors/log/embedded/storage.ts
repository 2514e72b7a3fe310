import { setMaxListeners } from 'node:events'
import { hasCode, messageOf, OncewardError } from '../../../core/errors.ts'
import type { KvOp, OrderedKv } from '../../../core/ports/ordered-kv.ts'
import type { KeyRange } from './keys.ts'

/** The newest chunks, by key: readers at the tail never touch the store. */
interface Tail {
  readonly bytesMax: number
  bytes: number
  readonly chunks: Map<string, Buffer>
}

/** The store as the log sees it: errors under the log's codes, the newest chunks kept in memory, closable. */
export class Storage {
  readonly #kv: OrderedKv
  readonly #tail: Tail
  readonly #closing = new AbortController()

  constructor(kv: OrderedKv, tailBytesMax: number) {
    this.#kv = kv
    this.#tail = { bytesMax: tailBytesMax, bytes: 0, chunks: new Map() }
    // Every reader that waits listens; Node would warn of a leak at the eleventh.
    setMaxListeners(0, this.#closing.signal)
  }

  /** Aborts when the log closes: whatever waits listens to it. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** From here on every call rejects with ONCEWARD_E_LOG_CLOSED. */
  close(): void {
    this.#closing.abort()
    this.#tail.chunks.clear()
  }

  checkOpen(): void {
    if (this.closing.aborted) throw new OncewardError('ONCEWARD_E_LOG_CLOSED', 'the embedded log is closed')
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    const cached = this.#tail.chunks.get(key.toString('latin1'))
    return cached && !this.closing.aborted ? Promise.resolve(cached) : this.#guard(() => this.#kv.get(key))
  }

  /** The entry with the greatest key in the range. */
  last(range: KeyRange): Promise<readonly [Buffer, Buffer] | undefined> {
    return this.#guard(async () => {
      for await (const entry of this.#kv.range({ ...range, limit: 1, reverse: true })) return entry
      return undefined
    })
  }

  async *range(range: KeyRange): AsyncIterable<readonly [Buffer, Buffer]> {
    this.checkOpen()
    try {
      for await (const entry of this.#kv.range(range)) {
        this.checkOpen()
        yield entry
      }
    } catch (error) {
      throw this.#failure(error)
    }
  }

  /** Does not look at `close`: a write that has begun is seen to its end, so that its caller learns what came of it. */
  async write(ops: readonly KvOp[], sync: boolean): Promise<void> {
    try {
      await this.#kv.write(ops, { sync })
    } catch (error) {
      throw unavailable(error)
    }
  }

  /** Keeps a written chunk in memory, in place of the oldest ones. */
  keep(key: Buffer, chunk: Buffer): void {
    const tail = this.#tail
    tail.chunks.set(key.toString('latin1'), chunk)
    tail.bytes += chunk.length
    for (const [oldest, bytes] of tail.chunks) {
      if (tail.bytes <= tail.bytesMax) return
      tail.chunks.delete(oldest)
      tail.bytes -= bytes.length
    }
  }

  /** Forgets a chunk that was removed or written anew. */
  forget(key: Buffer): void {
    const name = key.toString('latin1')
    this.#tail.bytes -= this.#tail.chunks.get(name)?.length ?? 0
    this.#tail.chunks.delete(name)
  }

  async #guard<T>(call: () => Promise<T>): Promise<T> {
    this.checkOpen()
    try {
      const result = await call()
      this.checkOpen()
      return result
    } catch (error) {
      throw this.#failure(error)
    }
  }

  #failure(error: unknown): OncewardError {
    if (this.closing.aborted) return new OncewardError('ONCEWARD_E_LOG_CLOSED', 'the embedded log is closed')
    if (hasCode(error, 'ONCEWARD_E_LOG_CLOSED')) return error
    return unavailable(error)
  }
}

function unavailable(error: unknown): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_LOG_UNAVAILABLE',
    `the embedded log's store failed: ${messageOf(error)}; check the disk's space and state, then try again`,
    { cause: error },
  )
}
