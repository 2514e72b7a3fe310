import { messageOf, OncewardError } from '../../core/errors.ts'

const PROBLEMS: Record<string, string> = {
  ENOENT: 'is gone, or its folder is; make the folder',
  EACCES: 'may not be written by this user; change its permissions',
  EPERM: 'may not be written by this user; change its permissions',
  EROFS: 'lies on a file system that is read-only; choose another folder',
  ENOSPC: 'cannot be written: the disk is full; make room',
  EDQUOT: 'cannot be written: the disk quota is used up; make room',
  EFBIG: 'would be larger than the file system or the limit of this process (ulimit -f) allows',
  EIO: 'cannot be written: the disk fails; mend it',
  EEXIST: 'is there already, though it should not be; nobody else may write into this folder',
  ENOTDIR: 'lies below something that is a file; name a directory',
  EMFILE: 'cannot be opened: this process has too many files open; raise the limit (ulimit -n)',
}

/** What failed at the disk as ONCEWARD_E_AUDIT_UNWRITABLE; what has a code of ours stays as it is. */
export function unwritable(path: string, error: unknown): OncewardError {
  if (error instanceof OncewardError) return error
  const problem = PROBLEMS[codeOf(error)] ?? `cannot be written: ${messageOf(error)}`
  return new OncewardError('ONCEWARD_E_AUDIT_UNWRITABLE', `the audit log ${path} ${problem}`, { cause: error })
}

export function broken(detail: string): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_AUDIT_BROKEN',
    `${detail}; keep the files as they are and look at them with onceward audit verify; a stream of another name can be begun meanwhile`,
  )
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
