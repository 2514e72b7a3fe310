import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decodeText, unreadable } from './errors.ts'

export interface SchemaFile {
  /** The file's name without its folder. */
  readonly name: string
  readonly text: string
}

/** Beside the sources as in dist/, where the build copies it. */
const OWN_SCHEMAS = fileURLToPath(new URL('../../schemas/', import.meta.url))

/**
 * The schemas that come with Onceward, and those of `dir` (its *.avsc files, not its subfolders). A file of `dir` takes
 * the place of the one with the same name. In order of name. Throws ONCEWARD_E_FILE_UNREADABLE.
 */
export async function loadSchemas(dir?: string): Promise<SchemaFile[]> {
  const files = await schemaFilesOf(OWN_SCHEMAS)
  if (dir !== undefined) for (const [name, path] of await schemaFilesOf(dir)) files.set(name, path)
  const names = [...files.keys()].sort()
  return Promise.all(
    names.map(async (name) => {
      const path = files.get(name) ?? name
      return { name: basename(path), text: decodeText(path, await readFile(path).catch(unreadable(path))) }
    }),
  )
}

async function schemaFilesOf(dir: string): Promise<Map<string, string>> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(unreadable(dir))
  const names = entries.filter((entry) => !entry.isDirectory() && entry.name.endsWith('.avsc')).map(({ name }) => name)
  return new Map(names.map((name) => [name, join(dir, name)]))
}
