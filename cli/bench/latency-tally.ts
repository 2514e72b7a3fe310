import type { Clock } from '../../core/clock.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import type { Window } from './latency-feed.ts'
import { LatencyHistogram } from './latency-histogram.ts'

/** The latency of the records that came on one topic: from the timestamp of their event until they were read, ms. */
export class LatencyTally {
  readonly #clock: Clock
  #window: Window | undefined
  /** Records of the window. */
  readonly measured = new LatencyHistogram()
  /** Records since the last `clear`, of the window or not. */
  readonly recent = new LatencyHistogram()
  /** All records so far. */
  count = 0
  /** When the last of them was read, ms since the epoch. */
  lastMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  take({ timestamp }: LogRecord): void {
    const nowMs = this.#clock.now()
    const latencyMs = nowMs - timestamp
    this.count += 1
    this.lastMs = nowMs
    this.recent.add(latencyMs)
    const window = this.#window
    if (window !== undefined && timestamp >= window.from && timestamp < window.until) this.measured.add(latencyMs)
  }

  begin(): void {
    this.#window = undefined
    this.count = 0
    this.measured.clear()
    this.recent.clear()
  }

  measure(window: Window): void {
    this.#window = window
  }
}

/** How long the warm-up may take, seconds. */
export const WARM_UP_SECONDS_MAX = 60
const SECONDS_MIN = 3
/** A second that is better than the best before by less than this share is no better. */
const BETTER = 0.1

/**
 * Whether the worker has got as fast as it gets: two seconds in a row were no better than the best before them. `medians` are
 * the median latencies of the seconds so far, ms.
 */
export function isWarm(medians: readonly number[]): boolean {
  if (medians.length < SECONDS_MIN) return false
  const best = Math.min(...medians.slice(0, -2))
  return medians.slice(-2).every((median) => median >= best * (1 - BETTER))
}
