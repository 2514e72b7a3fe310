import { unreachable } from '../../core/assert.ts'
import type { JsonObject, PlayerEvent } from '../../core/model/event.ts'
import type { Expression } from '../../rules/syntax-tree.ts'

/**
 * A plain reading of SPEC S19, with nothing compiled and three truth values carried openly (undefined is unknown):
 * what the compiled closures are compared with. It knows no dates.
 */
export function interpret(node: Expression, event: PlayerEvent): unknown {
  const value = (part: Expression): unknown => interpret(part, event)
  const number = (part: Expression): number => {
    const found = value(part)
    return typeof found === 'number' ? found : Number.NaN
  }
  const truth = (part: Expression): boolean | undefined => {
    const found = value(part)
    return typeof found === 'boolean' ? found : undefined
  }
  switch (node.kind) {
    case 'number':
    case 'text':
    case 'boolean':
      return node.value
    case 'field':
      return lookUp(event.data, node.path)
    case 'negate':
      return -number(node.operand)
    case 'arithmetic':
      return calculate(node.operator, number(node.left), number(node.right))
    case 'not':
      return not(truth(node.operand))
    case 'logic': {
      const sides = [truth(node.left), truth(node.right)]
      const deciding = node.operator === 'or'
      return sides.includes(deciding) ? deciding : sides.includes(undefined) ? undefined : !deciding
    }
    case 'compare':
      return compare(node.operator, value(node.left), value(node.right))
    case 'between': {
      const operand = value(node.operand)
      const sides = [compare('>=', operand, value(node.low)), compare('<=', operand, value(node.high))]
      const inside = sides.includes(false) ? false : sides.includes(undefined) ? undefined : true
      return node.negated ? not(inside) : inside
    }
    case 'in': {
      const operand = value(node.operand)
      const results = node.list.map((element) => compare('==', operand, value(element))).filter((r) => r !== undefined)
      const inside = results.length === 0 ? undefined : results.includes(true)
      return node.negated ? not(inside) : inside
    }
    case 'match': {
      const holds = match(node.operator, value(node.left), value(node.right))
      return node.negated ? not(holds) : holds
    }
    case 'now-part':
      return timePart(node.part, new Date(event.ts))
    case 'call':
      return call(node.name, node.args, { value, number, truth })
    case 'now':
    case 'null':
    case 'segment':
    case 'window':
    case 'duration':
      throw new Error(`no ${node.kind} here`)
    default:
      return unreachable(node)
  }
}

interface Readers {
  readonly value: (part: Expression) => unknown
  readonly number: (part: Expression) => number
  readonly truth: (part: Expression) => boolean | undefined
}

function call(name: string, args: readonly Expression[], { value, number, truth }: Readers): unknown {
  const [first, second, third] = args
  if (first === undefined) throw new Error('no argument')
  if (name === 'exists') return value(first) !== undefined
  if (name === 'if' && second !== undefined && third !== undefined)
    return truth(first) === true ? number(second) : number(third)
  const numbers = args.map(number)
  const [x = Number.NaN] = numbers
  const functions: Record<string, () => number> = {
    min: () => Math.min(...numbers),
    max: () => Math.max(...numbers),
    abs: () => Math.abs(x),
    floor: () => (equal(x, Math.round(x)) ? Math.round(x) : Math.floor(x)),
    ceil: () => (equal(x, Math.round(x)) ? Math.round(x) : Math.ceil(x)),
    round: () => Math.sign(x) * Math.round(Math.abs(x)),
    sqrt: () => Math.sqrt(x),
    log: () => Math.log(x),
  }
  return functions[name]?.()
}

function not(truth: boolean | undefined): boolean | undefined {
  return truth === undefined ? undefined : !truth
}

function calculate(operator: string, x: number, y: number): number {
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.NaN
  if (operator === '+') return x + y
  if (operator === '-') return x - y
  if (operator === '*') return x * y
  if (operator === '/') return x / y
  if (operator === '^') return x ** y
  const quotient = x / y
  if (!Number.isFinite(quotient)) return Number.NaN
  return equal(quotient, Math.round(quotient)) ? 0 : x - y * Math.floor(quotient)
}

function equal(x: number, y: number): boolean {
  if (!Number.isFinite(x) || !Number.isFinite(y)) return x === y
  return Math.abs(x - y) <= 1e-12 * Math.max(Math.abs(x), Math.abs(y))
}

function compare(operator: string, a: unknown, b: unknown): boolean | undefined {
  if (typeof a !== typeof b || Number.isNaN(a) || Number.isNaN(b)) return undefined
  let order: number
  if (typeof a === 'number' && typeof b === 'number') order = equal(a, b) ? 0 : a < b ? -1 : 1
  else if (typeof a === 'string' && typeof b === 'string') order = textOrder(a, b)
  else if (typeof a === 'boolean' && (operator === '==' || operator === '!=')) order = a === b ? 0 : 1
  else return undefined
  const answers: Record<string, boolean> = {
    '==': order === 0,
    '!=': order !== 0,
    '<': order < 0,
    '<=': order <= 0,
    '>': order > 0,
    '>=': order >= 0,
  }
  return answers[operator]
}

function match(operator: string, whole: unknown, part: unknown): boolean | undefined {
  if (!['string', 'number', 'boolean'].includes(typeof part)) return undefined
  if (Array.isArray(whole)) {
    if (operator === 'starts_with') return undefined
    return whole.map((element: unknown) => compare('==', element, part)).includes(true)
  }
  if (typeof whole !== 'string' || typeof part !== 'string') return undefined
  const at = whole.indexOf(part)
  return operator === 'starts_with' ? at === 0 : at >= 0
}

/** In UTC. */
function timePart(part: string, time: Date): number {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = time.toISOString().split(/\D/).map(Number)
  const weekday = time.getUTCDay() || 7
  return { year, month, day, weekday, hour, minute }[part] ?? Number.NaN
}

function textOrder(a: string, b: string): number {
  const [x, y] = [a, b].map((text) => Array.from(text, (character) => character.codePointAt(0) ?? 0)) as [
    number[],
    number[],
  ]
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return (x[i] ?? 0) - (y[i] ?? 0)
  return x.length - y.length
}

function lookUp(data: JsonObject, path: readonly string[]): unknown {
  let holder: unknown = data
  for (const name of path) {
    if (typeof holder !== 'object' || holder === null || Array.isArray(holder) || !Object.hasOwn(holder, name))
      return undefined
    holder = (holder as Record<string, unknown>)[name]
  }
  return holder ?? undefined
}
