/**
 * Lets go on what waits for something that is no order of the log: what was stopped at the moment of its call, once its player
 * may have it, after changes of players and now and then; and what a person has let go, which no partner has yet.
 */
import type { Clock } from '../../core/clock.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import type { Logger } from '../../core/ports/logger.ts'
import { admitAgain } from './admission.ts'
import { createAlarm } from './alarm.ts'
import type { Patience } from './patience.ts'
import type { Routes } from './routing.ts'
import type { Counters, SinkMetrics } from './stats.ts'

export interface ThawerParts {
  readonly ledger: Pick<Ledger, 'thaw' | 'reroute'>
  /** Who pays which type. */
  readonly byType: Routes['byType']
  readonly patience: Patience
  readonly clock: Clock
  readonly logger: Logger
  readonly counters: Counters
  readonly metrics: SinkMetrics
  /** Restrictions end by themselves: so often somebody has to look. */
  readonly pollMs: number
  readonly stopping: AbortSignal
  /** Called after rewards were queued. */
  readonly queued: () => void
}

export interface Thawer {
  /** Looks until `stopping`. Rejects with what makes going on impossible. */
  run(): Promise<void>
  /** Players have changed. */
  wake(): void
}

/** Rewards of one transaction. */
const THAW_MAX = 200
/** However often players change, the ledger is asked once in so long, ms. */
const PAUSE_MS = 250

export function createThawer(parts: ThawerParts): Thawer {
  const { clock, stopping } = parts
  const alarm = createAlarm(clock)
  const stop = (): void => alarm.ring()
  return {
    wake: () => alarm.ring(),
    async run() {
      stopping.addEventListener('abort', stop, { once: true })
      try {
        while (!stopping.aborted) {
          const heard = alarm.listen(parts.pollMs)
          await route(parts)
          if (await thaw(parts)) continue
          await heard
          await clock.sleep(PAUSE_MS, stopping)
        }
      } finally {
        stopping.removeEventListener('abort', stop)
      }
    },
  }
}

/** What was approved or issued by hand goes to the partner of its type. */
async function route({ ledger, patience, byType, logger, queued }: ThawerParts): Promise<void> {
  const routed = await patience.insist('route rewards', () => ledger.reroute('unrouted', byType))
  if (routed === 0) return
  logger.info({ rewards: routed }, 'rewards that people let go are with their partners')
  queued()
}

/** True where there may be more. */
async function thaw({ ledger, patience, counters, metrics, logger, queued }: ThawerParts): Promise<boolean> {
  const { known: moved, held } = await patience.insist('thaw rewards', () => ledger.thaw(admitAgain, THAW_MAX))
  if (moved === 0) return false
  counters.thawed += moved
  counters.held += held
  metrics.thawed?.(moved)
  if (held > 0) metrics.held?.(held)
  logger.info({ rewards: moved, held }, 'rewards that had been stopped go on')
  queued()
  return moved >= THAW_MAX
}
