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
export const WARM_UP_SECONDS_MAX = 30
/** The last so many seconds must agree, but for a share, or for so many ms. */
const SECONDS = 3
const AGREE_SHARE = 0.2
const AGREE_MS = 10

/**
 * Whether latency has settled: the worker gets no faster any more, and has worked off what had piled up while it was slow.
 * One that falls ever further behind settles too, once a second more makes no difference. `medians` are the median
 * latencies of the seconds so far, ms.
 */
export function isSettled(medians: readonly number[]): boolean {
  const last = medians.slice(-SECONDS)
  const least = Math.min(...last)
  return last.length === SECONDS && Math.max(...last) - least <= Math.max(AGREE_MS, AGREE_SHARE * least)
}
