import type { PlayerEvent } from '../core/model/event.ts'
import type { NumberCode } from './number-code.ts'
import type { Expression } from './syntax-tree.ts'
import { type WindowContext, windowSpecOf, type WindowUses } from './window-spec.ts'
import type { WindowNode } from './window-syntax.ts'

/** Where an expression may look at recent events, `windows` notes which it looks at. */
export interface WindowCompileContext extends WindowContext {
  readonly windows?: WindowUses | undefined
}

type CompileFilter = (filter: Expression) => (event: PlayerEvent) => boolean

/** A checked function over recent events, as a number; a length of time in ms. */
export function windowNumber(
  node: WindowNode,
  context: WindowCompileContext,
  compileFilter: CompileFilter,
): NumberCode {
  const value = windowValue(node, context, compileFilter)
  const shown = context.text.slice(node.start, node.end).replaceAll(/\s+/g, ' ').slice(0, 80)
  return {
    value,
    explain: (event) => {
      const found = value(event)
      if (Number.isFinite(found)) return undefined
      return Number.isNaN(found) ? `${shown} has no value: there was no such event` : `${shown} is too large`
    },
  }
}

/** A checked sequence, as a condition: it is always known whether it holds. */
export function windowCondition(
  node: WindowNode,
  { wanted, ...context }: WindowCompileContext & { readonly wanted: boolean },
  compileFilter: CompileFilter,
): (event: PlayerEvent) => boolean {
  const value = windowValue(node, context, compileFilter)
  return (event) => (value(event) === 1) === wanted
}

/** What the engine has worked out for the event that is judged; NaN where there is nothing. */
function windowValue(
  node: WindowNode,
  context: WindowCompileContext,
  compileFilter: CompileFilter,
): (event: PlayerEvent) => number {
  if (context.windows === undefined) throw new TypeError('the checker let a look at recent events through')
  const spec = windowSpecOf(node, context, compileFilter)
  context.windows.add(spec)
  const { id } = spec
  return ({ windows }) => windows?.value(id) ?? Number.NaN
}
