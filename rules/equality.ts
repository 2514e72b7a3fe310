import type { Expression } from './syntax-tree.ts'

/** An event can only match where the field at `path` is one of `values`. */
export interface Equality {
  readonly path: readonly string[]
  readonly values: readonly (string | boolean)[]
}

/**
 * What conditions, all of which must hold, ask of single fields: `payload.game_id == "x"`, `user.geo in [...]`. Numbers are
 * left out: they are equal within a tolerance, and so cannot be looked up.
 */
export function equalitiesOf(conditions: readonly Expression[]): readonly Equality[] {
  return conditions.flatMap((condition): readonly Equality[] => {
    if (condition.kind === 'logic') {
      return condition.operator === 'and' ? equalitiesOf([condition.left, condition.right]) : []
    }
    if (condition.kind === 'field') {
      return [{ path: condition.path, values: [true] }]
    }
    if (condition.kind === 'compare') {
      return condition.operator === '=='
        ? [...equality(condition.left, [condition.right]), ...equality(condition.right, [condition.left])]
        : []
    }
    if (condition.kind === 'in') {
      return condition.negated ? [] : equality(condition.operand, condition.list)
    }
    return []
  })
}

function equality(field: Expression, literals: readonly Expression[]): readonly Equality[] {
  if (field.kind !== 'field') return []
  const values: (string | boolean)[] = []
  for (const literal of literals) {
    if (literal.kind !== 'text' && literal.kind !== 'boolean') return []
    values.push(literal.value)
  }
  return [{ path: field.path, values: [...new Set(values)] }]
}
