import type { Expression, Span } from './syntax-tree.ts'

/** What can be asked of a user's recent events. */
export type WindowFunction = 'count' | 'sum' | 'avg' | 'min' | 'max' | 'distinct' | 'last' | 'streak' | 'sequence'

/** How each function over recent events is written. */
export const WINDOW_SIGNATURES: Readonly<Record<WindowFunction, string>> = {
  count: 'count(deposit, 7d) or count(deposit where payload.amount >= 50, 7d)',
  sum: 'sum(bet.payload.bet, 1d)',
  avg: 'avg(bet.payload.bet, 1d)',
  min: 'min(bet.payload.bet, 1d)',
  max: 'max(bet.payload.bet, 1d)',
  distinct: 'distinct(bet.payload.game_id, 24h)',
  last: 'last(login)',
  streak: 'streak(login, day)',
  sequence: 'sequence(deposit, bet, withdraw_request, 1h)',
}

export const WINDOW_FUNCTION_NAMES = Object.keys(WINDOW_SIGNATURES) as readonly WindowFunction[]

export function windowSignatureOf(name: string): string | undefined {
  const known = WINDOW_FUNCTION_NAMES.find((candidate) => candidate === name)
  return known === undefined ? undefined : WINDOW_SIGNATURES[known]
}

export type StreakUnit = 'day' | 'week'

/** `deposit where payload.amount >= 50`. */
export interface WindowStep extends Span {
  readonly eventName: string
  readonly filter?: Expression
}

/** `count(deposit where payload.amount >= 50, 7d)`. */
export interface WindowNode extends Span {
  readonly kind: 'window'
  readonly function: WindowFunction
  /** One; in a sequence several. */
  readonly steps: readonly WindowStep[]
  /** The field of sum, avg, min, max and distinct. */
  readonly path?: readonly string[]
  /** Absent where `last` and `streak` have none. */
  readonly lengthMs?: number
  /** What a streak is of. */
  readonly unit?: StreakUnit
}

/** `7d`. */
export interface DurationNode extends Span {
  readonly kind: 'duration'
  readonly ms: number
}
