import type { Clock } from '../../core/clock.ts'

export interface Deadlines {
  /** Calls `expire` once the time is up, unless what is returned is called first. */
  begin(expire: () => void): () => void
  /** Nothing expires any more. */
  close(): void
}

/**
 * The time-outs of many calls that all may take equally long: they end in the order in which they began, so that one sleep, until
 * the oldest's time, does for all of them, and a call that is answered costs no timer.
 */
export function openDeadlines(clock: Clock, timeoutMs: number): Deadlines {
  const waiting = new Set<{ readonly at: number; readonly expire: () => void }>()
  const closing = new AbortController()
  let watching = false
  const watch = async (): Promise<void> => {
    watching = true
    for (;;) {
      const [oldest] = waiting
      if (oldest === undefined || closing.signal.aborted) break
      const rest = oldest.at - clock.monotonic()
      if (rest > 0) {
        await clock.sleep(rest, closing.signal)
        continue
      }
      waiting.delete(oldest)
      oldest.expire()
    }
    watching = false
  }
  return {
    begin(expire) {
      const entry = { at: clock.monotonic() + timeoutMs, expire }
      waiting.add(entry)
      if (!watching) void watch()
      return () => void waiting.delete(entry)
    },
    close() {
      closing.abort()
      waiting.clear()
    },
  }
}
