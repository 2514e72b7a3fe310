import { rmSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { unwritable } from '../../connectors/files/errors.ts'

export interface DataFolder {
  readonly path: string
  /** Removed by `close`. */
  readonly temporary: boolean
  close(): Promise<void>
}

/** The folder `dir`, made where it is missing; without one, a temporary folder that does not outlive the process. */
export async function openDataFolder(dir: string | undefined): Promise<DataFolder> {
  if (dir !== undefined) {
    const path = resolve(dir)
    await mkdir(path, { recursive: true }).catch(unwritable(path))
    return { path, temporary: false, close: () => Promise.resolve() }
  }
  const path = await mkdtemp(join(tmpdir(), 'onceward-demo-')).catch(unwritable(tmpdir()))
  // Where the demo runs as root, Postgres runs as another user, who has to pass through.
  await chmod(path, 0o711)
  // A second Ctrl-C ends the process at once, while Postgres may still be writing its last files.
  const removeAtExit = (): void => rmSync(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  process.on('exit', removeAtExit)
  return {
    path,
    temporary: true,
    async close() {
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
      process.removeListener('exit', removeAtExit)
    },
  }
}
