import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { systemClock as clock } from '../../core/clock.ts'
import { CpuWatch } from './cpu-wait.ts'

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
/** How long a process may take to begin, ms: a machine that is busy with other things starts slowly. */
const BEGIN_MS_MAX = 120_000
const LOOK_EVERY_MS = 50
/** Of a log, in an error, characters. */
const SHOWN_MAX = 2_000
/** A frozen process answers nobody. */
const READY_MS_MAX = 2_000

export interface ServiceEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Termination extends ServiceEnd {
  /** From SIGTERM to exit, by the clock. */
  readonly ms: number
  /** The same without the time in which it, or whoever watched it, waited for a CPU: what it took by itself. */
  readonly ownMs: number
}

export interface ServiceOptions {
  readonly name: string
  readonly logFile: string
  readonly args: readonly string[]
  /** Told of ends that nobody asked for. */
  readonly died: (service: Service, end: ServiceEnd) => void
}

/** One program of the command line, as a process whose output goes to a file: each life of it appends. */
export class Service {
  readonly #options: ServiceOptions
  #child: ChildProcess | undefined
  #ended: Promise<ServiceEnd> = Promise.resolve({ code: null, signal: null })
  /** Bytes of the log when it was started last. */
  #logStart = 0
  #frozen = false
  #busy = false
  #retired = false
  /** What ends it is ours; anything else is a finding. */
  #expected = false

  constructor(options: ServiceOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  get frozen(): boolean {
    return this.#frozen
  }

  /** True while a fault is being done to it. */
  get busy(): boolean {
    return this.#busy
  }

  async occupied(act: () => Promise<void>): Promise<void> {
    this.#busy = true
    try {
      await act()
    } finally {
      this.#busy = false
    }
  }

  start(): void {
    if (this.#retired) return
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`)
    const { logFile, args, died } = this.#options
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ONCEWARD_')))
    const log = openSync(logFile, 'a')
    this.#logStart = fstatSync(log).size
    // A group of its own: Ctrl-C reaches the driver alone, which then ends what it has started.
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), MAIN, ...args], {
      env: inherited,
      stdio: ['ignore', log, log],
      detached: true,
    })
    closeSync(log)
    this.#child = child
    this.#expected = false
    const killAtExit = (): void => void child.kill('SIGKILL')
    process.once('exit', killAtExit)
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        process.off('exit', killAtExit)
        this.#child = undefined
        this.#frozen = false
        if (!this.#expected) died(this, { code, signal })
        resolve({ code, signal })
      })
    })
  }

  async kill(): Promise<void> {
    this.#expected = true
    this.#child?.kill('SIGKILL')
    await this.#ended
  }

  /** Kills it for good: `start` does nothing from now on. */
  async retire(): Promise<void> {
    this.#retired = true
    await this.kill()
  }

  freeze(): void {
    this.#frozen = true
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#frozen = false
    this.#child?.kill('SIGCONT')
  }

  /** SIGTERM, once it has begun; SIGKILL where it is not over after `msMax`, so that the run goes on. */
  async terminate(msMax: number): Promise<Termination> {
    await this.#until(() => this.#port() !== undefined, BEGIN_MS_MAX)
    this.#expected = true
    const startedMs = clock.monotonic()
    const watch = this.#child?.pid === undefined ? undefined : new CpuWatch(this.#child.pid)
    this.#child?.kill('SIGTERM')
    const over = new AbortController()
    const late = clock.sleep(msMax, over.signal).then(() => over.signal.aborted || this.#child?.kill('SIGKILL'))
    const end = await this.#ended
    over.abort()
    await late
    const ms = clock.monotonic() - startedMs
    return { ...end, ms, ownMs: Math.max(0, ms - (watch?.stop() ?? 0)) }
  }

  /** What /readyz says: true where it runs and has all that it works with. */
  async ready(): Promise<boolean> {
    const port = this.#port()
    if (port === undefined || !this.running || this.#frozen) return false
    const over = new AbortController()
    const late = clock.sleep(READY_MS_MAX, over.signal).then(() => over.abort())
    try {
      return (await fetch(`http://127.0.0.1:${port}/readyz`, { signal: over.signal })).ok
    } catch {
      return false
    } finally {
      over.abort()
      await late
    }
  }

  /** Waits until `probe` finds what it looks for in what was logged since the last start. */
  async until(probe: (text: string) => boolean, msMax = BEGIN_MS_MAX): Promise<string> {
    await this.#until(() => probe(this.#said()), msMax)
    return this.#said()
  }

  async #until(holds: () => boolean, msMax: number): Promise<void> {
    const giveUpAt = clock.monotonic() + msMax
    while (!holds()) {
      if (!this.running) throw new Error(`${this.name} has ended:\n${this.#said().slice(-SHOWN_MAX)}`)
      if (clock.monotonic() > giveUpAt)
        throw new Error(`${this.name}: not within ${msMax} ms:\n${this.#said().slice(-SHOWN_MAX)}`)
      await clock.sleep(LOOK_EVERY_MS)
    }
  }

  #said(): string {
    const { logFile } = this.#options
    return existsSync(logFile) ? readFileSync(logFile).subarray(this.#logStart).toString() : ''
  }

  /** Where it serves its health, which it does from the moment on that it has begun: signals are handled, Kafka is there. */
  #port(): string | undefined {
    return /"port":(\d+),"msg":"serving/.exec(this.#said())?.[1]
  }
}
