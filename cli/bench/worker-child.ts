import type { Clock } from '../../core/clock.ts'
import { Child } from './child.ts'

export interface WorkerChildOptions {
  readonly clock: Clock
  /** Of `onceward worker`; where it serves its metrics and what it logs are added. */
  readonly args: readonly string[]
}

/** `onceward worker` as a process of its own. */
export class WorkerChild {
  readonly #child: Child
  /** Rejects with ONCEWARD_E_GAVE_UP, and the last that it said, where it ends by itself. Never resolves. */
  readonly died: Promise<never>
  #readyMs: number | undefined

  constructor({ clock, args }: WorkerChildOptions) {
    const onLine = (line: string): void => {
      if (this.#readyMs === undefined && line.includes('partition recovered')) this.#readyMs = clock.now()
    }
    this.#child = new Child({ clock, args: ['worker', ...args], what: 'a worker', onLine })
    this.died = this.#child.died
  }

  /** Wall clock, ms: when it first had a partition's state. */
  get readyMs(): number | undefined {
    return this.#readyMs
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** A metric, summed over its labels; 0 while it has none, or no port yet. */
  async sum(name: string, signal: AbortSignal): Promise<number> {
    return (await this.metrics(signal))(name)
  }

  metrics(signal: AbortSignal): Promise<(name: string) => number> {
    return this.#child.metrics(signal)
  }

  /** Partitions that it works on; undefined while it recovers some, or has not been given any. */
  async partitions(signal: AbortSignal): Promise<number | undefined> {
    const ready = await this.#child.page('/readyz', signal)
    return ready?.ok === true ? this.sum('onceward_partitions', signal) : undefined
  }

  /** CPU seconds that it has used so far. */
  cpuSeconds(signal: AbortSignal): Promise<number> {
    return this.sum('process_cpu_seconds_total', signal)
  }

  /** Asks it to stop, and kills it where it does not. Idempotent. */
  stop(): Promise<void> {
    return this.#child.stop()
  }
}
