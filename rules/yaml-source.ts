import { Composer, type CST, isAlias, isScalar, type Node, Parser, type Scalar, visit } from 'yaml'
import type { ErrorCode } from '../core/errors.ts'
import { type Fault, type RuleProblem, snippetOf } from './problem.ts'

/** A rule file: its text, and whatever is wrong with it. */
export interface RuleFile {
  /** As messages name it. */
  readonly file: string
  readonly text: string
  /** What stands in the file that `users_file` names, where it was found. */
  readonly users?: string
}

/** Longest rule file, in UTF-16 code units; far below what one record of the control topic may hold. */
export const RULE_FILE_LENGTH_MAX = 100_000

/**
 * Most levels of lists and maps. The YAML package composes recursively and, some thousand levels deep, not only overflows
 * the stack but takes the whole process down (V8 has no room left to compile its regular expressions); a rule that
 * comes over the control topic must not be able to do that. Its parser, which keeps its own stack, is safe.
 */
const NESTING_MAX = 50

/** Most problems that are told of one file. */
export const PROBLEMS_MAX = 100

/** What to report, and the offset in the file at which it lies. */
export interface Finding {
  readonly code: ErrorCode
  /** Absent: an error. */
  readonly severity?: 'warning'
  readonly message: string
  readonly hint?: string | undefined
}

/** What a file holds, as messages name it. */
export interface FileKind {
  readonly noun: string
  /** How such a file begins. */
  readonly begins: string
  /** The code of all its problems; undefined: each has its own. */
  readonly code?: ErrorCode
}

const RULE_KIND: FileKind = { noun: 'rule', begins: 'rule_id: …' }

/** Collects the problems of one file, located. */
export class YamlSource {
  readonly problems: RuleProblem[] = []
  readonly warnings: RuleProblem[] = []
  readonly file: string
  readonly text: string
  /** Of our own: the YAML package counts some lines twice or not at all where a file is broken. */
  readonly #lines: readonly string[]
  readonly #kind: FileKind

  constructor(file: RuleFile, kind: FileKind = RULE_KIND) {
    this.#kind = kind
    this.file = file.file
    this.text = file.text
    this.#lines = file.text.split('\n')
  }

  /** The one document of the file; undefined where there is none that can be read, with problems reported. */
  parse(): Node | undefined {
    if (this.text.length > RULE_FILE_LENGTH_MAX) {
      this.report(
        0,
        wrongSyntax(
          `a ${this.#kind.noun} file has at most ${RULE_FILE_LENGTH_MAX} characters, this has ${this.text.length}`,
        ),
      )
      return undefined
    }
    return this.#document()
  }

  #document(): Node | undefined {
    const tokens = [...new Parser().parse(this.text)]
    const tooDeep = firstBelow(tokens, NESTING_MAX)
    if (tooDeep !== undefined) {
      this.report(tooDeep, wrongSyntax(`a ${this.#kind.noun} file nests at most ${NESTING_MAX} levels deep`))
      return undefined
    }
    const options = { prettyErrors: false, uniqueKeys: false, version: '1.2' } as const
    const documents = [...new Composer(options).compose(tokens)]
    const [document, second] = documents
    for (const { pos, message } of documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])) {
      this.report(pos[0], wrongSyntax(message))
    }
    if (second !== undefined) {
      const at = second.range[0]
      const { noun } = this.#kind
      this.report(at, wrongSyntax(`a ${noun} file holds one ${noun}`, `put the second ${noun} in a file of its own`))
    }
    if (document !== undefined && document.contents !== null) {
      visit(document, {
        Alias: (_, node) => {
          this.report(
            node,
            wrongSyntax(`references (*name) are not allowed in a ${this.#kind.noun}`, 'write the value out'),
          )
        },
      })
    }
    if (this.problems.length > 0) return undefined
    const contents = document?.contents ?? null
    if (contents === null || isAlias(contents)) {
      this.report(0, {
        code: 'ONCEWARD_E_RULE_MISSING_KEY',
        message: 'the file is empty',
        hint: `a ${this.#kind.noun} begins with ${this.#kind.begins}`,
      })
      return undefined
    }
    return contents
  }

  /** Reports at an offset of the file, or where `place` begins. */
  report(place: number | Node, finding: Finding): void {
    const found = finding.severity === 'warning' ? this.warnings : this.problems
    // A file that is nothing like a rule would otherwise be answered with one problem for each of its lines.
    if (found.length > PROBLEMS_MAX) return
    const last = found.length === PROBLEMS_MAX
    const { code, message, hint } = last ? wrongSyntax(`there are more problems than these ${PROBLEMS_MAX}`) : finding
    const offset = typeof place === 'number' ? place : (place.range?.[0] ?? 0)
    const { line, column } = this.#place(offset)
    const snippet = snippetOf((this.#lines[line - 1] ?? '').replace(/\r$/, ''), column)
    found.push({
      code: this.#kind.code ?? code,
      ...(finding.severity === undefined ? {} : { severity: finding.severity }),
      file: this.file,
      line,
      column,
      message,
      snippet,
      ...(hint === undefined ? {} : { hint }),
    })
  }

  /** Reports a fault of the expression that `scalar` holds, at its own place inside of the scalar. */
  reportFault(scalar: Scalar, fault: Fault): void {
    this.report(this.offsetInside(scalar, fault.start), fault)
  }

  #place(offset: number): { line: number; column: number } {
    let rest = Math.min(offset, this.text.length)
    let line = 0
    for (const { length } of this.#lines) {
      line++
      if (rest <= length) break
      rest -= length + 1
    }
    return { line, column: rest + 1 }
  }

  /** The offset in the file of character `index` of the scalar's text, whatever style it is written in. */
  offsetInside(scalar: Scalar, index: number): number {
    const [start, end] = scalar.range ?? [0, 0]
    const value = typeof scalar.value === 'string' ? scalar.value : ''
    let at = start
    if (scalar.type === 'QUOTE_DOUBLE' || scalar.type === 'QUOTE_SINGLE') at++
    // A block's header, such as >- or |2, ends with its line.
    if (scalar.type === 'BLOCK_FOLDED' || scalar.type === 'BLOCK_LITERAL') at = this.text.indexOf('\n', start) + 1
    for (let i = 0; ; i++) {
      at = this.#skipFolding(scalar, at, value.charAt(i))
      if (i >= index || at >= end) return Math.min(at, end)
      at += this.#writtenLength(scalar, at)
    }
  }

  /** Steps over line breaks and indentation that stand for nothing, or for the one blank that `next` is. */
  #skipFolding(scalar: Scalar, at: number, next: string): number {
    let to = at
    if (scalar.type === 'QUOTE_DOUBLE') {
      while (/^\\\r?\n/.test(this.text.slice(to, to + 3))) to += this.text.charAt(to + 1) === '\r' ? 3 : 2
    }
    if (this.text.charAt(to) === next) return to
    const blank = (offset: number): boolean => /\s/.test(this.text.charAt(offset)) && offset < this.text.length
    while (blank(to)) to++
    // A folded line break is one blank of the text: leave one character of it to stand for that.
    return next === ' ' && to > at ? to - 1 : to
  }

  #writtenLength(scalar: Scalar, at: number): number {
    if (scalar.type === 'QUOTE_SINGLE' && this.text.startsWith("''", at)) return 2
    if (scalar.type !== 'QUOTE_DOUBLE' || this.text.charAt(at) !== '\\') return 1
    return { x: 4, u: 6, U: 10 }[this.text.charAt(at + 1)] ?? 2
  }
}

function wrongSyntax(message: string, hint?: string): Finding {
  return { code: 'ONCEWARD_E_RULE_SYNTAX', message, hint }
}

/** True for a scalar that holds a text. */
export function isTextScalar(node: unknown): node is Scalar<string> {
  return isScalar(node) && typeof node.value === 'string'
}

/** The offset of a token more than `levels` deep; found without recursion. */
function firstBelow(tokens: readonly CST.Token[], levels: number): number | undefined {
  let level = [...tokens]
  for (let depth = 0; level.length > 0; depth++) {
    const [first] = level
    if (depth > levels && first !== undefined) return first.offset
    level = level.flatMap(childTokens)
  }
  return undefined
}

function childTokens(token: CST.Token): CST.Token[] {
  if (token.type === 'document') return token.value === undefined ? [] : [token.value]
  if (!('items' in token)) return []
  return token.items.flatMap(({ key, value }) => [key, value].filter((part) => part !== undefined && part !== null))
}
