import type { Expression } from './syntax-tree.ts'

/** A number, a text or a boolean as it stands in the text; -5 too. */
export function isLiteral(node: Expression): boolean {
  if (node.kind === 'negate') return node.operand.kind === 'number'
  return node.kind === 'number' || node.kind === 'text' || node.kind === 'boolean'
}

/** The number or text that `node` always is; a length of time in ms. */
export function constantOf(node: Expression): number | string | undefined {
  if (node.kind === 'negate' && node.operand.kind === 'number') return -node.operand.value
  if (node.kind === 'duration') return node.ms
  return node.kind === 'number' || node.kind === 'text' ? node.value : undefined
}
