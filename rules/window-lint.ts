import type { EventCatalog } from './field-check.ts'
import { constantOf } from './literal.ts'
import { type Fault, nearest } from './problem.ts'
import { childrenOf, type CompareNode, type Expression } from './syntax-tree.ts'
import { DISTINCT_VALUES_MAX } from './window-lengths.ts'

/** What is doubtful in the looks at recent events that are part of `expression`. */
export function windowFaults(expression: Expression, catalog: EventCatalog | undefined): readonly Fault[] {
  const own = expression.kind === 'compare' ? distinctFaults(expression) : unknownEvents(expression, catalog)
  return [...own, ...childrenOf(expression).flatMap((child) => windowFaults(child, catalog))]
}

function unknownEvents(node: Expression, catalog: EventCatalog | undefined): readonly Fault[] {
  if (node.kind !== 'window' || catalog === undefined) return []
  const unknown = node.steps.filter(({ eventName }) => !catalog.eventNames.includes(eventName))
  return unknown.map(({ eventName, start }) => {
    const like = nearest(eventName, catalog.eventNames)
    return {
      code: 'ONCEWARD_E_RULE_UNKNOWN_EVENT',
      start,
      message: `no schema declares the event "${eventName}", so none is ever counted`,
      hint: like === undefined ? 'give the folder of its schema with --schemas' : `did you mean ${like}?`,
    }
  })
}

/** `distinct(…) >= 200` never holds, since it counts no further than its bound. */
function distinctFaults({ left, right }: CompareNode): readonly Fault[] {
  const [node, wanted] = left.kind === 'window' ? [left, constantOf(right)] : [right, constantOf(left)]
  if (node.kind !== 'window' || node.function !== 'distinct') return []
  if (typeof wanted !== 'number' || wanted <= DISTINCT_VALUES_MAX) return []
  return [
    {
      code: 'ONCEWARD_E_RULE_UNREACHABLE',
      start: node.start,
      message: `distinct counts up to ${DISTINCT_VALUES_MAX} and no further: it never comes to ${wanted}`,
      hint: `compare it with at most ${DISTINCT_VALUES_MAX}`,
    },
  ]
}
