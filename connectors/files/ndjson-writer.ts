import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { assert } from '../../core/assert.ts'
import type { OncewardError } from '../../core/errors.ts'
import { unwritable, writeError } from './errors.ts'

const FLUSH_CHARACTERS = 256 * 1024

/**
 * Writes one JSON value a line. The file appears under its own name only when `close` has brought all of it to the
 * disk; until then it is called `<path>.partial`, so that a run that failed never leaves something that looks whole.
 */
export interface NdjsonWriter {
  /**
   * Takes the values, in order. Await it before the next call: it resolves at once while there is room in the buffer and
   * otherwise when the buffer is written. Throws ONCEWARD_E_FILE_UNWRITABLE.
   */
  write(values: readonly object[]): Promise<void>
  /** Writes what is left, syncs, and gives the file its name, replacing one that had it. ONCEWARD_E_FILE_UNWRITABLE. */
  close(): Promise<void>
  /** Gives up: the partial file is removed, and a file that had the name before stays. Idempotent. */
  abort(): Promise<void>
}

/** Opens a writer; folders that are missing are made. Throws ONCEWARD_E_FILE_UNWRITABLE. */
export async function ndjsonWriter(path: string): Promise<NdjsonWriter> {
  return AtomicFile.open(path)
}

/** Writes a whole file in the same way: all of it or nothing. Throws ONCEWARD_E_FILE_UNWRITABLE. */
export async function writeTextFile(path: string, text: string): Promise<void> {
  const file = await AtomicFile.open(path)
  try {
    await file.append(text)
    await file.close()
  } catch (error) {
    await file.abort()
    throw error
  }
}

class AtomicFile implements NdjsonWriter {
  private readonly path: string
  private readonly handle: FileHandle
  private buffered = ''
  private state: 'open' | 'done' = 'open'
  /** Once a part is missing nothing may follow it, and the file must not get its name. */
  private failure: OncewardError | undefined

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.handle = handle
  }

  static async open(path: string): Promise<AtomicFile> {
    await mkdir(dirname(path), { recursive: true }).catch(unwritable(dirname(path)))
    const handle = await open(partial(path), 'w').catch(unwritable(path))
    return new AtomicFile(path, handle)
  }

  async write(values: readonly object[]): Promise<void> {
    for (const value of values) {
      this.buffered += `${JSON.stringify(value)}\n`
      if (this.buffered.length >= FLUSH_CHARACTERS) await this.flush()
    }
  }

  async append(text: string): Promise<void> {
    this.buffered += text
    if (this.buffered.length >= FLUSH_CHARACTERS) await this.flush()
  }

  async close(): Promise<void> {
    assert(this.state === 'open', `${this.path} is closed once`)
    await this.flush()
    await this.handle.sync().catch(unwritable(this.path))
    this.state = 'done'
    await this.handle.close().catch(unwritable(this.path))
    await rename(partial(this.path), this.path).catch(unwritable(this.path))
    await syncFolder(dirname(this.path)).catch(unwritable(this.path))
  }

  async abort(): Promise<void> {
    if (this.state === 'done') return
    this.state = 'done'
    await this.handle.close().catch(unwritable(this.path))
    await rm(partial(this.path), { force: true }).catch(unwritable(this.path))
  }

  private async flush(): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    const text = this.buffered
    this.buffered = ''
    try {
      // appendFile on a handle loops until every byte is written; a single write may take only a part.
      await this.handle.appendFile(text)
    } catch (error) {
      this.failure = writeError(this.path, error)
      throw this.failure
    }
  }
}

function partial(path: string): string {
  return `${path}.partial`
}

/** Makes the new name itself durable (fsync(2): syncing a file does not sync the entry of its folder). */
async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
