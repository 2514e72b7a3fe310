import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/ports/logger.ts'
import {
  type BreakerPolicy,
  type BreakerState,
  CLOSED,
  ended,
  permitOf,
  type Permit,
  tried,
  unused,
} from './breaker.ts'
import type { Shown } from './payment.ts'
import type { SinkMetrics } from './stats.ts'

/** Who may call one partner now: its breaker, with the time and with everybody told of each change. */
export interface Gate {
  permit(): Permit
  /** A call begins as permitted; answers its epoch. */
  began(): number
  /** A call that began in `epoch` has ended. */
  ended(epoch: number, shown: Shown): void
}

export function createGate(parts: {
  readonly partner: string
  readonly policy: BreakerPolicy
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: SinkMetrics
}): Gate {
  const { partner, policy, clock, logger, metrics } = parts
  let state: BreakerState = CLOSED
  metrics.breaker?.(partner, state.kind)
  const move = (next: BreakerState): void => {
    const was = state.kind
    state = next
    if (state.kind === was) return
    metrics.breaker?.(partner, state.kind)
    if (was === 'closed') logger.error({ partner, ...stateOf(state) }, 'the partner does not answer; its rewards wait')
    else logger.warn({ partner, was, ...stateOf(state) }, CHANGES[state.kind])
  }
  return {
    permit: () => permitOf(state, clock.monotonic()),
    began() {
      move(tried(state))
      return state.epoch
    },
    ended(epoch, shown) {
      const at = clock.monotonic()
      move(shown === null ? unused(state, epoch, at) : ended(state, { epoch, at, ...shown }, policy))
    },
  }
}

function stateOf(state: BreakerState): { readonly breaker: string; readonly waitMs?: number } {
  return { breaker: state.kind, ...(state.kind === 'closed' ? {} : { waitMs: state.waitMs }) }
}

const CHANGES: Readonly<Record<BreakerState['kind'], string>> = {
  closed: 'the partner answers again; its rewards go on',
  open: 'the partner is left alone for a while',
  'half-open': 'one reward tries whether the partner answers',
}
