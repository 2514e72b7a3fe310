import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'

export interface WorkerChildOptions {
  readonly clock: Clock
  /** Of `onceward worker`; where it serves its metrics and what it logs are added. */
  readonly args: readonly string[]
}

/** Longer than a worker takes to hand over, with the process around it. */
const STOP_MS_MAX = 10_000
const LINES_KEPT = 5

/** `onceward worker` as a process of its own, by this very command line, seen through its log and its metrics. */
export class WorkerChild {
  readonly #clock: Clock
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  /** Rejects with ONCEWARD_E_GAVE_UP, and the last that it said, where it ends by itself. Never resolves. */
  readonly died: Promise<never>
  readonly #killAtExit: () => void
  #port: number | undefined
  #end: string | undefined
  #lines: string[] = []
  #stopping = false
  #readyMs: number | undefined

  constructor({ clock, args }: WorkerChildOptions) {
    this.#clock = clock
    const [, script = ''] = process.argv
    const observed = ['--metrics-port', '0', '--metrics-host', '127.0.0.1', '--log-level', 'info']
    // What the variables say is meant for the bench: a worker with other settings would measure something else.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ONCEWARD_')))
    const child = spawn(process.execPath, [...process.execArgv, script, 'worker', ...args, ...observed], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env,
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

  /** Wall clock, ms: when it first had a partition's state. */
  get readyMs(): number | undefined {
    return this.#readyMs
  }

  /** A metric, summed over its labels; 0 while it has none, or no port yet. */
  async sum(name: string, signal: AbortSignal): Promise<number> {
    return (await this.metrics(signal))(name)
  }

  /** All its metrics at one instant. To be asked for rarely where CPU is measured: a page costs milliseconds to make. */
  async metrics(signal: AbortSignal): Promise<(name: string) => number> {
    if (this.#end !== undefined) this.#throwEnd()
    if (this.#port === undefined) return () => 0
    const page = await (await fetch(`http://127.0.0.1:${this.#port}/metrics`, { signal })).text()
    return (name) => {
      const samples = page.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))
      return [...samples].reduce((total, [, value]) => total + Number(value), 0)
    }
  }

  /** Partitions that it works on; undefined while it recovers some, or has not been given any. */
  async partitions(signal: AbortSignal): Promise<number | undefined> {
    if (this.#end !== undefined) this.#throwEnd()
    if (this.#port === undefined) return undefined
    const { ok } = await fetch(`http://127.0.0.1:${this.#port}/readyz`, { signal })
    return ok ? this.sum('onceward_partitions', signal) : undefined
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** CPU seconds that it has used so far. */
  cpuSeconds(signal: AbortSignal): Promise<number> {
    return this.sum('process_cpu_seconds_total', signal)
  }

  #throwEnd(): never {
    throw new OncewardError(
      'ONCEWARD_E_GAVE_UP',
      `a worker of the bench ended by itself (${this.#end}); it said last:\n${this.#lines.join('\n')}`,
    )
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

  #read(line: string): void {
    this.#lines = [...this.#lines, line].slice(-LINES_KEPT)
    if (this.#readyMs === undefined && line.includes('partition recovered')) this.#readyMs = this.#clock.now()
    if (this.#port !== undefined || !line.includes('"port":')) return
    this.#port = Number(/"port":(\d+)/.exec(line)?.[1])
  }
}
