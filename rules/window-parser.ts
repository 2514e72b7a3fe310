import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../core/durations.ts'
import type { Expression } from './syntax-tree.ts'
import { isSymbol, type TokenCursor } from './token-cursor.ts'
import { fail, type Token } from './tokens.ts'
import {
  type DurationNode,
  type StreakUnit,
  WINDOW_FUNCTION_NAMES,
  WINDOW_SIGNATURES,
  type WindowFunction,
  type WindowNode,
  type WindowStep,
} from './window-syntax.ts'

const UNIT_MS: Readonly<Record<string, number>> = { s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS, w: 7 * DAY_MS }
const STREAK_UNITS: readonly StreakUnit[] = ['day', 'week']
/** After the event's name, where a field of it begins. */
const FIELD_ROOTS: readonly string[] = ['payload', 'user', 'context']

/**
 * The function that a call is, where it looks at recent events; the name is read, the next token is the parenthesis.
 * `min` and `max` of numbers are other functions: their first argument is never a field of a named event.
 */
export function windowFunction(name: Token, tokens: TokenCursor): WindowFunction | undefined {
  const found = WINDOW_FUNCTION_NAMES.find((known) => known === name.text)
  if (found !== 'min' && found !== 'max') return found
  const argument = tokens.peek(1)
  return argument.kind === 'name' && splitField(argument.text) !== undefined ? found : undefined
}

/** Reads `7d`: a number and, right behind it, a unit. Consumes nothing where there is none. */
export function acceptDuration(tokens: TokenCursor): DurationNode | undefined {
  const [number, unit] = [tokens.peek(), tokens.peek(1)]
  if (number.kind !== 'number' || unit.kind !== 'name' || unit.start !== number.end) return undefined
  const unitMs = Object.hasOwn(UNIT_MS, unit.text) ? UNIT_MS[unit.text] : undefined
  if (unitMs === undefined) return undefined
  tokens.skip()
  tokens.skip()
  return { kind: 'duration', ms: Math.round(Number(number.text) * unitMs), start: number.start, end: unit.end }
}

/** Reads the arguments, from behind the opening parenthesis to the closing one. `condition` reads what follows `where`. */
export function parseWindow(
  tokens: TokenCursor,
  { start }: Token,
  called: WindowFunction,
  condition: () => Expression,
): WindowNode {
  const shape = { kind: 'window', function: called, start } as const
  if (called === 'sequence') {
    const steps = [step(tokens, called, condition)]
    for (;;) {
      comma(tokens, called)
      if (tokens.peek().kind === 'number') break
      steps.push(step(tokens, called, condition))
    }
    const lengthMs = duration(tokens, called)
    return { ...shape, steps, lengthMs, end: close(tokens, called) }
  }
  const { path, ...first } = step(tokens, called, condition)
  const field = path === undefined ? {} : { path }
  if (called === 'last') return { ...shape, steps: [first], end: close(tokens, called) }
  comma(tokens, called)
  if (called === 'streak') {
    const unit = streakUnit(tokens)
    return { ...shape, steps: [first], unit, end: close(tokens, called) }
  }
  const lengthMs = duration(tokens, called)
  return { ...shape, ...field, steps: [first], lengthMs, end: close(tokens, called) }
}

function step(
  tokens: TokenCursor,
  called: WindowFunction,
  condition: () => Expression,
): WindowStep & { readonly path?: readonly string[] } {
  const token = tokens.peek()
  if (token.kind !== 'name' && token.kind !== 'text') {
    fail(token.start, 'the name of an event is needed here', `write ${WINDOW_SIGNATURES[called]}`)
  }
  tokens.skip()
  const named = token.kind === 'text' ? { eventName: token.text } : readName(token, called)
  const needsField = ['sum', 'avg', 'min', 'max', 'distinct'].includes(called)
  if (needsField && !('path' in named)) {
    fail(token.start, `${called} needs a field of the event`, `write ${WINDOW_SIGNATURES[called]}`)
  }
  const filter = tokens.accept('where') ? condition() : undefined
  return { ...named, ...(filter === undefined ? {} : { filter }), start: token.start, end: tokens.previousEnd() }
}

function readName(
  token: Token,
  called: WindowFunction,
): { readonly eventName: string; readonly path?: readonly string[] } {
  const [root = ''] = token.text.split('.')
  if (FIELD_ROOTS.includes(root)) {
    fail(token.start, `${called} needs the name of an event first`, `write ${WINDOW_SIGNATURES[called]}`)
  }
  const field = splitField(token.text)
  if (field === undefined) return { eventName: token.text }
  if (['count', 'last', 'streak', 'sequence'].includes(called)) {
    const hint = `write ${field.eventName} where exists(${field.path.join('.')})`
    fail(token.start, `${called} looks at events, not at one of their fields`, hint)
  }
  return field
}

/** `bet.payload.bet` is the field `payload.bet` of the event `bet`; event names may hold dots themselves. */
function splitField(text: string): { readonly eventName: string; readonly path: readonly string[] } | undefined {
  const parts = text.split('.')
  const at = parts.findIndex((part) => FIELD_ROOTS.includes(part))
  if (at <= 0 || at === parts.length - 1) return undefined
  return { eventName: parts.slice(0, at).join('.'), path: parts.slice(at) }
}

function duration(tokens: TokenCursor, called: WindowFunction): number {
  const found = acceptDuration(tokens)
  if (found !== undefined) return found.ms
  const { start } = tokens.peek()
  return fail(start, `${called} needs a length of time here`, 'write a number and s, m, h, d or w, such as 30m or 7d')
}

function streakUnit(tokens: TokenCursor): StreakUnit {
  const token = tokens.peek()
  const unit = STREAK_UNITS.find((known) => token.kind === 'name' && known === token.text)
  if (unit === undefined) return fail(token.start, 'a streak is of days or weeks', 'write streak(login, day)')
  tokens.skip()
  return unit
}

function comma(tokens: TokenCursor, called: WindowFunction): void {
  if (tokens.accept(',')) return
  const token = tokens.peek()
  const hint = `write ${WINDOW_SIGNATURES[called]}`
  if (isSymbol(token, ')')) {
    const missing = called === 'streak' ? 'day or week' : 'a length of time'
    fail(token.start, `${called} needs ${missing} after a comma`, hint)
  }
  fail(token.start, 'a comma is needed here', `a condition on these events follows \`where\`; ${hint}`)
}

function close(tokens: TokenCursor, called: WindowFunction): number {
  if (!tokens.accept(')')) fail(tokens.peek().start, 'a ) is needed here', `write ${WINDOW_SIGNATURES[called]}`)
  return tokens.previousEnd()
}
