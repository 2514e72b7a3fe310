import { readdirSync, readFileSync } from 'node:fs'
import { systemClock as clock } from '../../core/clock.ts'

const LOOK_EVERY_MS = 20

/**
 * Watches how long a process is ready to run while the machine has no CPU for it (Linux: the second field of schedstat):
 * its main thread, and of the threads that work for that one the one that waits longest; and the watcher itself, which
 * sees the end late when it waits. Where the system does not tell it is 0.
 */
export class CpuWatch {
  readonly #pid: number
  readonly #over = new AbortController()
  readonly #from: ReadonlyMap<number, number>
  readonly #watcherFromMs = waitsOf(process.pid).get(process.pid) ?? 0
  /** By thread; those that have ended stay. */
  readonly #last: Map<number, number>

  constructor(pid: number) {
    this.#pid = pid
    this.#from = waitsOf(pid)
    this.#last = new Map(this.#from)
    void this.#run()
  }

  /** Ends the watch; answers milliseconds. */
  stop(): number {
    this.#over.abort()
    const waited = (thread: number): number => (this.#last.get(thread) ?? 0) - (this.#from.get(thread) ?? 0)
    const others = [...this.#last.keys()].filter((thread) => thread !== this.#pid)
    const watcherMs = (waitsOf(process.pid).get(process.pid) ?? 0) - this.#watcherFromMs
    return waited(this.#pid) + Math.max(0, ...others.map(waited)) + watcherMs
  }

  async #run(): Promise<void> {
    while (!this.#over.signal.aborted) {
      for (const [thread, ms] of waitsOf(this.#pid)) this.#last.set(thread, ms)
      await clock.sleep(LOOK_EVERY_MS, this.#over.signal)
    }
  }
}

/** Milliseconds by thread; the main thread has the number of the process. */
function waitsOf(pid: number): Map<number, number> {
  const waits = new Map<number, number>()
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const ns = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[1]
      waits.set(Number(thread), Number(ns) / 1e6)
    }
  } catch {
    // a thread or the process ended meanwhile, or this is no Linux
  }
  return waits
}
