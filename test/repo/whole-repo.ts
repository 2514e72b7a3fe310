import { posix } from 'node:path'
import { type Finding, FOLDERS, importsOf, isCode, lineAt, type SourceFile } from './source-files.ts'

/** What starts by itself, so that nobody imports it. */
const ENTRY_POINTS = new Set(['cli/main.ts', 'vitest.config.ts'])

/** Files of ours that no other file imports: code that cannot run. */
export function orphanFindings(files: readonly SourceFile[]): readonly Finding[] {
  const code = files.filter(isCode)
  const imported = new Set(
    code.flatMap((file) => [...importsOf(file).flatMap(({ target }) => target ?? []), ...started(file)]),
  )
  return code
    .filter(({ path }) => !imported.has(path) && !ENTRY_POINTS.has(path) && !path.endsWith('.test.ts'))
    .map(({ path }) => ({ path, line: 1, message: 'no file imports this one; wire it in, or delete it' }))
}

/** Files that `file` names in a text, to start them as processes of their own. */
function started(file: SourceFile): string[] {
  const names = [...file.text.matchAll(/['"`](?:\.\/)?([\w-]+\.ts)['"`]/g)].flatMap(([, name]) => name ?? [])
  return names.map((name) => posix.join(posix.dirname(file.path), name))
}

/** The README's folder map (lines such as `core/   the leaf`, in a code block) against the folders that there are. */
export function folderMapFindings(readme: SourceFile, folders: readonly string[]): readonly Finding[] {
  const listed = new Map<string, number>()
  for (const match of readme.text.matchAll(/^\s*([a-z]+)\/\s{2,}\S/gm)) {
    if (match[1] !== undefined) listed.set(match[1], lineAt(readme.text, match.index))
  }
  const ours = folders.filter((folder) => FOLDERS.includes(folder))
  const unlisted = ours
    .filter((folder) => !listed.has(folder))
    .map((folder) => ({
      path: readme.path,
      line: 1,
      message: `the folder map does not list ${folder}/; add a line that says what it holds`,
    }))
  const gone = [...listed]
    .filter(([folder]) => !folders.includes(folder))
    .map(([folder, line]) => ({
      path: readme.path,
      line,
      message: `the folder map lists ${folder}/, which does not exist; take it out`,
    }))
  return [...unlisted, ...gone]
}

export interface ErrorKind {
  readonly blame: string
  readonly retry: boolean
}

const BLAME_WORDS: Readonly<Record<string, string>> = {
  user: 'yours',
  external: 'the surroundings',
  internal: 'Onceward',
}

/**
 * docs/errors.md against the catalogue: each code once, in the catalogue's order, with its blame and retry, a meaning and
 * something to do. A row is `| CODE | whose fault | yes/no | meaning | what to do |`.
 */
export function errorsDocFindings(doc: SourceFile, kinds: Readonly<Record<string, ErrorKind>>): readonly Finding[] {
  const findings: Finding[] = []
  const rows = new Map<string, number>()
  doc.text.split('\n').forEach((text, index) => {
    const cells = text.split('|').map((cell) => cell.trim())
    const code = /^`(ONCEWARD_E_\w+)`$/.exec(cells[1] ?? '')?.[1]
    if (code === undefined) return
    const add = (message: string): void => void findings.push({ path: doc.path, line: index + 1, message })
    if (rows.has(code)) add(`${code} stands here twice; keep one row`)
    rows.set(code, index + 1)
    const kind = kinds[code]
    if (kind === undefined) return add(`${code} is not in core/errors.ts; take the row out`)
    const [, , blame, retry, meaning = '', next = ''] = cells
    if (blame !== BLAME_WORDS[kind.blame]) add(`${code}: whose fault must be "${BLAME_WORDS[kind.blame]}"`)
    if (retry !== (kind.retry ? 'yes' : 'no')) add(`${code}: retry must be "${kind.retry ? 'yes' : 'no'}"`)
    if (meaning.length < 20 || next.length < 20) add(`${code}: say what it means and what to do, a sentence each`)
  })
  const missing = Object.keys(kinds).filter((code) => !rows.has(code))
  for (const code of missing) findings.push({ path: doc.path, line: 1, message: `${code} is not listed; add a row` })
  const order = Object.keys(kinds).filter((code) => rows.has(code))
  const unordered = [...rows.keys()].filter((code) => code in kinds).findIndex((code, index) => code !== order[index])
  if (unordered >= 0)
    findings.push({ path: doc.path, line: 1, message: 'the rows are not in the order of core/errors.ts' })
  return findings
}
