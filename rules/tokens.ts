import type { ErrorCode } from '../core/errors.ts'
import type { Fault } from './problem.ts'

/** A piece of an expression. `name` is a whole path: `payload.bet` is one token. */
export interface Token {
  readonly kind: 'number' | 'text' | 'name' | 'symbol' | 'end'
  /** As written; for a text its value. */
  readonly text: string
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

/** Carries a Fault out of the tokenizer and the parser; never leaves parseExpression. */
export class FaultSignal extends Error {
  readonly fault: Fault

  constructor(fault: Fault) {
    super(fault.message)
    this.fault = fault
  }
}

export function fail(start: number, message: string, hint?: string, code?: ErrorCode): never {
  throw new FaultSignal({
    code: code ?? 'ONCEWARD_E_RULE_SYNTAX',
    start,
    message,
    ...(hint === undefined ? {} : { hint }),
  })
}

// Sticky and without nested repetition, so that each is linear in the text.
const BLANK = /[ \t\r\n]+/y
const NUMBER = /(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?/y
const NAME = /[\p{L}_$][\p{L}\p{N}_$]*(?:\.[\p{L}_$][\p{L}\p{N}_$]*)*/uy
const SYMBOL = /==|!=|<=|>=|&&|\|\||[-+*/%^()[\],<>!]/y

/** What people write by habit or by copying, and what it should be. */
const FOREIGN: readonly (readonly [string, string])[] = [
  ['===', 'write == to compare'],
  ['!==', 'write != to compare'],
  ['=>', 'write >= for "at least"'],
  ['=<', 'write <= for "at most"'],
  ['=', 'write == to compare'],
  ['<>', 'write != to compare'],
  ['**', 'write ^ for powers'],
  ['&', 'write `and`'],
  ['|', 'write `or`'],
  ['“', 'write straight quotes: "…"'],
  ['”', 'write straight quotes: "…"'],
  ['„', 'write straight quotes: "…"'],
  ['‘', "write straight quotes: '…'"],
  ['’', "write straight quotes: '…'"],
  ['`', 'write straight quotes: "…"'],
  ['×', 'write * to multiply'],
  ['·', 'write * to multiply'],
  ['÷', 'write / to divide'],
  ['−', 'write - (a plain hyphen) for minus'],
  ['–', 'write - (a plain hyphen) for minus'],
  ['≥', 'write >='],
  ['≤', 'write <='],
  ['≠', 'write !='],
  ['\u00a0', 'this is a no-break space; write a plain one'],
  ['?', 'write if(condition, value, otherwise)'],
  ['{', 'a list is written in square brackets: ["a", "b"]'],
  ['.', 'a field is written payload.name, a number 0.5'],
]

/** The tokens of `text`, closed by one of kind `end`. Throws FaultSignal. */
export function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = []
  let at = 0
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    return pattern.exec(text)?.[0]
  }
  while (at < text.length) {
    const blank = match(BLANK)
    if (blank !== undefined) {
      at += blank.length
      continue
    }
    const token = nextToken(text, at, match)
    tokens.push(token)
    at = token.end
  }
  tokens.push({ kind: 'end', text: '', start: text.trimEnd().length, end: text.length })
  return tokens
}

function nextToken(text: string, start: number, match: (pattern: RegExp) => string | undefined): Token {
  const token = (kind: Token['kind'], found: string): Token => ({ kind, text: found, start, end: start + found.length })
  const first = text.charAt(start)
  if (first === '"' || first === "'") return quoted(text, start)
  const number = match(NUMBER)
  if (number !== undefined) return numberToken(text, token('number', number))
  const name = match(NAME)
  if (name !== undefined) return nameToken(text, token('name', name))
  const foreign = FOREIGN.find(([written]) => text.startsWith(written, start) && !isOwnSymbol(text, start, written))
  if (foreign !== undefined) fail(start, `${JSON.stringify(foreign[0])} means nothing here`, foreign[1])
  const symbol = match(SYMBOL)
  if (symbol !== undefined) return token('symbol', symbol)
  const character = String.fromCodePoint(text.codePointAt(start) ?? 0)
  return fail(start, `${JSON.stringify(character)} means nothing in an expression`)
}

/** `=`, `&` and `|` begin symbols of the language too: == && ||. */
function isOwnSymbol(text: string, start: number, written: string): boolean {
  return written.length === 1 && ['==', '&&', '||'].some((symbol) => text.startsWith(symbol, start))
}

function numberToken(text: string, token: Token): Token {
  if (!Number.isFinite(Number(token.text))) fail(token.start, `${token.text} is too large for a number`)
  if (text.charAt(token.end) === '.') fail(token.end, 'a digit is missing around this point', 'write 5 or 5.0')
  return token
}

function nameToken(text: string, token: Token): Token {
  if (text.charAt(token.end) === '.') {
    fail(
      token.end,
      `a field name is missing after "${token.text}."`,
      'names are letters, digits and _, such as payload.bet',
    )
  }
  return token
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  '"': '"',
  "'": "'",
  '/': '/',
}

function quoted(text: string, start: number): Token {
  const quote = text.charAt(start)
  let value = ''
  for (let at = start + 1; at < text.length; at++) {
    const character = text.charAt(at)
    if (character === quote) return { kind: 'text', text: value, start, end: at + 1 }
    if (character !== '\\') {
      value += character
      continue
    }
    const escape = ESCAPES[text.charAt(at + 1)]
    if (escape === undefined)
      fail(at, 'this backslash escapes nothing', 'write \\\\ for a backslash; \\n, \\t and \\" are known too')
    value += escape
    at++
  }
  return fail(start, `this text has no closing ${quote}`, `close it with ${quote}`)
}
