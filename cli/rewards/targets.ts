import { readFile } from 'node:fs/promises'
import { text as textOf } from 'node:stream/consumers'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { BackOffice } from '../../core/ports/back-office.ts'
import { readCsv } from './csv.ts'

/** Names of the column with the ids; the first that the header has. */
const ID_COLUMNS = ['id', 'reward_task_id', 'task_id', 'request_id']

/** The text of `path`, or of the standard input where it is `-`. Throws ONCEWARD_E_FILE_UNREADABLE. */
export async function readText(flag: string, path: string): Promise<string> {
  try {
    return path === '-' ? await textOf(process.stdin) : await readFile(path, 'utf8')
  } catch (error) {
    throw new OncewardError('ONCEWARD_E_FILE_UNREADABLE', `${flag}: ${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Ids out of a CSV or of plain lines. Throws ONCEWARD_E_FILE_UNREADABLE with all that is wrong. */
export function idsIn(path: string, text: string): readonly string[] {
  const reading = readCsv(text)
  if (!reading.ok) throw unreadable(`${path}:${reading.line}: ${reading.problem}`)
  const [first, ...rest] = reading.rows
  if (first === undefined) throw unreadable(`${path} is empty; write one id a line`)
  const column = ID_COLUMNS.map((name) => first.cells.indexOf(name)).find((at) => at !== -1)
  if (column === undefined && first.cells.length > 1) {
    throw unreadable(`${path}:1: no column is called ${ID_COLUMNS.join(', ')}; name the one with the ids so`)
  }
  const rows = column === undefined ? reading.rows : rest
  const problems: string[] = []
  const ids = rows.map(({ line, cells }) => {
    const id = cells[column ?? 0] ?? ''
    if (id === '') problems.push(`${path}:${line}: the id is missing`)
    if (id.includes('\0')) problems.push(`${path}:${line}: the id holds a NUL character`)
    return id
  })
  if (problems.length > 0) throw unreadable(problems.join('\n'))
  return [...new Set(ids)]
}

function unreadable(message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_FILE_UNREADABLE', message)
}

export interface TargetSettings {
  readonly task: readonly string[] | undefined
  readonly file: string | undefined
}

/**
 * What a command is for: ids, a file, or what fits the filters (`matching` undefined: none was given). Throws
 * ONCEWARD_E_USAGE where it is for nothing, or for two kinds of things at once.
 */
export async function targetsOf(
  office: BackOffice,
  { task, file }: TargetSettings,
  matching: (() => Promise<readonly string[]>) | undefined,
): Promise<readonly string[]> {
  const kinds = [task, file, matching].filter((kind) => kind !== undefined)
  if (kinds.length !== 1) {
    const what = kinds.length === 0 ? 'it is not said for which rewards' : 'that is said in more than one way'
    throw new OncewardError('ONCEWARD_E_USAGE', `${what}; write ids, or --file FILE, or filters such as --pool ID`)
  }
  if (matching !== undefined) return matching()
  const given = task ?? (file === undefined ? [] : idsIn(file, await readText('--file', file)))
  const found: string[] = []
  for (const id of given) found.push(id.startsWith('rid_') ? (await office.reward(id)).taskId : id)
  return [...new Set(found)]
}
