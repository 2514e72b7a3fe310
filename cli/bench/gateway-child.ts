import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'

/** Longer than a gateway takes to answer what is under way. */
const STOP_MS_MAX = 10_000
const LINES_KEPT = 5

/** `onceward gateway` as a process of its own, by this very command line. */
export class GatewayChild {
  readonly #clock: Clock
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #killAtExit: () => void
  #lines: readonly string[] = []
  #end: string | undefined
  #stopping = false
  #metricsPort: number | undefined
  #resolvePort: (port: number) => void = () => undefined
  /** Where it listens. */
  readonly port: Promise<number>
  /** Rejects with ONCEWARD_E_GAVE_UP, and the last that it said, where it ends by itself. Never resolves. */
  readonly died: Promise<never>

  /** `args` of `onceward gateway`; where it listens and serves its metrics is added. */
  constructor({ clock, args }: { readonly clock: Clock; readonly args: readonly string[] }) {
    this.#clock = clock
    this.port = new Promise((resolve) => {
      this.#resolvePort = resolve
    })
    const [, script = ''] = process.argv
    const listening = ['--port', '0', '--host', '127.0.0.1', '--metrics-port', '0', '--metrics-host', '127.0.0.1']
    // What the variables say is meant for the bench: a gateway with other settings would measure something else.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ONCEWARD_')))
    const child = spawn(process.execPath, [...process.execArgv, script, 'gateway', ...args, ...listening], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...env, ONCEWARD_LOG_LEVEL: 'info' },
    })
    this.#child = child
    this.#killAtExit = () => void child.kill('SIGKILL')
    process.once('exit', this.#killAtExit)
    createInterface({ input: child.stderr }).on('line', (line) => this.#read(line))
    this.#ended = new Promise((resolve) => {
      const over = (how: string): void => {
        this.#end ??= how
        resolve()
      }
      child.once('error', (error) => over(error.message))
      child.once('close', (code, signal) => over(signal ?? `exit code ${code}`))
    })
    this.died = this.#ended.then(() => (this.#stopping ? new Promise<never>(() => undefined) : this.#throwEnd()))
    // Nobody may be waiting for it right now.
    this.died.catch(() => undefined)
  }

  /** CPU seconds that it has used, and bytes of memory that it has; undefined while it does not serve them. */
  async usage(): Promise<{ readonly cpuSeconds: number; readonly rssBytes: number } | undefined> {
    if (this.#metricsPort === undefined) return undefined
    const page = await (await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`)).text()
    const value = (name: string): number => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(page)?.[1])
    return { cpuSeconds: value('process_cpu_seconds_total'), rssBytes: value('process_resident_memory_bytes') }
  }

  /** Asks it to stop, and kills it where it does not. Idempotent. */
  async stop(): Promise<void> {
    const over = new AbortController()
    this.#stopping = true
    this.#child.kill('SIGTERM')
    const late = this.#clock
      .sleep(STOP_MS_MAX, over.signal)
      .then(() => over.signal.aborted || this.#child.kill('SIGKILL'))
    await this.#ended
    over.abort()
    await late
    process.off('exit', this.#killAtExit)
  }

  #throwEnd(): never {
    throw new OncewardError(
      'ONCEWARD_E_GAVE_UP',
      `the gateway of the bench ended by itself (${this.#end}); it said last:\n${this.#lines.join('\n')}`,
    )
  }

  #read(line: string): void {
    this.#lines = [...this.#lines, line].slice(-LINES_KEPT)
    const listening = /listening on https?:\/\/\S+:(\d+)/.exec(line)?.[1]
    if (listening !== undefined) this.#resolvePort(Number(listening))
    const serving = /"port":(\d+)/.exec(line)?.[1]
    if (serving !== undefined) this.#metricsPort ??= Number(serving)
  }
}
