import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { groupLag } from '../../cli/log-tools/lag.ts'
import { systemClock as clock } from '../../core/clock.ts'
import { partitionOf } from '../../core/partitioner.ts'
import { seededRandom } from '../../core/random.ts'
import { Actions, type Termination } from './actions.ts'
import { type Audit, audit, untilQuiet } from './audit.ts'
import { type FaultKind, planFaults } from './faults.ts'
import { Feeder } from './feeder.ts'
import { type Installation, PARTITIONS, startInstallation } from './installation.ts'
import { type LogFindings, readLogs } from './process-logs.ts'
import { closingEvents, type FedEvent, feedOf } from './workload.ts'

export interface ChaosOptions {
  readonly seed: number
  /** How long events flow and faults happen, ms. */
  readonly durationMs: number
  readonly faults: readonly FaultKind[]
  /** Events a second. */
  readonly rate: number
  /** Least and most milliseconds from one fault to the next. */
  readonly gapMs: [number, number]
  /** A folder that does not exist yet: logs, state and all data of the run. */
  readonly dir: string
  readonly signal: AbortSignal
  readonly progress: (text: string) => void
}

export interface ChaosReport {
  readonly faults: ReadonlyMap<FaultKind, number>
  readonly audit: Audit
  readonly terminations: readonly Termination[]
  readonly logs: LogFindings
  /** Everything that must not be: of the audit, of processes that ended, of SIGTERMs that took too long. */
  readonly differences: readonly string[]
}

const QUIET_MS_MAX = 180_000
const PROGRESS_EVERY_MS = 1_000

/** One run: starts everything, feeds and breaks it, waits until all is done, compares, and stops everything. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  mkdirSync(options.dir, { recursive: true })
  const installation = await startInstallation({ dir: options.dir, seed: options.seed, prefix: 'chaos.' })
  try {
    return await new Run(options, installation).run()
  } finally {
    await installation.stop()
  }
}

class Run {
  readonly #options: ChaosOptions
  readonly #installation: Installation
  readonly #actions: Actions
  readonly #feeder: Feeder
  /** Every line that was given to the feeder. */
  readonly #given = new Set<string>()
  readonly #startedMs = clock.monotonic()
  #last = ''

  constructor(options: ChaosOptions, installation: Installation) {
    this.#options = options
    this.#installation = installation
    this.#actions = new Actions(installation, (text) => this.#note(text))
    const { log, topics } = installation
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
    for (const service of [...workers.slice(0, 2), ...sinks]) service.start()
    this.#feeder.start()
    await this.#breakThings()
    await this.#actions.settled()
    await this.#feeder.stop()
    this.#options.progress('no more faults; waiting until all is processed and paid')
    const problems: string[] = []
    await this.#closeStrictLane().catch((error: unknown) => void problems.push(String(error)))
    const looks = { lag: () => this.#lag(), msMax: QUIET_MS_MAX, looked: (text: string) => this.#note(text) }
    await untilQuiet(this.#installation, looks).catch((error: unknown) => void problems.push(String(error)))
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
      differences: [
        ...problems,
        ...result.differences,
        ...failures,
        ...this.#installation.deaths,
        ...terminations.flatMap(({ problem }) => (problem === undefined ? [] : [problem])),
      ],
    }
  }

  async #breakThings(): Promise<void> {
    const { seed, faults, gapMs, durationMs, signal } = this.#options
    const ended = new AbortController()
    const reporting = this.#reportProgress(ended.signal)
    try {
      for (const fault of faults.length === 0 ? [] : planFaults(faults, seededRandom(seed + 1), gapMs)) {
        const leftMs = durationMs - (clock.monotonic() - this.#startedMs)
        await clock.sleep(Math.min(fault.afterMs, Math.max(0, leftMs)), signal)
        if (leftMs <= fault.afterMs || signal.aborted) break
        while (!this.#actions.apply(fault) && !signal.aborted) await clock.sleep(500, signal)
      }
      if (faults.length === 0) await clock.sleep(durationMs, signal)
    } finally {
      ended.abort()
      await reporting
    }
    if (signal.aborted) throw new Error('stopped before the end')
  }

  /**
   * Time is data: the strict lane's last events get their turn once later ones have come. In two rounds, for what a batch
   * holds back itself has its turn with the next one.
   */
  async #closeStrictLane(): Promise<void> {
    const { seed } = this.#options
    const { log, application, topics } = this.#installation
    for (const round of [1, 2]) {
      const events = closingEvents({ seed, fed: this.#feeder.fed, round, users: this.#oneUserOfEach() })
      for (const { line } of events) this.#given.add(line)
      await this.#feeder.send(events)
      const giveUpAt = clock.monotonic() + QUIET_MS_MAX
      while ((await groupLag(log, application, topics.events))?.records !== 0) {
        if (clock.monotonic() > giveUpAt) throw new Error(`after ${QUIET_MS_MAX} ms the workers still lag`)
        await clock.sleep(300)
      }
    }
  }

  #oneUserOfEach(): readonly string[] {
    const homes = new Map<number, string>()
    for (let n = 0; homes.size < PARTITIONS; n++) homes.set(partitionOf(`closing_${n}`, PARTITIONS), `closing_${n}`)
    return [...homes.values()]
  }

  /** The workers first: what they had done when they were asked is on the topic of reward tasks when the sinks are. */
  async #lag(): Promise<number> {
    const { log, application, topics } = this.#installation
    const events = await groupLag(log, application, topics.events)
    const rewards = await groupLag(log, `${application}.sink`, topics.rewards)
    return (events?.records ?? 0) + (rewards?.records ?? 0)
  }

  async #reportProgress(signal: AbortSignal): Promise<void> {
    const { progress, durationMs } = this.#options
    while (!signal.aborted) {
      const seconds = Math.floor((clock.monotonic() - this.#startedMs) / 1_000)
      const faults = [...this.#actions.counts.values()].reduce((sum, count) => sum + count, 0)
      const on = this.#installation.workers.filter(({ running }) => running).length
      progress(
        `${seconds}/${Math.round(durationMs / 1_000)} s  ${this.#feeder.fed} events  ${on} workers  ${faults} faults  ${this.#last}`,
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
