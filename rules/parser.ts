import type { Fault } from './problem.ts'
import { type ArithmeticOperator, type ComparisonOperator, childrenOf, type Expression } from './syntax-tree.ts'
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

/** Bounds on one expression: they keep parsing, compiling and evaluating it within microseconds and a shallow stack. */
export const EXPRESSION_LENGTH_MAX = 20_000
export const EXPRESSION_NESTING_MAX = 64
export const EXPRESSION_NODES_MAX = 2_000
/** Levels of the tree; a chain such as `a + b + c` has one level for each operator. */
export const EXPRESSION_DEPTH_MAX = 256

export type Parsed =
  | { readonly ok: true; readonly expression: Expression }
  | { readonly ok: false; readonly fault: Fault }

/**
 * Reads one expression. From loose to tight: or, and, not, comparison (with in and between; not chained), + -, * / %,
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
  #nesting = 0
  #nodes = 0
  readonly #depths = new WeakMap<Expression, number>()
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
    return left
  }

  #between(operand: Expression, negated: boolean): Expression {
    const low = this.#sum()
    if (!this.#tokens.accept('and', '&&')) this.#unexpected(this.#tokens.peek(), '`and`, as in `between 1 and 5`')
    const high = this.#sum()
    return this.#made({ kind: 'between', negated, operand, low, high, start: operand.start, end: high.end })
  }

  #in(operand: Expression, negated: boolean): Expression {
    const open = this.#tokens.peek()
    if (!this.#tokens.accept('[')) this.#unexpected(open, 'a list after `in`, such as ["TR", "BR"]')
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
      this.#depths.set(node, this.#depthOf(inner))
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
    const open = this.#tokens.peek()
    this.#tokens.skip()
    return this.#nested(open, () => {
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
    const hint = miswritten ? `words are written small: ${lower}` : undefined
    return fail(token.start, `${shown} cannot stand here; ${expected} is needed`, hint)
  }

  #nested(token: Token, parse: () => Expression): Expression {
    if (++this.#nesting > EXPRESSION_NESTING_MAX) {
      fail(
        token.start,
        `an expression nests at most ${EXPRESSION_NESTING_MAX} levels deep`,
        'split it into several filters',
      )
    }
    const node = parse()
    this.#nesting--
    return node
  }

  #made<T extends Expression>(node: T): T {
    if (++this.#nodes > EXPRESSION_NODES_MAX) {
      fail(node.start, `an expression has at most ${EXPRESSION_NODES_MAX} parts`, 'split it into several filters')
    }
    let depth = 0
    for (const child of childrenOf(node)) depth = Math.max(depth, this.#depthOf(child))
    if (depth + 1 > EXPRESSION_DEPTH_MAX) {
      fail(
        node.start,
        `an expression chains at most ${EXPRESSION_DEPTH_MAX} operators`,
        'write a list: payload.game_id in [...]',
      )
    }
    this.#depths.set(node, depth + 1)
    return node
  }

  #depthOf(node: Expression): number {
    return this.#depths.get(node) ?? 1
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
