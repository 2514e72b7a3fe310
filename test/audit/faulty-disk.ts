import { type AuditDisk, type AuditFile, localDisk } from '../../connectors/audit/disk.ts'

/** What the next call of a file meets. Each answers what goes wrong: undefined: nothing. */
export interface DiskFaults {
  /** So many bytes are written, then it fails with the code. */
  write?: (bytes: number) => { readonly written: number; readonly code: string } | undefined
  sync?: () => string | undefined
  truncate?: () => string | undefined
  create?: () => string | undefined
}

/** A disk that fails when it is told to, and keeps just the bytes that it had taken by then. */
export function faultyDisk(faults: DiskFaults, disk: AuditDisk = localDisk): AuditDisk {
  const fileOf = (file: AuditFile): AuditFile => ({
    size: () => file.size(),
    async write(bytes, position) {
      const fault = faults.write?.(bytes.length)
      if (fault === undefined) return file.write(bytes, position)
      await file.write(bytes.subarray(0, fault.written), position)
      throw failure(fault.code)
    },
    async truncate(length) {
      failing(faults.truncate?.())
      await file.truncate(length)
    },
    async sync() {
      failing(faults.sync?.())
      await file.sync()
    },
    close: () => file.close(),
  })
  return {
    ...disk,
    async create(path) {
      failing(faults.create?.())
      return fileOf(await disk.create(path))
    },
    open: async (path) => fileOf(await disk.open(path)),
  }
}

function failing(code: string | undefined): void {
  if (code !== undefined) throw failure(code)
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}
