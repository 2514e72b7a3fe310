import { nowPart } from './now-parts.ts'
import type { Fault } from './problem.ts'
import type { ArithmeticOperator, ComparisonOperator, Expression, MatchOperator } from './syntax-tree.ts'
import {
  beginsMembership,
  beginsRelation,
  isComparison,
  isPlainName,
  isSymbol,
  isWord,
  KEYWORDS,
  TokenCursor,
} from './token-cursor.ts'
import { FaultSignal, fail, type Token } from './tokens.ts'
import { EXPRESSION_LENGTH_MAX, TreeBounds } from './tree-bounds.ts'
import { acceptDuration, parseWindow, windowFunction } from './window-parser.ts'

export type Parsed =
  | { readonly ok: true; readonly expression: Expression }
  | { readonly ok: false; readonly fault: Fault }

/**
 * Reads one expression. From loose to tight: or, and, not, comparison (with in, between, contains; not chained), + -, * / %,
 * implicit multiplication, unary - + !, ^ (right to left). Implicit multiplication is mathjs' own, with its exception:
 * in `1/2 payload.x` the fraction of two numbers binds first.
 */
export function parseExpression(text: string): Parsed {
  try {
    if (text.length > EXPRESSION_LENGTH_MAX) {
      fail(0, `an expression has at most ${EXPRESSION_LENGTH_MAX} characters, this has ${text.length}`)
    }
    return { ok: true, expression: new Parser(text).whole() }
  } catch (error) {
    if (error instanceof FaultSignal) return { ok: false, fault: error.fault }
    throw error
  }
}

class Parser {
  readonly #tokens: TokenCursor
  readonly #bounds = new TreeBounds()
  /** Those in parentheses: a number may follow them, `(a + b) 3`. */
  readonly #grouped = new WeakSet<Expression>()
  /** How many + and - stand before it. */
  readonly #signs = new WeakMap<Expression, number>()

  constructor(text: string) {
    this.#tokens = new TokenCursor(text)
  }

  whole(): Expression {
    if (this.#tokens.peek().kind === 'end') fail(0, 'the expression is empty')
    const node = this.#or()
    const rest = this.#tokens.peek()
    if (rest.kind !== 'end') this.#unexpected(rest, 'an operator or the end')
    return node
  }

  #or(): Expression {
    let node = this.#and()
    while (this.#tokens.accept('or', '||')) node = this.#logic('or', node, this.#and())
    return node
  }

  #and(): Expression {
    let node = this.#not()
    while (this.#tokens.accept('and', '&&')) node = this.#logic('and', node, this.#not())
    return node
  }

  #logic(operator: 'and' | 'or', left: Expression, right: Expression): Expression {
    return this.#made({ kind: 'logic', operator, left, right, start: left.start, end: right.end })
  }

  #not(): Expression {
    const token = this.#tokens.peek()
    if (!this.#tokens.accept('not')) return this.#comparison()
    return this.#nested(token, () => {
      const operand = this.#not()
      return this.#made({ kind: 'not', operand, start: token.start, end: operand.end })
    })
  }

  #comparison(): Expression {
    const left = this.#sum()
    const node = this.#relation(left)
    const next = this.#tokens.peek()
    if (node !== left && beginsRelation(next)) {
      fail(next.start, 'comparisons cannot be chained', 'write `a < b and b < c`, or `b between a and c`')
    }
    return node
  }

  #relation(left: Expression): Expression {
    const token = this.#tokens.peek()
    if (isComparison(token)) {
      this.#tokens.skip()
      const right = this.#sum()
      const operator = token.text as ComparisonOperator
      return this.#made({ kind: 'compare', operator, left, right, start: left.start, end: right.end })
    }
    const negated = isWord(token, 'not') && beginsMembership(this.#tokens.peek(1))
    if (negated) this.#tokens.skip()
    if (this.#tokens.accept('between')) return this.#between(left, negated)
    if (this.#tokens.accept('in')) return this.#in(left, negated)
    if (this.#tokens.accept('contains')) return this.#match('contains', left, negated)
    if (this.#tokens.accept('starts_with')) return this.#match('starts_with', left, negated)
    return left
  }

  #match(operator: MatchOperator, left: Expression, negated: boolean): Expression {
    const right = this.#sum()
    return this.#made({ kind: 'match', operator, negated, left, right, start: left.start, end: right.end })
  }

  #between(operand: Expression, negated: boolean): Expression {
    const low = this.#sum()
    if (!this.#tokens.accept('and', '&&')) this.#unexpected(this.#tokens.peek(), '`and`, as in `between 1 and 5`')
    const high = this.#sum()
    return this.#made({ kind: 'between', negated, operand, low, high, start: operand.start, end: high.end })
  }

  #in(operand: Expression, negated: boolean): Expression {
    const open = this.#tokens.peek()
    if (this.#tokens.accept('segment')) return this.#segment(operand, negated)
    if (!this.#tokens.accept('[')) this.#unexpected(open, 'a list after `in`, such as ["TR", "BR"], or segment("vip"),')
    const list: Expression[] = []
    while (!this.#tokens.accept(']')) {
      if (list.length > 0 && !this.#tokens.accept(',')) this.#unexpected(this.#tokens.peek(), 'a comma or ]')
      if (list.length > 0 && this.#tokens.accept(']')) break
      list.push(this.#sum())
    }
    if (list.length === 0)
      fail(open.start, 'this list is empty, so nothing can be in it', 'name what is allowed: ["TR", "BR"]')
    return this.#made({ kind: 'in', negated, operand, list, start: operand.start, end: this.#tokens.previousEnd() })
  }

  #segment(operand: Expression, negated: boolean): Expression {
    const form = 'the name of a segment in quotes, as in segment("vip"),'
    if (!this.#tokens.accept('(')) this.#unexpected(this.#tokens.peek(), form)
    const name = this.#tokens.peek()
    if (name.kind !== 'text') this.#unexpected(name, form)
    this.#tokens.skip()
    if (!this.#tokens.accept(')')) this.#unexpected(this.#tokens.peek(), ')')
    const { start } = operand
    const end = this.#tokens.previousEnd()
    return this.#made({ kind: 'segment', negated, operand, name: name.text, nameStart: name.start, start, end })
  }

  #sum(): Expression {
    let node = this.#product()
    for (;;) {
      const operator = this.#tokens.acceptOperator('+', '-')
      if (operator === undefined) return node
      node = this.#arithmetic(operator, node, this.#product())
    }
  }

  #product(): Expression {
    let node = this.#juxtaposed()
    for (;;) {
      const operator = this.#tokens.acceptOperator('*', '/', '%')
      if (operator === undefined) return node
      node = this.#arithmetic(operator, node, this.#juxtaposed())
    }
  }

  /** Implicit multiplication: `2 payload.win`, `(a / b) 3`, `2(a + b)`. */
  #juxtaposed(): Expression {
    let last = this.#fraction()
    let node = last
    while (this.#beginsFactor(this.#tokens.peek(), last)) {
      last = this.#fraction()
      node = this.#arithmetic('*', node, last)
    }
    return node
  }

  /** mathjs' exception: `[-]number / number` before a name or a parenthesis is a fraction. */
  #fraction(): Expression {
    let node = this.#unary()
    let last = node
    while (
      this.#isNumberAsWritten(last) &&
      isSymbol(this.#tokens.peek(), '/') &&
      this.#tokens.peek(1).kind === 'number'
    ) {
      const after = this.#tokens.peek(2)
      if (!isSymbol(after, '(') && !isPlainName(after)) break
      this.#tokens.skip()
      last = this.#unary()
      node = this.#arithmetic('/', node, last)
    }
    return node
  }

  #unary(): Expression {
    const token = this.#tokens.peek()
    if (this.#tokens.accept('-')) {
      return this.#nested(token, () => {
        const operand = this.#unary()
        const node = this.#made({ kind: 'negate', operand, start: token.start, end: operand.end })
        this.#signs.set(node, this.#signsOf(operand) + 1)
        return node
      })
    }
    if (this.#tokens.accept('+')) {
      const operand = this.#nested(token, () => this.#unary())
      this.#signs.set(operand, this.#signsOf(operand) + 1)
      return operand
    }
    if (this.#tokens.accept('!')) {
      return this.#nested(token, () => {
        const operand = this.#unary()
        return this.#made({ kind: 'not', operand, start: token.start, end: operand.end })
      })
    }
    return this.#power()
  }

  #power(): Expression {
    const base = this.#primary()
    const token = this.#tokens.peek()
    if (!this.#tokens.accept('^')) return base
    return this.#nested(token, () => this.#arithmetic('^', base, this.#unary()))
  }

  #primary(): Expression {
    const token = this.#tokens.peek()
    const { start, end } = token
    if (token.kind === 'number') {
      const duration = acceptDuration(this.#tokens)
      if (duration !== undefined) return this.#made(duration)
      this.#tokens.skip()
      return this.#made({ kind: 'number', value: Number(token.text), start, end })
    }
    if (token.kind === 'text') {
      this.#tokens.skip()
      return this.#made({ kind: 'text', value: token.text, start, end })
    }
    if (token.kind === 'name') return this.#name(token)
    if (this.#tokens.accept('(')) return this.#group(token)
    if (isSymbol(token, '[')) fail(start, 'a list can only stand after `in`', 'write user.geo in ["TR", "BR"]')
    return this.#unexpected(token, 'a number, a text, a field or a function')
  }

  #group(open: Token): Expression {
    return this.#nested(open, () => {
      const inner = this.#or()
      if (!this.#tokens.accept(')')) this.#unclosed(open)
      const node = { ...inner, start: open.start, end: this.#tokens.previousEnd() }
      this.#bounds.replace(inner, node)
      this.#grouped.add(node)
      return node
    })
  }

  #name(token: Token): Expression {
    const { text, start, end } = token
    if (text === 'true' || text === 'false') {
      this.#tokens.skip()
      return this.#made({ kind: 'boolean', value: text === 'true', start, end })
    }
    if (text === 'null') {
      this.#tokens.skip()
      return this.#made({ kind: 'null', start, end })
    }
    if (KEYWORDS.includes(text) && text !== 'now') this.#unexpected(token, 'a number, a text, a field or a function')
    this.#tokens.skip()
    if (isSymbol(this.#tokens.peek(), '(')) return this.#call(token)
    if (text === 'now' || text === 'ts') return this.#made({ kind: 'now', start, end })
    const part = nowPart(text)
    if (part !== undefined) return this.#made({ kind: 'now-part', part, start, end })
    return this.#made({ kind: 'field', path: text.split('.'), start, end })
  }

  #call(name: Token): Expression {
    if (name.text.includes('.')) {
      fail(
        this.#tokens.peek().start,
        `${name.text} is a field, and fields cannot be called`,
        `to multiply, write ${name.text} * (…)`,
      )
    }
    const looksBack = windowFunction(name, this.#tokens)
    const open = this.#tokens.peek()
    this.#tokens.skip()
    return this.#nested(open, () => {
      if (looksBack !== undefined) return this.#made(parseWindow(this.#tokens, name, looksBack, () => this.#or()))
      const args: Expression[] = []
      while (!this.#tokens.accept(')')) {
        if (args.length > 0 && !this.#tokens.accept(',')) this.#unclosed(open)
        args.push(this.#or())
      }
      return this.#made({ kind: 'call', name: name.text, args, start: name.start, end: this.#tokens.previousEnd() })
    })
  }

  #arithmetic(operator: ArithmeticOperator, left: Expression, right: Expression): Expression {
    return this.#made({ kind: 'arithmetic', operator, left, right, start: left.start, end: right.end })
  }

  #unclosed(open: Token): never {
    const token = this.#tokens.peek()
    if (token.kind === 'end') fail(open.start, 'this ( is never closed', 'close it with )')
    return this.#unexpected(token, 'an operator, a comma or )')
  }

  #unexpected(token: Token, expected: string): never {
    if (token.kind === 'end') return fail(token.start, `the expression ends where ${expected} is needed`)
    const shown = token.kind === 'text' ? 'a text' : `"${token.text}"`
    const lower = token.text.toLowerCase()
    const miswritten = token.kind === 'name' && lower !== token.text && KEYWORDS.includes(lower)
    const relation = isWord(token, 'contains') || isWord(token, 'starts_with')
    const hint = miswritten ? `words are written small: ${lower}` : relation ? `write field ${lower} "text"` : undefined
    return fail(token.start, `${shown} cannot stand here; ${expected} is needed`, hint)
  }

  #nested(token: Token, parse: () => Expression): Expression {
    this.#bounds.enter(token.start)
    const node = parse()
    this.#bounds.leave()
    return node
  }

  #made<T extends Expression>(node: T): T {
    this.#bounds.add(node)
    return node
  }

  /** Where mathjs multiplies without a sign: before a name or (, and before a number after a name or ). */
  #beginsFactor(token: Token, last: Expression): boolean {
    if (isPlainName(token) || isSymbol(token, '(')) return true
    if (token.kind !== 'number' || this.#signsOf(last) > 0) return false
    return last.kind === 'field' || last.kind === 'call' || this.#grouped.has(last)
  }

  /** To mathjs a number with two signs, or in parentheses, is no longer a plain number. */
  #isNumberAsWritten(node: Expression): boolean {
    if (this.#grouped.has(node) || this.#signsOf(node) > 1) return false
    return node.kind === 'negate' ? this.#isNumberAsWritten(node.operand) : node.kind === 'number'
  }

  #signsOf(node: Expression): number {
    return this.#signs.get(node) ?? 0
  }
}
