import { OncewardError } from '../../core/errors.ts'
import type { AuditFile } from './disk.ts'
import { unwritable } from './failures.ts'

/** Above this, bytes that are not known to be on the disk are synced before more are taken. */
const UNSYNCED_BYTES_MAX = 64 * 1_048_576

/**
 * The end of one segment file. What holds after every call, whether it succeeded or not:
 * T1  the first `bytes` of the file are those that were acknowledged, and nothing else counts;
 * T2  nothing is written while the file is longer than that: what a failed write has left is cut first;
 * T3  after a sync that failed nothing is acknowledged until all that it may have lost was written and synced again: the
 *     system forgets that such pages were dirty, and would call the next sync a success.
 */
export class Tape {
  readonly path: string
  readonly #file: AuditFile
  #bytes: number
  #synced: number
  #unsynced: Buffer[] = []
  /** A write has failed and may have left something. */
  #dirty = false
  #doubtful = false
  #syncing: Promise<void> | undefined

  constructor(path: string, file: AuditFile, bytes: number) {
    this.path = path
    this.#file = file
    this.#bytes = bytes
    this.#synced = bytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get isSynced(): boolean {
    return this.#synced === this.#bytes && !this.#doubtful
  }

  /** Throws ONCEWARD_E_AUDIT_UNWRITABLE, and then nothing of `bytes` counts. `durable`: only once they are on the disk. */
  async write(bytes: Buffer, durable: boolean): Promise<void> {
    await this.#ready().catch((error: unknown) => {
      throw unwritable(this.path, error)
    })
    try {
      await this.#file.write(bytes, this.#bytes)
      if (durable) await this.#syncWith()
    } catch (error) {
      await this.#cut()
      throw unwritable(this.path, error)
    }
    this.#bytes += bytes.length
    if (!durable) {
      this.#unsynced.push(bytes)
      return
    }
    this.#synced = this.#bytes
    this.#unsynced = []
  }

  /** Resolves once all that was written before the call is on the disk. Throws ONCEWARD_E_AUDIT_UNWRITABLE. */
  async sync(): Promise<void> {
    await this.#syncing?.catch(() => undefined)
    if (this.isSynced) return
    this.#syncing ??= this.#syncOnce().finally(() => {
      this.#syncing = undefined
    })
    await this.#syncing
  }

  async close(): Promise<void> {
    await this.#syncing?.catch(() => undefined)
    await this.#file.close()
  }

  async #ready(): Promise<void> {
    if (this.#doubtful || this.#bytes - this.#synced > UNSYNCED_BYTES_MAX) await this.sync()
    if (this.#dirty) await this.#file.truncate(this.#bytes)
    this.#dirty = false
    const size = this.#file.size()
    if (size === this.#bytes) return
    throw new OncewardError(
      'ONCEWARD_E_AUDIT_UNWRITABLE',
      `the audit log ${this.path} has ${size} bytes, not the ${this.#bytes} that were written: somebody else changes it; stop this process and look at it with onceward audit verify`,
    )
  }

  /** What was written before, and is not known to be on the disk, is as doubtful after a failure as what was written now (T3). */
  async #syncWith(): Promise<void> {
    try {
      await this.#file.sync()
      // One that went on beside it may have been told of a failure in its place.
      await this.#syncing
    } catch (error) {
      this.#doubtful ||= this.#unsynced.length > 0
      throw error
    }
  }

  /** A write may go on meanwhile, and what it adds is left for the next sync. */
  async #syncOnce(): Promise<void> {
    const bytes = this.#bytes
    const parts = this.#unsynced.length
    try {
      if (this.#doubtful) await this.#file.write(Buffer.concat(this.#unsynced), this.#synced)
      await this.#file.sync()
    } catch (error) {
      this.#doubtful = true
      throw unwritable(this.path, error)
    }
    this.#doubtful = false
    this.#synced = Math.max(this.#synced, bytes)
    this.#unsynced.splice(0, parts)
  }

  /** Where it fails too, the next write tries again before anything else. */
  async #cut(): Promise<void> {
    this.#dirty = true
    try {
      if (this.#file.size() > this.#bytes) await this.#file.truncate(this.#bytes)
      this.#dirty = false
    } catch {
      this.#dirty = true
    }
  }
}
