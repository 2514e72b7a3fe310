import type { Clock } from '../../core/clock.ts'
import { Child } from './child.ts'

/** `onceward gateway` as a process of its own. */
export class GatewayChild {
  readonly #child: Child
  #resolvePort: (port: number) => void = () => undefined
  /** Where it listens. */
  readonly port: Promise<number>
  /** Rejects with ONCEWARD_E_GAVE_UP, and the last that it said, where it ends by itself. Never resolves. */
  readonly died: Promise<never>

  /** `args` of `onceward gateway`; where it listens and serves its metrics is added. */
  constructor({ clock, args }: { readonly clock: Clock; readonly args: readonly string[] }) {
    this.port = new Promise((resolve) => {
      this.#resolvePort = resolve
    })
    const listening = ['--port', '0', '--host', '127.0.0.1']
    const onLine = (line: string): void => {
      const port = /listening on https?:\/\/\S+:(\d+)/.exec(line)?.[1]
      if (port !== undefined) this.#resolvePort(Number(port))
    }
    this.#child = new Child({ clock, args: ['gateway', ...args, ...listening], what: 'the gateway', onLine })
    this.died = this.#child.died
  }

  /** CPU seconds that it has used, and bytes of memory that it has; 0 while it does not serve them. */
  async usage(): Promise<{ readonly cpuSeconds: number; readonly rssBytes: number }> {
    const value = await this.#child.metrics()
    return { cpuSeconds: value('process_cpu_seconds_total'), rssBytes: value('process_resident_memory_bytes') }
  }

  /** Asks it to stop, and kills it where it does not. Idempotent. */
  stop(): Promise<void> {
    return this.#child.stop()
  }
}
