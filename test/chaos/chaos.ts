import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock as clock } from '../../core/clock.ts'
import { seededRandom } from '../../core/random.ts'
import { Actions, type ServiceTermination } from './actions.ts'
import { type Audit, audit } from './audit.ts'
import { type FaultKind, planFaults } from './faults.ts'
import { Feeder } from './feeder.ts'
import { type Installation, PARTITIONS, startInstallation } from './installation.ts'
import { type LogFindings, readLogs } from './process-logs.ts'
import { closeStrictLane, untilQuiet } from './quiet.ts'
import { unlessAborted, Waits } from './waits.ts'
import { type FedEvent, feedOf } from './workload.ts'

/**
 * How long faults go on: by the clock, overlapping, or until each kind has come so many times, one after the other, each
 * once the one before is over and all are at work again.
 */
export type ChaosLength =
  | { readonly kind: 'clock'; readonly durationMs: number }
  | { readonly kind: 'rounds'; readonly rounds: number }

export interface ChaosOptions {
  readonly seed: number
  readonly length: ChaosLength
  readonly faults: readonly FaultKind[]
  /** Events a second. */
  readonly rate: number
  /** Least and most milliseconds from one fault to the next. */
  readonly gapMs: [number, number]
  /** A folder that does not exist yet: logs, state and all data of the run. */
  readonly dir: string
  /** Stops the run, and everything that it started. */
  readonly signal: AbortSignal
  readonly progress: (text: string) => void
}

export interface ChaosReport {
  readonly faults: ReadonlyMap<FaultKind, number>
  readonly audit: Audit
  readonly terminations: readonly ServiceTermination[]
  readonly logs: LogFindings
  /** Conditions that a fault waited for and that did not come true: the fault was weaker than meant, the result counts. */
  readonly inVain: readonly string[]
  /** Everything that must not be: of the audit, of processes that ended, of SIGTERMs that took too long. */
  readonly differences: readonly string[]
}

/** While faults overlap, what one waits for may be in the way of another: then it goes on without. */
const OVERLAPPING_WAIT_MS_MAX = 30_000
const WAIT_MS_MAX = 180_000
const PROGRESS_EVERY_MS = 1_000

/** One run: starts everything, feeds and breaks it, waits until all is done, compares, and stops everything. Throws where
 * `signal` aborts, once everything is stopped. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  mkdirSync(options.dir, { recursive: true })
  const installation = await startInstallation({ ...options, prefix: 'chaos.' })
  try {
    return await new Run(options, installation).run()
  } finally {
    await installation.stop()
  }
}

class Run {
  readonly #options: ChaosOptions
  readonly #installation: Installation
  readonly #waits: Waits
  readonly #actions: Actions
  readonly #feeder: Feeder
  /** Every line that was given to the feeder. */
  readonly #given = new Set<string>()
  readonly #startedMs = clock.monotonic()
  #last = ''

  constructor(options: ChaosOptions, installation: Installation) {
    this.#options = options
    this.#installation = installation
    const { log, topics } = installation
    const { signal, length } = options
    const note = (text: string): void => this.#note(text)
    const msMax = length.kind === 'clock' ? OVERLAPPING_WAIT_MS_MAX : WAIT_MS_MAX
    this.#waits = new Waits({ log, signal, note, msMax })
    this.#actions = new Actions(installation, { waits: this.#waits, signal, note })
    this.#feeder = new Feeder({
      log,
      clock,
      topic: topics.events,
      partitions: PARTITIONS,
      rate: options.rate,
      events: remembering(feedOf(options.seed), this.#given),
    })
  }

  async run(): Promise<ChaosReport> {
    const { workers, sinks, log } = this.#installation
    const { signal } = this.#options
    for (const service of [...workers.slice(0, 2), ...sinks]) service.start()
    this.#feeder.start()
    await this.#reporting(() => this.#breakThings())
    await this.#actions.settled()
    signal.throwIfAborted()
    await unlessAborted(this.#feeder.stop(), signal)
    const problems = await this.#untilDone()
    signal.throwIfAborted()
    this.#options.progress('comparing')
    const result = await audit(this.#installation, this.#given)
    await this.#feeder.close()
    await Promise.all([...workers, ...sinks].filter((one) => one.running).map((one) => this.#actions.terminate(one)))
    await log.close()
    const { terminations, counts, failures } = this.#actions
    return {
      faults: counts,
      audit: result,
      terminations,
      logs: readLogs(join(this.#options.dir, 'logs')),
      inVain: this.#waits.inVain,
      differences: [...problems, ...result.differences, ...failures, ...this.#installation.deaths],
    }
  }

  /** Answers why it is not done, where it does not get done. */
  async #untilDone(): Promise<string[]> {
    const { signal, seed } = this.#options
    const problems: string[] = []
    const looked = (text: string): void => this.#options.progress(`no more faults; ${text}`)
    for (const step of [
      () => closeStrictLane(this.#installation, { seed, feeder: this.#feeder, given: this.#given, signal, looked }),
      () => untilQuiet(this.#installation, { signal, looked }),
    ]) {
      await unlessAborted(
        step().catch((error: unknown) => void problems.push(String(error))),
        signal,
      )
    }
    return problems
  }

  async #breakThings(): Promise<void> {
    const { seed, faults, gapMs, length, signal } = this.#options
    if (length.kind === 'rounds') await this.#untilAtWork()
    const most = length.kind === 'rounds' ? faults.length * length.rounds : Number.POSITIVE_INFINITY
    const plan = faults.length === 0 ? [] : planFaults(faults, seededRandom(seed + 1), gapMs)
    let done = 0
    for (const fault of plan) {
      const leftMs = this.#leftMs()
      if (done++ === most || signal.aborted) return
      await clock.sleep(Math.min(fault.afterMs, leftMs), signal)
      if (leftMs <= fault.afterMs) return
      while (!signal.aborted && !this.#actions.apply(fault)) await clock.sleep(500, signal)
      if (length.kind === 'clock') continue
      await this.#actions.settled()
      await this.#untilAtWork()
    }
    if (length.kind === 'clock') await clock.sleep(this.#leftMs(), signal)
  }

  #leftMs(): number {
    const { length } = this.#options
    if (length.kind === 'rounds') return Number.POSITIVE_INFINITY
    return Math.max(0, length.durationMs - (clock.monotonic() - this.#startedMs))
  }

  /** All are in their groups and have what they need, and what has been fed so far is processed. */
  async #untilAtWork(): Promise<void> {
    const { workers, sinks, workerGroup, sinkGroup, topics } = this.#installation
    await this.#waits.atWork(workerGroup, workers)
    await this.#waits.atWork(sinkGroup, sinks)
    await this.#waits.processed(workerGroup, topics.events)
  }

  async #reporting(work: () => Promise<void>): Promise<void> {
    const ended = new AbortController()
    const reporting = this.#reportProgress(ended.signal)
    try {
      await work()
    } finally {
      ended.abort()
      await reporting
    }
  }

  async #reportProgress(signal: AbortSignal): Promise<void> {
    const { progress, length, faults } = this.#options
    const ofSeconds = length.kind === 'clock' ? `/${Math.round(length.durationMs / 1_000)}` : ''
    const ofFaults = length.kind === 'rounds' ? `/${length.rounds * faults.length}` : ''
    while (!signal.aborted) {
      const seconds = Math.floor((clock.monotonic() - this.#startedMs) / 1_000)
      const count = [...this.#actions.counts.values()].reduce((sum, each) => sum + each, 0)
      const on = this.#installation.workers.filter(({ running }) => running).length
      progress(
        `${seconds}${ofSeconds} s  ${this.#feeder.fed} events  ${on} workers  ${count}${ofFaults} faults  ${this.#last}`,
      )
      await clock.sleep(PROGRESS_EVERY_MS, signal)
    }
  }

  #note(text: string): void {
    this.#last = text
    const at = new Date(clock.now()).toISOString()
    appendFileSync(join(this.#options.dir, 'logs', 'faults.txt'), `${at} ${text}\n`)
  }
}

function* remembering(events: Iterator<FedEvent>, given: Set<string>): Generator<FedEvent> {
  for (;;) {
    const next = events.next()
    if (next.done === true) return
    given.add(next.value.line)
    yield next.value
  }
}
