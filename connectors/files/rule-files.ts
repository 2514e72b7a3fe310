import type { Stats } from 'node:fs'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeText, unreadable } from './errors.ts'

export interface RuleFile {
  /** The path as it was given, and what lies below it. */
  readonly file: string
  readonly text: string
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
    const bytes = await readFile(file).catch(unreadable(file))
    return { file, text: decodeText(file, bytes) }
  })
  return Promise.all(files)
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
