import type { ErrorCode } from '../core/errors.ts'

/** Something wrong with a rule, located so that its author can go straight to it. */
export interface RuleProblem {
  readonly code: ErrorCode
  /** Absent: an error. A warning keeps nothing from running. */
  readonly severity?: 'warning'
  readonly file: string
  /** From 1; 0 where the problem is no place in a text (a record of the control topic that is no JSON, say). */
  readonly line: number
  /** From 1, in UTF-16 code units, as editors count. */
  readonly column: number
  /** A sentence: what was found and what is allowed. */
  readonly message: string
  /** What would be right. */
  readonly hint?: string
  /** The line, and below it a caret under the column; empty where there is no line. */
  readonly snippet: string
}

/** What is wrong and where in one expression; offsets count UTF-16 code units from the expression's start. */
export interface Fault {
  readonly code: ErrorCode
  /** Absent: an error. */
  readonly severity?: 'warning'
  readonly start: number
  readonly message: string
  readonly hint?: string
}

/** `file:line:column`, the code, the sentence, the line with a caret, and the hint, as terminals show it. */
export function formatProblem(problem: RuleProblem): string {
  const place = problem.line === 0 ? problem.file : `${problem.file}:${problem.line}:${problem.column}`
  const lines = [`${place}: ${problem.message} [${problem.code}]`]
  if (problem.snippet !== '') lines.push(...problem.snippet.split('\n').map((line) => `    ${line}`))
  if (problem.hint !== undefined) lines.push(`  ${problem.hint}`)
  return lines.join('\n')
}

/** A record of the control topic that cannot be used; `place` is where it stands. */
export function ignoredRecord(place: string, why: string): RuleProblem {
  return {
    code: 'ONCEWARD_E_RULE_WRONG_VALUE',
    file: place,
    line: 0,
    column: 0,
    message: `this record is ignored: ${why}`,
    snippet: '',
  }
}

const SNIPPET_WIDTH_MAX = 160

/** The line and a caret under `column`; a long line is cut around the column. */
export function snippetOf(line: string, column: number): string {
  const from = column > SNIPPET_WIDTH_MAX ? column - SNIPPET_WIDTH_MAX / 2 : 0
  const shown = line.slice(from, from + SNIPPET_WIDTH_MAX)
  // Tabs stay tabs, so that the caret stands right whatever their width.
  const padding = shown.slice(0, Math.max(0, column - 1 - from)).replaceAll(/[^\t]/g, ' ')
  return `${shown}\n${padding}^`
}

const NAME_LENGTH_MAX = 64

/** The candidate that `name` most likely meant: at most a third of its letters differ. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > NAME_LENGTH_MAX) return undefined
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of candidates) {
    if (candidate === name || candidate.length > NAME_LENGTH_MAX) continue
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Edits (insert, delete, replace, swap neighbours) that turn `a` into `b`: the optimal string alignment distance. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1)
      }
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}
