import { type Token, tokenize } from './tokens.ts'

/** Words that are no fields. */
export const KEYWORDS: readonly string[] = [
  'and',
  'or',
  'not',
  'in',
  'between',
  'contains',
  'starts_with',
  'true',
  'false',
  'null',
  'now',
]

const COMPARISONS: readonly string[] = ['==', '!=', '<', '<=', '>', '>=']
const END: Token = { kind: 'end', text: '', start: 0, end: 0 }

/** Walks over the tokens of one expression. Throws FaultSignal where the text has none. */
export class TokenCursor {
  readonly #tokens: readonly Token[]
  #position = 0

  constructor(text: string) {
    this.#tokens = tokenize(text)
  }

  /** The token `ahead` of the next one; the closing token of kind `end` beyond the last. */
  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#position + ahead, this.#tokens.length - 1)] ?? END
  }

  skip(): void {
    this.#position++
  }

  /** Steps over the next token where it is one of these symbols or words. */
  accept(...texts: readonly string[]): boolean {
    const token = this.peek()
    const fits = (token.kind === 'symbol' || token.kind === 'name') && texts.includes(token.text)
    if (fits) this.skip()
    return fits
  }

  acceptOperator<T extends string>(...operators: readonly T[]): T | undefined {
    const token = this.peek()
    const found = token.kind === 'symbol' ? operators.find((operator) => operator === token.text) : undefined
    if (found !== undefined) this.skip()
    return found
  }

  /** Where the token before the next one ended. */
  previousEnd(): number {
    return this.#tokens[this.#position - 1]?.end ?? 0
  }
}

export function isSymbol(token: Token, text: string): boolean {
  return token.kind === 'symbol' && token.text === text
}

export function isWord(token: Token, text: string): boolean {
  return token.kind === 'name' && token.text === text
}

/** A field or a function, as far as one token tells; AND is a misspelt word rather than a field to multiply with. */
export function isPlainName(token: Token): boolean {
  return token.kind === 'name' && !KEYWORDS.includes(token.text.toLowerCase())
}

export function isComparison(token: Token): boolean {
  return token.kind === 'symbol' && COMPARISONS.includes(token.text)
}

const WORD_RELATIONS: readonly string[] = ['in', 'between', 'contains', 'starts_with']

/** The relations that are words; `not` may stand before them. */
export function beginsMembership(token: Token): boolean {
  return token.kind === 'name' && WORD_RELATIONS.includes(token.text)
}

export function beginsRelation(token: Token): boolean {
  return isComparison(token) || beginsMembership(token)
}
