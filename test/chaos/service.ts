import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { systemClock as clock } from '../../core/clock.ts'

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))

export interface ServiceEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** One program of the command line, as a process whose output goes to a file: each life of it appends. */
export class Service {
  readonly name: string
  readonly logFile: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined
  #ended: Promise<ServiceEnd> = Promise.resolve({ code: null, signal: null })
  /** Bytes of the log when it was started last. */
  #logStart = 0
  #frozen = false
  #busy = false
  /** What ends it is ours; anything else is a finding. */
  #expected = false
  readonly #died: (service: Service, end: ServiceEnd) => void

  constructor(options: {
    readonly name: string
    readonly logFile: string
    readonly args: readonly string[]
    readonly died: (service: Service, end: ServiceEnd) => void
  }) {
    this.name = options.name
    this.logFile = options.logFile
    this.#args = options.args
    this.#died = options.died
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
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`)
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ONCEWARD_')))
    const log = openSync(this.logFile, 'a')
    this.#logStart = fstatSync(log).size
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), MAIN, ...this.#args], {
      env: inherited,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    this.#child = child
    this.#expected = false
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#child = undefined
        this.#frozen = false
        if (!this.#expected) this.#died(this, { code, signal })
        resolve({ code, signal })
      })
    })
  }

  async kill(): Promise<void> {
    this.#expected = true
    this.#child?.kill('SIGKILL')
    await this.#ended
  }

  freeze(): void {
    this.#frozen = true
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#frozen = false
    this.#child?.kill('SIGCONT')
  }

  /** SIGTERM; SIGKILL where it is not over after `msMax`, so that the run goes on. */
  async terminate(msMax: number): Promise<ServiceEnd & { readonly ms: number }> {
    this.#expected = true
    const startedMs = clock.monotonic()
    this.#child?.kill('SIGTERM')
    const over = new AbortController()
    const late = clock.sleep(msMax, over.signal).then(() => over.signal.aborted || this.#child?.kill('SIGKILL'))
    const end = await this.#ended
    over.abort()
    await late
    return { ...end, ms: clock.monotonic() - startedMs }
  }

  /** Waits until `probe` finds what it looks for in what was logged since the last start. */
  async until(probe: (text: string) => boolean, msMax = 30_000): Promise<string> {
    const giveUpAt = clock.monotonic() + msMax
    for (;;) {
      const text = readFileSync(this.logFile).subarray(this.#logStart).toString()
      if (probe(text)) return text
      if (!this.running) throw new Error(`${this.name} ended:\n${text}`)
      if (clock.monotonic() > giveUpAt) throw new Error(`${this.name} not within ${msMax} ms:\n${text}`)
      await clock.sleep(50)
    }
  }
}
