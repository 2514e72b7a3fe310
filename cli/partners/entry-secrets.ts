import { isAbsolute, join } from 'node:path'
import { messageOf } from '../../core/errors.ts'
import { secretsIn } from '../secret-file.ts'
import type { Fields } from './located-yaml.ts'

/** What a file of partners, or of the gateway, may reach for: other files, and variables. */
export interface Outside {
  /** The text of a file; rejects where it cannot be read. */
  read(path: string): Promise<string>
  readonly environment: Readonly<Record<string, string | undefined>>
}

export interface OutsideOfFile extends Outside {
  /** Where the file lies: paths in it are relative to this. */
  readonly folder: string
}

/** Whose secrets they are, for messages. */
export interface SecretOwner {
  /** `a partner` */
  readonly who: string
  readonly sharedWith: string
}

const VARIABLE = /^[A-Z][A-Z0-9_]*$/
const SECRETS_MAX = 2
const RIGHT = 'one, or a list of two while they are exchanged, the current one first'

/**
 * The secrets of an entry with a `name`, from its `secret_file` or `secret_env`: one, or two while they are exchanged. Throws
 * with the place; no secret stands in a message.
 */
export async function readEntrySecrets(
  fields: Fields,
  outside: OutsideOfFile,
  { who, sharedWith }: SecretOwner,
): Promise<readonly string[]> {
  const [files, variables] = [fields.texts('secret_file', RIGHT), fields.texts('secret_env', RIGHT)]
  if ((files === undefined) === (variables === undefined)) {
    const where = `where the secret is that it shares with ${sharedWith}`
    throw fields.wrong('name', `${who} has either secret_file or secret_env: ${where}`)
  }
  const key = files === undefined ? 'secret_env' : 'secret_file'
  const secrets =
    files === undefined ? fromVariables(fields, variables ?? [], outside) : await fromFiles(fields, files, outside)
  if (secrets.length <= SECRETS_MAX) return secrets
  throw fields.wrong(key, `these are ${secrets.length} secrets; ${who} has ${RIGHT}`)
}

async function fromFiles(fields: Fields, files: readonly string[], outside: OutsideOfFile): Promise<string[]> {
  const secrets: string[] = []
  for (const path of files) {
    const found = secretsIn(await readEntryFile(fields, { key: 'secret_file', path }, outside))
    if (found.length === 0) throw fields.wrong('secret_file', `${path} is empty; write the secret into it`)
    secrets.push(...found)
  }
  return secrets
}

function fromVariables(fields: Fields, names: readonly string[], { environment }: Outside): string[] {
  return names.map((name) => {
    // Somebody may have written the secret itself here; so what does not look like a variable is not repeated.
    if (!VARIABLE.test(name)) {
      throw fields.wrong('secret_env', 'secret_env names a variable: capital letters, digits and _')
    }
    const secret = environment[name]?.trim() ?? ''
    if (secret !== '') return secret
    throw fields.wrong('secret_env', `the variable ${name} is not set; give it the secret`)
  })
}

/** The text of the file that an entry names under `key`. Throws with the place where it cannot be read. */
export async function readEntryFile(
  fields: Fields,
  { key, path }: { readonly key: string; readonly path: string },
  outside: OutsideOfFile,
): Promise<string> {
  try {
    return await outside.read(pathOf(path, outside))
  } catch (error) {
    throw fields.wrong(key, `${path} cannot be read: ${messageOf(error)}`)
  }
}

/** As the file means it. */
export function pathOf(path: string, { folder }: Pick<OutsideOfFile, 'folder'>): string {
  return isAbsolute(path) ? path : join(folder, path)
}
