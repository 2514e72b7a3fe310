import { OncewardError, messageOf } from '../../core/errors.ts'

const READ_PROBLEMS: Record<string, string> = {
  ENOENT: 'does not exist; check the path',
  EACCES: 'may not be read by this user; change its permissions',
  EPERM: 'may not be read by this user; change its permissions',
  EISDIR: 'is a directory; name a file',
  ENOTDIR: 'is a file, or lies below one; name a directory',
  ELOOP: 'is a chain of links that leads to itself',
  ENAMETOOLONG: 'is a longer name than the file system takes',
  EMFILE: 'cannot be opened: this process has too many files open; raise the limit (ulimit -n)',
  Z_DATA_ERROR: 'begins like gzip but is damaged; make it again',
  Z_BUF_ERROR: 'is gzip that ends too early; it was not copied whole',
}

const WRITE_PROBLEMS: Record<string, string> = {
  ENOENT: 'cannot be made: its folder does not exist',
  EACCES: 'may not be written by this user; choose another folder or change its permissions',
  EPERM: 'may not be written by this user; choose another folder or change its permissions',
  EISDIR: 'is a directory; name a file',
  ENOTDIR: 'lies below something that is a file; name a directory',
  EEXIST: 'is a file where a folder is needed; choose another path',
  EROFS: 'lies on a file system that is read-only; choose another folder',
  ENOSPC: 'cannot be written: the disk is full; make room and start again',
  EDQUOT: 'cannot be written: the disk quota is used up; make room and start again',
  EFBIG: 'would be larger than the file system or the limit of this process (ulimit -f) allows',
  ENAMETOOLONG: 'is a longer name than the file system takes',
  EMFILE: 'cannot be opened: this process has too many files open; raise the limit (ulimit -n)',
}

/** A handler for promises of reads: throws ONCEWARD_E_FILE_UNREADABLE naming `path`. */
export function unreadable(path: string): (error: unknown) => never {
  return (error) => {
    throw readError(path, error)
  }
}

/** A handler for promises of writes: throws ONCEWARD_E_FILE_UNWRITABLE naming `path`. */
export function unwritable(path: string): (error: unknown) => never {
  return (error) => {
    throw writeError(path, error)
  }
}

export function readError(path: string, error: unknown): OncewardError {
  if (error instanceof OncewardError) return error
  const problem = READ_PROBLEMS[codeOf(error)] ?? `cannot be read: ${messageOf(error)}`
  return new OncewardError('ONCEWARD_E_FILE_UNREADABLE', `${path} ${problem}`, { cause: error })
}

export function writeError(path: string, error: unknown): OncewardError {
  if (error instanceof OncewardError) return error
  const problem = WRITE_PROBLEMS[codeOf(error)] ?? `cannot be written: ${messageOf(error)}`
  return new OncewardError('ONCEWARD_E_FILE_UNWRITABLE', `${path} ${problem}`, { cause: error })
}

/** The text of a file that must be UTF-8; a byte order mark at its beginning is left out. */
export function decodeText(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    const problem = `${path} is not UTF-8 text; save it in UTF-8`
    throw new OncewardError('ONCEWARD_E_FILE_UNREADABLE', problem, { cause: error })
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
