import { childrenOf, type Expression } from './syntax-tree.ts'
import { fail } from './tokens.ts'

/** Bounds on one expression: they keep parsing, compiling and evaluating it within microseconds and a shallow stack. */
export const EXPRESSION_LENGTH_MAX = 20_000
const NESTING_MAX = 64
const NODES_MAX = 2_000
/** Levels of the tree; a chain such as `a + b + c` has one level for each operator. */
const DEPTH_MAX = 256

/** Watches a tree while it is parsed. Each method throws a FaultSignal where a bound is passed. */
export class TreeBounds {
  #nesting = 0
  #nodes = 0
  readonly #depths = new WeakMap<Expression, number>()

  /** One level of parentheses, or of what is as deep, begins at offset `start`. */
  enter(start: number): void {
    if (++this.#nesting <= NESTING_MAX) return
    fail(start, `an expression nests at most ${NESTING_MAX} levels deep`, 'split it into several filters')
  }

  leave(): void {
    this.#nesting--
  }

  /** `node` was made of nodes that were added before. */
  add(node: Expression): void {
    if (++this.#nodes > NODES_MAX) {
      fail(node.start, `an expression has at most ${NODES_MAX} parts`, 'split it into several filters')
    }
    let depth = 0
    for (const child of childrenOf(node)) depth = Math.max(depth, this.#depthOf(child))
    if (depth + 1 > DEPTH_MAX) {
      fail(node.start, `an expression chains at most ${DEPTH_MAX} operators`, 'write a list: payload.game_id in [...]')
    }
    this.#depths.set(node, depth + 1)
  }

  /** `copy` stands where `node` stood. */
  replace(node: Expression, copy: Expression): void {
    this.#depths.set(copy, this.#depthOf(node))
  }

  #depthOf(node: Expression): number {
    return this.#depths.get(node) ?? 1
  }
}
