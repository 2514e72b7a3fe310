import { MIRRORED, OPPOSITE } from './comparison.ts'
import { childrenOf, type ComparisonOperator, type Expression } from './syntax-tree.ts'

/** What is known of fields where an expression is worked out. */
interface Facts {
  readonly positive: ReadonlySet<string>
  readonly nonZero: ReadonlySet<string>
}

const NOTHING: Facts = { positive: new Set(), nonZero: new Set() }

/**
 * The divisors in `expression` that may be zero. `conditions` all hold where it is worked out: `payload.bet >= 0.2` says that
 * payload.bet is no zero, and so does the condition of an `if` for its branches.
 */
export function doubtfulDivisors(expression: Expression, conditions: readonly Expression[]): readonly Expression[] {
  const known = conditions.reduce((facts, condition) => both(facts, factsOf(condition, true)), NOTHING)
  const found: Expression[] = []
  visit(expression, known, found)
  return found
}

function visit(node: Expression, facts: Facts, found: Expression[]): void {
  if (node.kind === 'arithmetic' && (node.operator === '/' || node.operator === '%') && !isNonZero(node.right, facts)) {
    found.push(node.right)
  }
  const [condition, yes, no] = node.kind === 'call' && node.name === 'if' ? node.args : []
  if (condition === undefined || yes === undefined || no === undefined) {
    for (const child of childrenOf(node)) visit(child, facts, found)
    return
  }
  visit(condition, facts, found)
  visit(yes, both(facts, factsOf(condition, true)), found)
  // Where it is unknown a field is missing, and what is missing is no zero either.
  visit(no, both(facts, factsOf(condition, false)), found)
}

/** What is known where `condition` is `truth`. */
function factsOf(condition: Expression, truth: boolean): Facts {
  if (condition.kind === 'not') {
    return factsOf(condition.operand, !truth)
  }
  if (condition.kind === 'logic') {
    return (condition.operator === 'and') === truth
      ? both(factsOf(condition.left, truth), factsOf(condition.right, truth))
      : NOTHING
  }
  if (condition.kind === 'compare') {
    const operator = truth ? condition.operator : OPPOSITE[condition.operator]
    return both(
      compared(condition.left, operator, condition.right),
      compared(condition.right, MIRRORED[operator], condition.left),
    )
  }
  if (condition.kind === 'between') {
    return condition.negated === truth
      ? NOTHING
      : both(compared(condition.operand, '>=', condition.low), compared(condition.operand, '<=', condition.high))
  }
  if (condition.kind === 'in') {
    const numbers = condition.list.map(numberOf)
    const some = condition.negated !== truth && numbers.every((number) => number !== undefined && number !== 0)
    return some
      ? about(
          condition.operand,
          numbers.every((number) => (number ?? 0) > 0),
        )
      : NOTHING
  }
  return NOTHING
}

function compared(side: Expression, operator: ComparisonOperator, other: Expression): Facts {
  const number = numberOf(other)
  if (number === undefined) return NOTHING
  const above = (operator === '>' && number >= 0) || (['>=', '=='].includes(operator) && number > 0)
  const below = (operator === '<' && number <= 0) || (['<=', '=='].includes(operator) && number < 0)
  return above || below || (operator === '!=' && number === 0) ? about(side, above) : NOTHING
}

function about(side: Expression, positive: boolean): Facts {
  if (side.kind !== 'field') return NOTHING
  const names = new Set([side.path.join('.')])
  return { nonZero: names, positive: positive ? names : NOTHING.positive }
}

function both(a: Facts, b: Facts): Facts {
  if (a === NOTHING) return b
  if (b === NOTHING) return a
  return {
    positive: new Set([...a.positive, ...b.positive]),
    nonZero: new Set([...a.nonZero, ...b.nonZero]),
  }
}

function numberOf(node: Expression): number | undefined {
  if (node.kind === 'negate' && node.operand.kind === 'number') return -node.operand.value
  return node.kind === 'number' ? node.value : undefined
}

function isNonZero(node: Expression, facts: Facts): boolean {
  if (isPositive(node, facts)) return true
  if (node.kind === 'number') return node.value !== 0
  if (node.kind === 'negate') return isNonZero(node.operand, facts)
  if (node.kind === 'field') return facts.nonZero.has(node.path.join('.'))
  if (node.kind === 'arithmetic' && node.operator === '*') {
    return isNonZero(node.left, facts) && isNonZero(node.right, facts)
  }
  return node.kind === 'call' && node.name === 'abs' && node.args.every((arg) => isNonZero(arg, facts))
}

function isPositive(node: Expression, facts: Facts): boolean {
  const all = (nodes: readonly Expression[]): boolean => nodes.every((each) => isPositive(each, facts))
  if (node.kind === 'number') {
    return node.value > 0
  }
  if (node.kind === 'duration') {
    return true
  }
  if (node.kind === 'field') {
    return facts.positive.has(node.path.join('.'))
  }
  if (node.kind === 'arithmetic') {
    return ['+', '*', '/'].includes(node.operator) && all([node.left, node.right])
  }
  if (node.kind === 'call') {
    if (node.name === 'max') return node.args.some((arg) => isPositive(arg, facts))
    if (node.name === 'if') return all(node.args.slice(1))
    return ['min', 'sqrt', 'ceil'].includes(node.name) && all(node.args)
  }
  return false
}
