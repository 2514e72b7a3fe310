import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'

export interface ChildOptions {
  readonly clock: Clock
  /** Of `onceward`: the command and its flags; where it serves its metrics and what it logs are added. */
  readonly args: readonly string[]
  /** What it is called in messages: `a worker`. */
  readonly what: string
  /** Each line that it writes to stderr. */
  readonly onLine: (line: string) => void
}

/** Longer than a worker takes to hand over, or a gateway to answer what is under way. */
const STOP_MS_MAX = 10_000
const LINES_KEPT = 5

/** A service of Onceward as a process of its own, by this very command line, seen through its log and its metrics. */
export class Child {
  readonly #options: ChildOptions
  readonly #process: ChildProcess
  readonly #ended: Promise<void>
  readonly #killAtExit: () => void
  /** Rejects with ONCEWARD_E_GAVE_UP, and the last that it said, where it ends by itself. Never resolves. */
  readonly died: Promise<never>
  #metricsPort: number | undefined
  #lines: readonly string[] = []
  #end: string | undefined
  #stopping = false

  constructor(options: ChildOptions) {
    this.#options = options
    const [, script = ''] = process.argv
    const observed = ['--metrics-port', '0', '--metrics-host', '127.0.0.1', '--log-level', 'info']
    // What the variables say is meant for the bench: a service with other settings would measure something else.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ONCEWARD_')))
    const child = spawn(process.execPath, [...process.execArgv, script, ...options.args, ...observed], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env,
    })
    this.#process = child
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

  get pid(): number | undefined {
    return this.#process.pid
  }

  /**
   * The page `path` of its metrics port; undefined while it serves none. Throws ONCEWARD_E_GAVE_UP where it has ended. To be asked for
   * rarely where CPU is measured: a page of metrics costs milliseconds to make.
   */
  async page(path: string, signal?: AbortSignal): Promise<Response | undefined> {
    if (this.#end !== undefined) this.#throwEnd()
    if (this.#metricsPort === undefined) return undefined
    return fetch(`http://127.0.0.1:${this.#metricsPort}${path}`, signal === undefined ? {} : { signal })
  }

  /** All its metrics at one instant, each summed over its labels; 0 for one that it does not have. */
  async metrics(signal?: AbortSignal): Promise<(name: string) => number> {
    const page = (await (await this.page('/metrics', signal))?.text()) ?? ''
    return (name) => {
      const samples = page.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))
      return [...samples].reduce((total, [, value]) => total + Number(value), 0)
    }
  }

  /** Asks it to stop, and kills it where it does not. Idempotent. */
  async stop(): Promise<void> {
    const over = new AbortController()
    this.#stopping = true
    this.#process.kill('SIGTERM')
    const late = this.#options.clock
      .sleep(STOP_MS_MAX, over.signal)
      .then(() => over.signal.aborted || this.#process.kill('SIGKILL'))
    await this.#ended
    over.abort()
    await late
    process.off('exit', this.#killAtExit)
  }

  #throwEnd(): never {
    throw new OncewardError(
      'ONCEWARD_E_GAVE_UP',
      `${this.#options.what} of the bench ended by itself (${this.#end}); it said last:\n${this.#lines.join('\n')}`,
    )
  }

  #read(line: string): void {
    this.#lines = [...this.#lines, line].slice(-LINES_KEPT)
    if (this.#metricsPort === undefined && line.includes('"port":')) {
      const port = /"port":(\d+)/.exec(line)?.[1]
      if (port !== undefined) this.#metricsPort = Number(port)
    }
    this.#options.onLine(line)
  }
}
