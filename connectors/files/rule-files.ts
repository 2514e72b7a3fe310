import type { Stats } from 'node:fs'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { decodeText, unreadable } from './errors.ts'

export interface RuleFile {
  /** The path as it was given, and what lies below it. */
  readonly file: string
  readonly text: string
  /** Of a segment: what stands in the file that its `users_file` names, where there is one. */
  readonly users?: string
}

/**
 * The rule files below `dir`: *.yaml and *.yml but not *.test.yaml (those test rules), in every subfolder, in order of
 * path. Names that begin with a dot are left out (a ConfigMap mounted by Kubernetes holds every file twice, once in
 * such a folder). `dir` may also be one file. Empty where there are none. Throws ONCEWARD_E_FILE_UNREADABLE.
 */
export async function readRuleFiles(dir: string): Promise<RuleFile[]> {
  const stats = await statOf(dir)
  const paths = stats.isDirectory() ? await rulePathsBelow(dir, new Set()) : [dir]
  const files = paths.sort().map(async (file) => {
    const text = decodeText(file, await readFile(file).catch(unreadable(file)))
    const users = await usersBeside(file, text)
    return { file, text, ...(users === undefined ? {} : { users }) }
  })
  return Promise.all(files)
}

/** A plain name only: what lies elsewhere is no part of the folder. */
const USERS_FILE = /^users_file:[ \t]*["']?([\w][\w.-]*)["']?[ \t]*(?:#.*)?\r?$/m

/** The list of users that a segment file names; undefined where it names none, or where none is there. */
async function usersBeside(file: string, text: string): Promise<string | undefined> {
  const name = USERS_FILE.exec(text)?.[1]
  if (name === undefined) return undefined
  const path = join(dirname(file), name)
  const there = await stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  )
  return there ? decodeText(path, await readFile(path).catch(unreadable(path))) : undefined
}

/** `visited` holds the real paths of the folders above and before: links may lead in circles. */
async function rulePathsBelow(dir: string, visited: Set<string>): Promise<string[]> {
  const real = await realpath(dir).catch(unreadable(dir))
  if (visited.has(real)) return []
  visited.add(real)
  const paths: string[] = []
  for (const name of (await readdir(dir).catch(unreadable(dir))).sort()) {
    if (name.startsWith('.')) continue
    const path = join(dir, name)
    if ((await statOf(path)).isDirectory()) paths.push(...(await rulePathsBelow(path, visited)))
    else if (/\.ya?ml$/i.test(name) && !/\.test\.ya?ml$/i.test(name)) paths.push(path)
  }
  return paths
}

async function statOf(path: string): Promise<Stats> {
  return stat(path).catch(unreadable(path))
}
