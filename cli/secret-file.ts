import { readFile } from 'node:fs/promises'
import { messageOf, OncewardError } from '../core/errors.ts'

/** While secrets are exchanged there are two: the current one and the other. */
const SECRETS_MAX = 2

/** The secret in the file that `flag` names, without the line end that editors leave. It is never shown or logged. */
export async function readSecret(flag: string, path: string): Promise<string> {
  const secret = (await readSettingFile(flag, path)).trimEnd()
  if (secret !== '') return secret
  throw new OncewardError('ONCEWARD_E_FILE_UNREADABLE', `${flag}: ${path} is empty; write the secret into it`)
}

/** One secret or two, a line each, the current one first. Throws ONCEWARD_E_FILE_UNREADABLE. */
export async function readSecrets(flag: string, path: string): Promise<readonly string[]> {
  const problem = (what: string): OncewardError =>
    new OncewardError('ONCEWARD_E_FILE_UNREADABLE', `${flag}: ${path} ${what}`)
  const secrets = secretsIn(await readSettingFile(flag, path))
  if (secrets.length === 0) throw problem('is empty; write the secret into it')
  if (secrets.length > SECRETS_MAX) {
    throw problem(
      `has ${secrets.length} lines; it holds one secret, or two while they are exchanged: the current one first, then the other`,
    )
  }
  return secrets
}

/** The lines that hold something. */
export function secretsIn(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
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
