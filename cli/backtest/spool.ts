import { createReadStream, createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { readError } from '../../connectors/files/errors.ts'

/**
 * A file that can be read more than once: `path` itself, or a copy in `folder` of what comes from a pipe or from the standard
 * input (`-`). Throws ONCEWARD_E_FILE_UNREADABLE.
 */
export async function spool(path: string, folder: string, signal: AbortSignal): Promise<string> {
  const copy = join(folder, 'events')
  try {
    if (path !== '-' && !(await stat(path)).isFIFO()) return path
    const source = path === '-' ? process.stdin : createReadStream(path)
    await pipeline(source, createWriteStream(copy), { signal })
    return copy
  } catch (error) {
    signal.throwIfAborted()
    throw readError(path === '-' ? 'the standard input' : path, error)
  }
}
