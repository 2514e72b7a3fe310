import { readFile } from 'node:fs/promises'
import { messageOf, OncewardError } from '../core/errors.ts'

/** The secret in the file that `flag` names, without the line end that editors leave. It is never shown or logged. */
export async function readSecret(flag: string, path: string): Promise<string> {
  const secret = (await readSettingFile(flag, path)).trimEnd()
  if (secret !== '') return secret
  throw new OncewardError('ONCEWARD_E_FILE_UNREADABLE', `${flag}: ${path} is empty; write the secret into it`)
}

/** The text of a file that a setting names. Throws ONCEWARD_E_FILE_UNREADABLE. */
export async function readSettingFile(flag: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new OncewardError('ONCEWARD_E_FILE_UNREADABLE', `${flag}: ${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
