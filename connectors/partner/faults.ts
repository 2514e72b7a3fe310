/** What goes wrong with calls, and how often. */
import { OncewardError } from '../../core/errors.ts'

/**
 * What goes wrong with a call. After paying: the money has moved and the answer is lost, the case that doubles payments.
 * `late` and `lose` are always after paying; `reset`, `reject`, `throttle` and `redirect` never pay; `differ` pays, and answers
 * a repeat with another payout.
 */
export type Fault =
  | { readonly kind: 'none' | 'late' | 'lose' | 'reset' | 'reject' | 'throttle' | 'redirect' | 'differ' }
  | { readonly kind: 'fail' | 'timeout'; readonly afterPaying: boolean }

/** In the order in which they share out the draw, so that a rate of one does not change which calls the ones before it meet. */
export const FAULT_KINDS = [
  'fail',
  'timeout',
  'late',
  'lose',
  'reset',
  'reject',
  'throttle',
  'redirect',
  'differ',
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]

/** Parts of the calls, 0 to 1 each, 1 together. */
export type FaultRates = Readonly<Record<FaultKind, number>>

/** `draw` is in [0, 1): the first part fails, the next times out, half of each after paying, and so on. */
export function faultOf(draw: number, rates: FaultRates): Fault {
  let from = 0
  for (const kind of FAULT_KINDS) {
    const rate = rates[kind]
    if (draw < from + rate) {
      return kind === 'fail' || kind === 'timeout' ? { kind, afterPaying: draw < from + rate / 2 } : { kind }
    }
    from += rate
  }
  return { kind: 'none' }
}

/** `change` laid over `rates`. Throws ONCEWARD_E_SETTING_INVALID for a rate outside of 0 to 1, and for more than 1 together. */
export function faultRates(change: Partial<FaultRates>, rates?: FaultRates): FaultRates {
  const rateOf = (kind: FaultKind): number => change[kind] ?? rates?.[kind] ?? 0
  const all: FaultRates = {
    fail: rateOf('fail'),
    timeout: rateOf('timeout'),
    late: rateOf('late'),
    lose: rateOf('lose'),
    reset: rateOf('reset'),
    reject: rateOf('reject'),
    throttle: rateOf('throttle'),
    redirect: rateOf('redirect'),
    differ: rateOf('differ'),
  }
  let sum = 0
  for (const kind of FAULT_KINDS) {
    if (!(all[kind] >= 0 && all[kind] <= 1)) {
      throw invalid(`the ${kind} rate is ${all[kind]}; write a number from 0 to 1`)
    }
    sum += all[kind]
  }
  // Tenths do not add up exactly.
  if (sum > 1 + 1e-9) throw invalid(`the rates of the faults add up to ${sum}; together they may be 1`)
  return all
}

/** The partner is down for the last `forMs` of every `everyMs`. */
export interface DownWindow {
  readonly forMs: number
  readonly everyMs: number
}

/** `elapsedMs` since the partner began. */
export function isDown(elapsedMs: number, window: DownWindow | undefined): boolean {
  return window !== undefined && elapsedMs % window.everyMs >= window.everyMs - window.forMs
}

function invalid(message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_SETTING_INVALID', message)
}
