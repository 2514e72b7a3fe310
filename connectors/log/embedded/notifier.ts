/** Wakes whoever waits. Check the condition and call `next` in the same turn, and no wake-up is lost. */
export class Notifier {
  #waiting: (() => void)[] = []

  /** Resolves at the next `notify`, or once `signal` aborts. */
  next(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const done = (): void => {
        signal?.removeEventListener('abort', aborted)
        resolve()
      }
      const aborted = (): void => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== done)
        resolve()
      }
      signal?.addEventListener('abort', aborted, { once: true })
      this.#waiting.push(done)
    })
  }

  notify(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}
