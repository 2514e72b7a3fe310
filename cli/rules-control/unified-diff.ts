/** Lines around a change that are shown with it. */
const CONTEXT = 3

export interface DiffText {
  /** As the diff names it. */
  readonly name: string
  readonly text: string
}

interface Line {
  readonly kind: ' ' | '-' | '+'
  readonly text: string
}

/** What leads from one text to another, as `diff -u` shows it; empty where they are the same. */
export function unifiedDiff(from: DiffText, to: DiffText): string {
  const lines = changesBetween(linesOf(from.text), linesOf(to.text))
  const hunks = hunksOf(lines)
  if (hunks.length === 0) return ''
  return `--- ${from.name}\n+++ ${to.name}\n${hunks.map((hunk) => hunkText(lines, hunk)).join('')}`
}

const COLOURS: readonly (readonly [RegExp, string])[] = [
  [/^(---|\+\+\+) /, '\u001B[1m'],
  [/^@@/, '\u001B[36m'],
  [/^-/, '\u001B[31m'],
  [/^\+/, '\u001B[32m'],
]

/** A diff as terminals show it: red is gone, green is new. */
export function coloured(diff: string): string {
  return diff
    .split('\n')
    .map((line) => {
      const colour = COLOURS.find(([pattern]) => pattern.test(line))?.[1]
      return colour === undefined ? line : `${colour}${line}\u001B[0m`
    })
    .join('\n')
}

function linesOf(text: string): readonly string[] {
  const lines = text.split('\n')
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines
}

/**
 * The lines of both texts in an order that keeps as many as possible: the way through the table of longest common
 * subsequences. What both begin and end with is left out of the table, so a large file with a small change costs little.
 */
function changesBetween(from: readonly string[], to: readonly string[]): readonly Line[] {
  let head = 0
  while (head < from.length && head < to.length && from[head] === to[head]) head++
  let tail = 0
  while (tail < Math.min(from.length, to.length) - head && from.at(-1 - tail) === to.at(-1 - tail)) tail++
  const same = (text: string): Line => ({ kind: ' ', text })
  return [
    ...from.slice(0, head).map(same),
    ...middle(from.slice(head, from.length - tail), to.slice(head, to.length - tail)),
    ...from.slice(from.length - tail).map(same),
  ]
}

/** Beyond this many cells everything is shown as new: a table of them would take long. */
const CELLS_MAX = 4_000_000

function middle(from: readonly string[], to: readonly string[]): readonly Line[] {
  const all = [...from.map((text): Line => ({ kind: '-', text })), ...to.map((text): Line => ({ kind: '+', text }))]
  if (from.length * to.length > CELLS_MAX) return all
  const width = to.length + 1
  const common = new Uint16Array((from.length + 1) * width)
  const at = (i: number, j: number): number => common[i * width + j] ?? 0
  for (let i = from.length - 1; i >= 0; i--) {
    for (let j = to.length - 1; j >= 0; j--) {
      common[i * width + j] = from[i] === to[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const lines: Line[] = []
  for (let i = 0, j = 0; i < from.length || j < to.length; ) {
    const [gone, come] = [from[i], to[j]]
    if (gone !== undefined && gone === come) {
      lines.push({ kind: ' ', text: gone })
      i++
      j++
    } else if (gone !== undefined && (come === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ kind: '-', text: gone })
      i++
    } else {
      lines.push({ kind: '+', text: come ?? '' })
      j++
    }
  }
  return lines
}

/** Lines `begin` to `end` (exclusive). */
interface Hunk {
  readonly begin: number
  end: number
}

function hunksOf(lines: readonly Line[]): readonly Hunk[] {
  const hunks: Hunk[] = []
  for (const [i, { kind }] of lines.entries()) {
    if (kind === ' ') continue
    const end = Math.min(lines.length, i + 1 + CONTEXT)
    const last = hunks.at(-1)
    if (last !== undefined && i - CONTEXT <= last.end) last.end = end
    else hunks.push({ begin: Math.max(0, i - CONTEXT), end })
  }
  return hunks
}

function hunkText(lines: readonly Line[], { begin, end }: Hunk): string {
  const range = (sign: '-' | '+', from: number, to: number): number =>
    lines.slice(from, to).filter(({ kind }) => kind === ' ' || kind === sign).length
  const place = (sign: '-' | '+'): string => {
    const [before, count] = [range(sign, 0, begin), range(sign, begin, end)]
    return `${sign}${count === 0 ? before : before + 1}${count === 1 ? '' : `,${count}`}`
  }
  const body = lines.slice(begin, end).map(({ kind, text }) => `${kind}${text}\n`)
  return `@@ ${place('-')} ${place('+')} @@\n${body.join('')}`
}
