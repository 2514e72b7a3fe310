import type { Clock } from '../../core/clock.ts'
import type { JsonObject } from '../../core/model/event.ts'

export interface PlayersOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** What is sent next, at that moment. */
  readonly next: (nowMs: number) => JsonObject
  /** Events a second, all players together. */
  readonly perSecond: number
  /** Waits while too many events are ahead of the workers. */
  readonly room: () => Promise<void>
}

const TICK_MS = 50
/** What could not be sent in time is made up for, up to this much; a laptop that slept for an hour owes nothing. */
const CATCH_UP_SECONDS_MAX = 0.5

/** What the players send, twenty times a second, as lines for the ingest. Ends when `signal` aborts. */
export async function* playedLines(options: PlayersOptions): AsyncGenerator<readonly Buffer[]> {
  const { clock, signal, next, perSecond, room } = options
  let lastMs = clock.monotonic()
  let owed = 0
  for (;;) {
    await clock.sleep(TICK_MS, signal)
    await room()
    if (signal.aborted) return
    const nowMs = clock.monotonic()
    owed += ((nowMs - lastMs) * perSecond) / 1_000
    owed = Math.min(owed, Math.max(1, perSecond * CATCH_UP_SECONDS_MAX))
    lastMs = nowMs
    const count = Math.floor(owed)
    owed -= count
    if (count > 0) yield Array.from({ length: count }, () => Buffer.from(JSON.stringify(next(clock.now()))))
  }
}
