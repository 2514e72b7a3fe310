import { type Clock, systemClock } from '../../core/clock.ts'

/** A clock that runs `factor` times as fast as the machine's, so that back-offs and polls cost a test next to nothing. */
export function fastClock(factor = 100): Clock {
  const started = systemClock.monotonic()
  const base = systemClock.now()
  const elapsed = (): number => (systemClock.monotonic() - started) * factor
  return {
    now: () => Math.floor(base + elapsed()),
    monotonic: elapsed,
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  }
}

/** `clock`, where it is another time of day: it stands at `now`. */
export function clockAt(now: string, clock: Clock): Clock {
  return {
    now: () => Date.parse(now),
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  }
}

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  #now: number
  #monotonic = 0
  #sleepers: { readonly due: number; readonly wake: () => void }[] = []

  constructor(now: number) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#monotonic
  }

  get sleeping(): number {
    return this.#sleepers.length
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const wake = (): void => {
        signal?.removeEventListener('abort', wake)
        this.#sleepers = this.#sleepers.filter((sleeper) => sleeper.wake !== wake)
        resolve()
      }
      signal?.addEventListener('abort', wake, { once: true })
      this.#sleepers.push({ due: this.#monotonic + ms, wake })
    })
  }

  /** Moves both times, and wakes who has slept long enough. */
  advance(ms: number): void {
    this.#now += ms
    this.#monotonic += ms
    for (const { due, wake } of this.#sleepers) if (due <= this.#monotonic) wake()
  }
}
