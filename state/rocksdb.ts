import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import rocksdb, { type Callback, type Native, type NativeIterator } from 'rocksdb'
import { assert } from '../core/assert.ts'
import { messageOf, OncewardError } from '../core/errors.ts'
import type { KvOp, KvRange, OrderedKv } from '../core/ports/ordered-kv.ts'

export interface RocksDbOptions {
  /** Bytes of block cache for this database. */
  readonly cacheBytes?: number
  /** Bytes of memtable before it is flushed to a file. */
  readonly writeBufferBytes?: number
  /**
   * For databases that can be made again: one that is corrupt is moved to `aside`, never deleted, and an empty one is
   * opened in its place. Told of each that was moved, with the reason.
   */
  readonly setAside?: (moved: { readonly aside: string; readonly reason: string }) => void
}

const BINARY = { asBuffer: true } as const

/** Lies in the directory of a database in which corruption was found; holds the reason. */
const CORRUPT_MARK = 'CORRUPT'
/** Lies in the directory while it is being opened; holds how many times in a row that was begun and never finished. */
const OPENING_MARK = 'OPENING'
/** RocksDB ends the whole process on some damage. A process that is killed is hardly hit in these milliseconds so often. */
const DEATHS_MAX = 3

/**
 * Opens (or creates) the database in directory `path`. One process may hold it: ONCEWARD_E_STATE_LOCKED otherwise,
 * ONCEWARD_E_STATE_UNUSABLE where it cannot be opened. Corruption that shows later fails the call with
 * ONCEWARD_E_STATE_CORRUPT where `setAside` is given (opening again then moves it), ONCEWARD_E_STATE_UNUSABLE otherwise.
 */
export async function openRocksDb(path: string, options: RocksDbOptions = {}): Promise<OrderedKv> {
  const { setAside } = options
  if (setAside === undefined) return openAt(path, options)
  const known = knownCorruption(path)
  if (known !== undefined) setAside({ aside: moveAside(path), reason: known })
  try {
    return await openAt(path, options)
  } catch (error) {
    if (!isCorruption(error)) throw error
    setAside({ aside: moveAside(path), reason: messageOf(error) })
    return openAt(path, options)
  }
}

async function openAt(path: string, options: RocksDbOptions): Promise<OrderedKv> {
  const opening = options.setAside === undefined ? undefined : join(path, OPENING_MARK)
  const native = rocksdb(path)
  try {
    mkdirSync(path, { recursive: true })
    if (opening !== undefined) writeFileSync(opening, String(deathsIn(path) + 1))
    await new Promise<void>((resolve, reject) => {
      const open = {
        createIfMissing: true,
        cacheSize: options.cacheBytes ?? 16 << 20,
        writeBufferSize: options.writeBufferBytes ?? 16 << 20,
      }
      native.open(open, (error) => (error ? reject(error) : resolve()))
    })
  } catch (error) {
    throw openError(path, error)
  } finally {
    if (opening !== undefined) rmSync(opening, { force: true })
  }
  return new GuardedRocksDb(path, native, options.setAside !== undefined)
}

function openError(path: string, error: unknown): OncewardError {
  const text = `${messageOf(error)} ${messageOf(error instanceof Error ? (error.cause ?? '') : '')}`
  return /lock/i.test(text) && !isCorruption(error)
    ? new OncewardError(
        'ONCEWARD_E_STATE_LOCKED',
        `the state in ${path} is open in another process; a state directory belongs to one process: stop it or give this one its own`,
        { cause: error },
      )
    : new OncewardError('ONCEWARD_E_STATE_UNUSABLE', `cannot open the state in ${path}: ${text.trim()}`, {
        cause: error,
      })
}

/** A file that is missing is as bad as one that is wrong: RocksDB names both as they are, on opening and on reading. */
function isCorruption(error: unknown): boolean {
  return /Corruption|No such file or directory/.test(
    `${messageOf(error)} ${error instanceof Error ? messageOf(error.cause ?? '') : ''}`,
  )
}

function knownCorruption(path: string): string | undefined {
  const mark = join(path, CORRUPT_MARK)
  if (existsSync(mark)) return readFileSync(mark, 'utf8').trim()
  const deaths = deathsIn(path)
  return deaths < DEATHS_MAX ? undefined : `the process ended ${deaths} times in a row while it was opened`
}

function deathsIn(path: string): number {
  const mark = join(path, OPENING_MARK)
  return existsSync(mark) ? Number(readFileSync(mark, 'utf8')) || 0 : 0
}

/** Answers where it is now: `<path>.corrupt-1`, or the next number that is free. */
function moveAside(path: string): string {
  let number = 1
  while (existsSync(`${path}.corrupt-${number}`)) number++
  const aside = `${path}.corrupt-${number}`
  renameSync(path, aside)
  return aside
}

/**
 * Owns the handle's life. The native library crashes the process on use after close, so every call is counted: `close`
 * refuses new ones and waits for those under way.
 */
class GuardedRocksDb implements OrderedKv {
  readonly #path: string
  readonly #native: Native
  /** Corruption is marked, for the next opening to move the database aside. */
  readonly #marks: boolean
  #underWay = 0
  #idle: (() => void) | undefined
  #closing: Promise<void> | undefined

  constructor(path: string, native: Native, marks: boolean) {
    this.#path = path
    this.#native = native
    this.#marks = marks
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
          const entry = await this.#nextEntry(iterator)
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

  #nextEntry(iterator: NativeIterator): Promise<readonly [Buffer, Buffer] | undefined> {
    return new Promise((resolve, reject) => {
      iterator.next((error, key, value) => {
        if (error) reject(this.#failure(error))
        else resolve(key === undefined || value === undefined ? undefined : [key, value])
      })
    })
  }

  #failure(error: Error): OncewardError {
    const text = `the state in ${this.#path} failed: ${error.message}`
    if (!this.#marks || !isCorruption(error)) {
      return new OncewardError('ONCEWARD_E_STATE_UNUSABLE', text, { cause: error })
    }
    return new OncewardError('ONCEWARD_E_STATE_CORRUPT', `${text}; ${this.#mark(error.message)}`, { cause: error })
  }

  /** Says what comes of it. Where even the mark cannot be written, the next reading finds the corruption again. */
  #mark(reason: string): string {
    try {
      writeFileSync(join(this.#path, CORRUPT_MARK), `${reason}\n`)
      return 'it is moved aside and made again when it is opened next'
    } catch (error) {
      return `it could not even be marked as corrupt (${messageOf(error)})`
    }
  }
}
