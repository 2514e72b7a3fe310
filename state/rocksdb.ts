import { mkdirSync } from 'node:fs'
import rocksdb, { type Callback, type Native, type NativeIterator } from 'rocksdb'
import { assert } from '../core/assert.ts'
import { messageOf, OncewardError } from '../core/errors.ts'
import type { KvOp, KvRange, OrderedKv } from '../core/ports/ordered-kv.ts'

export interface RocksDbOptions {
  /** Bytes of block cache for this database. */
  readonly cacheBytes?: number
  /** Bytes of memtable before it is flushed to a file. */
  readonly writeBufferBytes?: number
}

const BINARY = { asBuffer: true } as const

/**
 * Opens (or creates) the database in directory `path`. One process may hold it: ONCEWARD_E_STATE_LOCKED otherwise,
 * ONCEWARD_E_STATE_UNUSABLE where it cannot be opened.
 */
export async function openRocksDb(path: string, options: RocksDbOptions = {}): Promise<OrderedKv> {
  mkdirSync(path, { recursive: true })
  const native = rocksdb(path)
  await new Promise<void>((resolve, reject) => {
    const open = {
      createIfMissing: true,
      cacheSize: options.cacheBytes ?? 16 << 20,
      writeBufferSize: options.writeBufferBytes ?? 16 << 20,
    }
    native.open(open, (error) => (error ? reject(openError(path, error)) : resolve()))
  })
  return new GuardedRocksDb(path, native)
}

function openError(path: string, error: Error): OncewardError {
  const text = `${error.message} ${messageOf(error.cause ?? '')}`
  return /lock/i.test(text)
    ? new OncewardError(
        'ONCEWARD_E_STATE_LOCKED',
        `the state in ${path} is open in another process; a state directory belongs to one process: stop it or give this one its own`,
        { cause: error },
      )
    : new OncewardError('ONCEWARD_E_STATE_UNUSABLE', `cannot open the state in ${path}: ${text.trim()}`, {
        cause: error,
      })
}

/**
 * Owns the handle's life. The native library crashes the process on use after close, so every call is counted: `close`
 * refuses new ones and waits for those under way.
 */
class GuardedRocksDb implements OrderedKv {
  readonly #path: string
  readonly #native: Native
  #underWay = 0
  #idle: (() => void) | undefined
  #closing: Promise<void> | undefined

  constructor(path: string, native: Native) {
    this.#path = path
    this.#native = native
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    return this.getMany([key]).then((values) => values[0])
  }

  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    if (keys.length === 0) return Promise.resolve([])
    return this.#call<(Buffer | undefined)[]>((done) => this.#native.getMany(keys, BINARY, done))
  }

  write(ops: readonly KvOp[], options: { sync?: boolean } = {}): Promise<void> {
    if (ops.length === 0) return Promise.resolve()
    return this.#call<void>((done) => {
      // A chained batch: an array of operations costs twice as much on the way into the library.
      const batch = this.#native.batch()
      for (const op of ops) {
        if (op.type === 'put') batch.put(op.key, op.value)
        else batch.del(op.key)
      }
      batch.write({ sync: options.sync ?? false }, done)
    })
  }

  clear(range: { readonly gte: Buffer; readonly lt: Buffer }): Promise<void> {
    return this.#call<void>((done) => this.#native.clear(range, done))
  }

  async *range(range: KvRange): AsyncIterable<readonly [Buffer, Buffer]> {
    this.#enter()
    try {
      const iterator = this.#native.iterator({
        ...range,
        limit: range.limit ?? -1,
        keyAsBuffer: true,
        valueAsBuffer: true,
      })
      try {
        for (;;) {
          const entry = await nextEntry(iterator)
          if (entry === undefined) return
          yield entry
        }
      } finally {
        await new Promise<void>((resolve) => iterator.end(() => resolve()))
      }
    } finally {
      this.#leave()
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#drained().then(
      () =>
        new Promise<void>((resolve, reject) =>
          this.#native.close((error) => (error ? reject(this.#failure(error)) : resolve())),
        ),
    )
    return this.#closing
  }

  #drained(): Promise<void> {
    if (this.#underWay === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#idle = resolve
    })
  }

  #call<T>(start: (done: Callback<T>) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#enter()
      start((error, value) => {
        this.#leave()
        if (error) reject(this.#failure(error))
        else resolve(value)
      })
    })
  }

  #enter(): void {
    if (this.#closing) throw new OncewardError('ONCEWARD_E_STATE_UNUSABLE', `the state in ${this.#path} is closed`)
    this.#underWay++
  }

  #leave(): void {
    this.#underWay--
    assert(this.#underWay >= 0, 'calls of a database leave as often as they enter')
    if (this.#underWay === 0) this.#idle?.()
  }

  #failure(error: Error): OncewardError {
    return new OncewardError('ONCEWARD_E_STATE_UNUSABLE', `the state in ${this.#path} failed: ${error.message}`, {
      cause: error,
    })
  }
}

function nextEntry(iterator: NativeIterator): Promise<readonly [Buffer, Buffer] | undefined> {
  return new Promise((resolve, reject) => {
    iterator.next((error, key, value) => {
      if (error) reject(error)
      else resolve(key === undefined || value === undefined ? undefined : [key, value])
    })
  })
}
