import { fstatSync } from 'node:fs'
import { chmod, type FileHandle, mkdir, open, readdir, unlink } from 'node:fs/promises'
import { codeOf } from './failures.ts'

/** One file that a writer appends to. Errors are the system's own, with its codes. */
export interface AuditFile {
  /** Bytes now; cheap. */
  size(): number
  /** All of `bytes` at `position`. Where it rejects, any part of them may stand there. */
  write(bytes: Buffer, position: number): Promise<void>
  truncate(length: number): Promise<void>
  /** Resolves once all that was written survives a loss of power. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** What a writer asks of a disk, so that tests can have one that fails. */
export interface AuditDisk {
  /** Makes a file that must not be there yet, readable by its group (0640). */
  create(path: string): Promise<AuditFile>
  /** Opens a file for writing that is there. */
  open(path: string): Promise<AuditFile>
  makeFolder(path: string): Promise<void>
  /** Names in a folder, sorted; none where there is no such folder. */
  list(folder: string): Promise<readonly string[]>
  /** Makes what was created or removed in the folder survive a loss of power. */
  syncFolder(path: string): Promise<void>
  /** Takes everybody's right to write the file (0440). */
  makeReadOnly(path: string): Promise<void>
  remove(path: string): Promise<void>
}

const FILE_MODE = 0o640
const READ_ONLY_MODE = 0o440
const FOLDER_MODE = 0o750

export const localDisk: AuditDisk = {
  create: async (path) => fileOn(await open(path, 'wx', FILE_MODE)),
  open: async (path) => fileOn(await open(path, 'r+')),
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: FOLDER_MODE })
  },
  async list(folder) {
    try {
      return (await readdir(folder)).sort()
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      throw error
    }
  },
  async syncFolder(path) {
    const handle = await open(path, 'r')
    await handle.sync().finally(() => handle.close())
  },
  makeReadOnly: (path) => chmod(path, READ_ONLY_MODE),
  remove: (path) => unlink(path),
}

function fileOn(handle: FileHandle): AuditFile {
  return {
    size: () => fstatSync(handle.fd).size,
    async write(bytes, position) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
        done += bytesWritten
      }
    },
    truncate: (length) => handle.truncate(length),
    sync: () => handle.datasync(),
    close: () => handle.close(),
  }
}
