import { unreachable } from '../core/assert.ts'
import type { NowPart } from './now-parts.ts'
import type { DurationNode, WindowNode } from './window-syntax.ts'

/** What an expression says, before types are checked. Offsets count UTF-16 code units from the expression's start. */
export interface Span {
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%' | '^'
export type MatchOperator = 'contains' | 'starts_with'
export type ComparisonOperator = '==' | '!=' | '<' | '<=' | '>' | '>='

export interface FieldNode extends Span {
  readonly kind: 'field'
  /** `payload.bet` is ['payload', 'bet']. */
  readonly path: readonly string[]
}

export interface CallNode extends Span {
  readonly kind: 'call'
  readonly name: string
  readonly args: readonly Expression[]
}

export interface CompareNode extends Span {
  readonly kind: 'compare'
  readonly operator: ComparisonOperator
  readonly left: Expression
  readonly right: Expression
}

export interface BetweenNode extends Span {
  readonly kind: 'between'
  readonly negated: boolean
  readonly operand: Expression
  readonly low: Expression
  readonly high: Expression
}

export interface InNode extends Span {
  readonly kind: 'in'
  readonly negated: boolean
  readonly operand: Expression
  readonly list: readonly Expression[]
}

/** `text contains "part"`, `list contains "element"`, `text starts_with "beginning"`. */
export interface MatchNode extends Span {
  readonly kind: 'match'
  readonly operator: MatchOperator
  readonly negated: boolean
  readonly left: Expression
  readonly right: Expression
}

/** `user in segment("vip")`. */
export interface SegmentNode extends Span {
  readonly kind: 'segment'
  readonly negated: boolean
  readonly operand: Expression
  readonly name: string
  /** Where the name stands. */
  readonly nameStart: number
}

/** A part of the event's own time, read in the rule's zone: `now.hour`. */
export interface NowPartNode extends Span {
  readonly kind: 'now-part'
  readonly part: NowPart
}

export interface ArithmeticNode extends Span {
  readonly kind: 'arithmetic'
  readonly operator: ArithmeticOperator
  readonly left: Expression
  readonly right: Expression
}

export type Expression =
  | (Span & { readonly kind: 'number'; readonly value: number })
  | (Span & { readonly kind: 'text'; readonly value: string })
  | (Span & { readonly kind: 'boolean'; readonly value: boolean })
  | (Span & { readonly kind: 'null' })
  | FieldNode
  | CallNode
  | CompareNode
  | BetweenNode
  | InNode
  | MatchNode
  | SegmentNode
  | NowPartNode
  | WindowNode
  | DurationNode
  | ArithmeticNode
  | (Span & { readonly kind: 'negate'; readonly operand: Expression })
  | (Span & { readonly kind: 'not'; readonly operand: Expression })
  | (Span & {
      readonly kind: 'logic'
      readonly operator: 'and' | 'or'
      readonly left: Expression
      readonly right: Expression
    })
  /** The event's own time: `now`, and `ts`, which is the same. */
  | (Span & { readonly kind: 'now' })

/** The operands, in the order they are written. */
export function childrenOf(node: Expression): readonly Expression[] {
  switch (node.kind) {
    case 'call':
      return node.args
    case 'compare':
    case 'match':
    case 'arithmetic':
    case 'logic':
      return [node.left, node.right]
    case 'between':
      return [node.operand, node.low, node.high]
    case 'in':
      return [node.operand, ...node.list]
    case 'window':
      return node.steps.flatMap(({ filter }) => (filter === undefined ? [] : [filter]))
    case 'segment':
    case 'negate':
    case 'not':
      return [node.operand]
    case 'number':
    case 'text':
    case 'boolean':
    case 'null':
    case 'now':
    case 'now-part':
    case 'duration':
    case 'field':
      return []
    default:
      return unreachable(node)
  }
}
