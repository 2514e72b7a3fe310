import { unreachable } from '../core/assert.ts'
import { numbersEqual, tolerantCeil, tolerantFloor } from './tolerance.ts'
import { WINDOW_FUNCTION_NAMES, windowSignatureOf } from './window-syntax.ts'

/** A function of numbers that rules can call. NaN in means NaN out: a missing field never becomes a number. */
export interface NumericFunction {
  readonly argsMin: number
  readonly argsMax: number
  /** For docs and errors. */
  readonly signature: string
  readonly unary?: (x: number) => number
  readonly binary?: (x: number, y: number) => number
  /** Joins any number of arguments pairwise, from the left. */
  readonly fold?: (x: number, y: number) => number
}

const ARGS_MAX = 100

/** Halves away from zero, as mathjs rounds. */
function roundHalfAway(x: number): number {
  return x < 0 ? -Math.round(-x) : Math.round(x)
}

export const NUMERIC_FUNCTIONS: ReadonlyMap<string, NumericFunction> = new Map<string, NumericFunction>([
  ['min', { argsMin: 1, argsMax: ARGS_MAX, signature: 'min(a, b, …)', unary: (x) => x, fold: Math.min }],
  ['max', { argsMin: 1, argsMax: ARGS_MAX, signature: 'max(a, b, …)', unary: (x) => x, fold: Math.max }],
  ['abs', { argsMin: 1, argsMax: 1, signature: 'abs(x)', unary: Math.abs }],
  ['floor', { argsMin: 1, argsMax: 1, signature: 'floor(x)', unary: tolerantFloor }],
  ['ceil', { argsMin: 1, argsMax: 1, signature: 'ceil(x)', unary: tolerantCeil }],
  ['round', { argsMin: 1, argsMax: 1, signature: 'round(x)', unary: roundHalfAway }],
  ['sqrt', { argsMin: 1, argsMax: 1, signature: 'sqrt(x)', unary: Math.sqrt }],
  [
    'log',
    {
      argsMin: 1,
      argsMax: 2,
      signature: 'log(x) or log(x, base)',
      unary: Math.log,
      binary: (x, base) => Math.log(x) / Math.log(base),
    },
  ],
])

/** `if(condition, value, otherwise)` and `exists(field)` have operands of their own kinds. */
export const SPECIAL_FUNCTIONS: ReadonlyMap<string, { readonly args: number; readonly signature: string }> = new Map([
  ['if', { args: 3, signature: 'if(condition, value, otherwise)' }],
  ['exists', { args: 1, signature: 'exists(payload.name)' }],
])

export const FUNCTION_NAMES: readonly string[] = [
  ...new Set([...NUMERIC_FUNCTIONS.keys(), ...SPECIAL_FUNCTIONS.keys(), ...WINDOW_FUNCTION_NAMES]),
]

/** How the function is called, for messages. */
export function signatureOf(name: string): string {
  return (
    NUMERIC_FUNCTIONS.get(name)?.signature ??
    SPECIAL_FUNCTIONS.get(name)?.signature ??
    windowSignatureOf(name) ??
    `${name}(…)`
  )
}

/** Applies `operator` to numbers; NaN where a side is NaN or the result is no real number. */
export function arithmetic(operator: '+' | '-' | '*' | '/' | '%' | '^'): (x: number, y: number) => number {
  switch (operator) {
    case '+':
      return (x, y) => x + y
    case '-':
      return (x, y) => x - y
    case '*':
      return (x, y) => x * y
    case '/':
      return (x, y) => x / y
    case '%':
      return remainder
    case '^':
      // JavaScript says NaN ** 0 is 1, which would make a number of a missing field.
      return (x, y) => (Number.isNaN(x) ? x : x ** y)
    default:
      return unreachable(operator)
  }
}

/** Has the divisor's sign, as in mathjs, and none is left of a multiple by S19's floor; by zero it is no number. */
function remainder(x: number, y: number): number {
  const quotient = x / y
  if (!Number.isFinite(quotient)) return Number.NaN
  const whole = tolerantFloor(quotient)
  return numbersEqual(quotient, whole) ? 0 : x - y * whole
}
