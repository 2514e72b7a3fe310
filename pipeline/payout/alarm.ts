import type { Clock } from '../../core/clock.ts'

/** A bell that is not missed: `listen` is called before looking for work, so that a ring meanwhile ends the wait at once. */
export interface Alarm {
  ring(): void
  listen(timeoutMs: number): Promise<void>
}

export function createAlarm(clock: Clock): Alarm {
  let bell = new AbortController()
  return {
    ring: () => bell.abort(),
    listen(timeoutMs) {
      bell.abort()
      bell = new AbortController()
      return clock.sleep(timeoutMs, bell.signal)
    },
  }
}
