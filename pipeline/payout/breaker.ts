/**
 * The breaker of one partner: a pure state machine, so that a partner that is down is left alone without burning the tries
 * of its rewards.
 *
 *   closed ──too many calls without an answer──▶ open ──its wait is over──▶ half-open ──the trial is answered──▶ closed
 *                                                  ▲─────── the trial is not, and the wait doubles ───┘
 *
 * `epoch` counts the changes. A call is told the epoch in which it began, and what a call of an earlier one shows is
 * ignored: it says how things were.
 */
export interface BreakerPolicy {
  /** So many calls in a row without an answer open it. */
  readonly inRowMax: number
  /** The share of the last `windowCalls` without an answer that opens it, once there are so many. */
  readonly windowCalls: number
  readonly failureShare: number
  /** How long it stays open at first, ms, and at most; each trial that fails doubles it. */
  readonly waitMs: number
  readonly waitMsMax: number
}

export const BREAKER_POLICY: BreakerPolicy = {
  inRowMax: 10,
  windowCalls: 50,
  failureShare: 0.6,
  waitMs: 1_000,
  waitMsMax: 60_000,
}

export type BreakerState =
  /** `recent`: of the last calls, oldest first, whether each went without an answer. */
  | { readonly kind: 'closed'; readonly epoch: number; readonly inRow: number; readonly recent: readonly boolean[] }
  /** Nothing may begin before `until`, ms of the caller's clock. */
  | { readonly kind: 'open'; readonly epoch: number; readonly until: number; readonly waitMs: number }
  /** One call is under way; whatever it shows decides. */
  | { readonly kind: 'half-open'; readonly epoch: number; readonly waitMs: number }

export const CLOSED: BreakerState = { kind: 'closed', epoch: 0, inRow: 0, recent: [] }

export type Permit = 'all' | 'trial' | 'none'

/** May calls begin at `at`? `trial`: exactly one, which begins with `tried` and whose end is owed to `ended` or `unused`. */
export function permitOf(state: BreakerState, at: number): Permit {
  if (state.kind === 'closed') return 'all'
  return state.kind === 'open' && at >= state.until ? 'trial' : 'none'
}

/** The one call of an open breaker begins. */
export function tried(state: BreakerState): BreakerState {
  return state.kind === 'open' ? { kind: 'half-open', epoch: state.epoch + 1, waitMs: state.waitMs } : state
}

export interface CallEnd {
  readonly epoch: number
  readonly at: number
  /** An answer that refuses is an answer: the partner is there. */
  readonly answered: boolean
  /** How long the partner asked to be left alone, ms. */
  readonly retryAfterMs?: number | undefined
}

export function ended(state: BreakerState, end: CallEnd, policy: BreakerPolicy): BreakerState {
  if (end.epoch !== state.epoch || state.kind === 'open') return state
  if (state.kind === 'half-open') {
    if (end.answered) return { ...CLOSED, epoch: state.epoch + 1 }
    return opened(state.epoch, end, { waitMs: Math.min(2 * state.waitMs, policy.waitMsMax), policy })
  }
  const inRow = end.answered ? 0 : state.inRow + 1
  const recent = [...state.recent.slice(-(policy.windowCalls - 1)), !end.answered]
  const missing = recent.filter(Boolean).length
  const tooMany = recent.length >= policy.windowCalls && missing >= policy.failureShare * recent.length
  if (inRow < policy.inRowMax && !(tooMany && !end.answered)) return { ...state, inRow, recent }
  return opened(state.epoch, end, { waitMs: policy.waitMs, policy })
}

/** The trial of `epoch` came to nothing, for its reward was not to be called. The next may begin at once. */
export function unused(state: BreakerState, epoch: number, at: number): BreakerState {
  if (state.kind !== 'half-open' || epoch !== state.epoch) return state
  return { kind: 'open', epoch: state.epoch + 1, until: at, waitMs: state.waitMs }
}

function opened(
  epoch: number,
  end: CallEnd,
  { waitMs, policy }: { readonly waitMs: number; readonly policy: BreakerPolicy },
): BreakerState {
  const asked = Math.min(end.retryAfterMs ?? 0, policy.waitMsMax)
  return { kind: 'open', epoch: epoch + 1, until: end.at + Math.max(waitMs, asked), waitMs }
}
