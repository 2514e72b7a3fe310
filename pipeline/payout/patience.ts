/** Waiting for the ledger: Postgres may restart or fail over, and nothing is acknowledged meanwhile. */
import type { Clock } from '../../core/clock.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Random } from '../../core/random.ts'
import { backoffMs } from './decision.ts'

export interface PatiencePolicy {
  readonly baseMs: number
  readonly capMs: number
  /** After this long without an answer the process ends with an error. */
  readonly giveUpMs: number
}

/** Longer than a restart or a failover takes, shorter than anyone would want to stay in doubt. */
export const PATIENCE: PatiencePolicy = { baseMs: 50, capMs: 2_000, giveUpMs: 120_000 }

export interface Patience {
  /**
   * Repeats `work` while it fails with a retryable error. `between` is called before each wait. Throws
   * ONCEWARD_E_GAVE_UP after `giveUpMs` or once `signal` aborts, and any other error at once.
   */
  insist<T>(what: string, work: () => Promise<T>, between?: () => Promise<void>): Promise<T>
}

export function patience(parts: {
  readonly policy: PatiencePolicy
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly signal: AbortSignal
}): Patience {
  const { policy, clock, random, logger, signal } = parts
  return {
    async insist(what, work, between) {
      const start = clock.monotonic()
      for (let tries = 0; ; tries++) {
        try {
          return await work()
        } catch (error) {
          if (!(error instanceof OncewardError) || !error.retry) throw error
          const waitedMs = clock.monotonic() - start
          if (waitedMs >= policy.giveUpMs || signal.aborted) {
            throw new OncewardError(
              'ONCEWARD_E_GAVE_UP',
              `gave up to ${what} after ${Math.round(waitedMs)} ms and ${tries + 1} tries: ${messageOf(error)}`,
              { cause: error },
            )
          }
          if (tries === 0) logger.warn({ code: error.code, error: error.message }, `cannot ${what} yet, trying again`)
        }
        await between?.()
        await clock.sleep(backoffMs(tries, policy, 0.5 + random() / 2), signal)
      }
    },
  }
}
