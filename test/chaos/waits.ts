import { groupLag } from '../../cli/log-tools/lag.ts'
import { systemClock as clock } from '../../core/clock.ts'
import type { Log } from '../../core/ports/log.ts'
import type { Service } from './service.ts'

const LOOK_EVERY_MS = 250

export interface WaitsOptions {
  readonly log: Log
  /** How long a condition is waited for, ms. Generous: a condition, not a machine, is looked at. */
  readonly msMax: number
  readonly signal: AbortSignal
  readonly note: (text: string) => void
}

/** Waits for conditions of the installation. One that does not come true in time is noted, and the run goes on. */
export class Waits {
  readonly #options: WaitsOptions
  /** What was waited for in vain. */
  readonly inVain: string[] = []

  constructor(options: WaitsOptions) {
    this.#options = options
  }

  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const { msMax, signal, note } = this.#options
    const giveUpAt = clock.monotonic() + msMax
    while (!signal.aborted && !(await unlessAborted(holds(), signal))) {
      if (clock.monotonic() > giveUpAt) {
        note(`waited in vain for ${what}`)
        this.inVain.push(what)
        return
      }
      await clock.sleep(LOOK_EVERY_MS, signal)
    }
  }

  /** How many members a group has; undefined where the broker does not say. */
  async members(group: string): Promise<number | undefined> {
    return unlessAborted(
      this.#options.log.members(group).catch(() => undefined),
      this.#options.signal,
    )
  }

  /** Until those of `services` that run are in the group, and each has all that it works with. The killed stay in it a while. */
  async atWork(group: string, services: readonly Service[]): Promise<void> {
    await this.until(`${group} to be at work`, async () => {
      const running = services.filter((service) => service.running)
      if (((await this.members(group)) ?? 0) < running.length) return false
      return (await Promise.all(running.map((service) => service.ready()))).every(Boolean)
    })
  }

  /** Until the group has committed what is on the topic now, on each partition: so each of them has an owner that works. */
  async processed(group: string, topic: string): Promise<void> {
    let ends: readonly number[] | undefined
    await this.until(`${group} to process what is on ${topic}`, async () => {
      const now = (await groupLag(this.#options.log, group, topic).catch(() => undefined))?.partitions
      ends ??= now?.map(({ end }) => end)
      return ends !== undefined && now?.every(({ position }, index) => position >= (ends?.[index] ?? 0)) === true
    })
  }
}

/** undefined as soon as the signal aborts: a broker that is gone may keep an answer for minutes. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  work.catch(() => undefined)
  const over = new AbortController()
  const aborted = new Promise<undefined>((resolve) => {
    const done = (): void => resolve(undefined)
    if (signal.aborted) done()
    else signal.addEventListener('abort', done, { once: true, signal: over.signal })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    over.abort()
  }
}
