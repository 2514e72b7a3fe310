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
    tell(logger, { partner, was, ...stateOf(state) })
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

function stateOf(state: BreakerState): Pick<Change, 'breaker' | 'waitMs'> {
  return { breaker: state.kind, ...(state.kind === 'closed' ? {} : { waitMs: state.waitMs }) }
}

interface Change {
  readonly partner: string
  readonly was: BreakerState['kind']
  readonly breaker: BreakerState['kind']
  readonly waitMs?: number
}

function tell(logger: Logger, change: Change): void {
  if (change.breaker === 'closed') logger.warn(change, 'the partner answers again; its rewards go on')
  else if (change.breaker === 'half-open') logger.info(change, 'one reward tries whether the partner answers')
  else if (change.was === 'half-open')
    logger.warn(change, 'the partner still does not answer; it is left alone for longer')
  else logger.error(change, 'the partner does not answer; its rewards wait and burn no tries')
}
