import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import { type Topics, topicNames } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { ingest } from '../log-tools/ingest.ts'
import { topicSpecs } from '../log-tools/topics.ts'
import { WorkerChild } from './worker-child.ts'
import { type RawFigures, readRaw } from './raw-reader.ts'

export interface ThroughputOptions {
  readonly log: Log
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly normalize: (raw: Buffer | null) => Normalized
  /** The events, one each line; read once. */
  readonly lines: AsyncIterable<readonly Buffer[]>
  /** Folder with the rules. */
  readonly rules: string
  readonly partitions: number
  readonly workers: number
  /** How many times the workers do the work; each time as a new application, from the first event. */
  readonly runs: number
  /** What the applications and the topics begin with: new to the cluster. */
  readonly name: string
  /** Folder of an application's worker's state. */
  readonly stateFolder: (application: string, worker: number) => string
  /** Flags that tell a worker where the brokers are. */
  readonly connection: readonly string[]
  readonly onPhase: (phase: string) => void
  readonly onProgress: (done: number, share: number | undefined) => void
}

/** What the workers did with all events, once. */
export interface WorkerFigures {
  readonly events: number
  /** From the first partition that a worker had ready until all events were through. */
  readonly seconds: number
  /** The same, from when the first worker was started. */
  readonly secondsFromStart: number
  /** Of all workers, their start included. */
  readonly cpuSeconds: number
  /** The largest that any worker was when it was looked at. */
  readonly rssBytes: number
  readonly duplicates: number
  /** Above zero. */
  readonly scores: number
  readonly rewards: number
}

export interface ThroughputFigures {
  /** Events on the topic. */
  readonly written: number
  /** Lines that were no events. */
  readonly rejected: number
  readonly raw: RawFigures
  readonly runs: readonly WorkerFigures[]
}

const LOOK_EVERY_MS = { least: 25, most: 1_000 }
/** How long no event may be counted before the bench gives up. */
const STANDSTILL_MS_MAX = 120_000

/** Fills a topic, reads it as fast as reading and parsing go, then has workers do the whole work on it. */
export class ThroughputBench {
  readonly #options: ThroughputOptions
  readonly #topics: Topics

  constructor(options: ThroughputOptions) {
    this.#options = options
    this.#topics = topicNames(`${options.name}.`)
  }

  async run(): Promise<ThroughputFigures> {
    const { log, clock, signal, runs, partitions, onPhase } = this.#options
    await log.createTopics(topicSpecs({ topics: this.#topics, partitions, retentionMs: 0 }))
    onPhase('writing the events')
    const { events: written, rejected } = await this.#fill()
    onPhase('reading and parsing alone')
    const raw = await readRaw({ log, clock, signal, topic: this.#topics.events, partitions })
    const figures: WorkerFigures[] = []
    for (let run = 1; run <= runs; run++) {
      onPhase(`the workers, run ${run} of ${runs}`)
      figures.push(await this.#work(`${this.#options.name}-${run}`, written))
    }
    return { written, rejected, raw, runs: figures }
  }

  async #fill(): Promise<{ readonly events: number; readonly rejected: number }> {
    const { log, clock, signal, normalize, lines, onProgress } = this.#options
    const onSent = ({ lines: done }: { readonly lines: number }): void => onProgress(done, undefined)
    const counts = await ingest(lines, { log, topics: this.#topics, clock, normalize, signal, onProgress: onSent })
    signal.throwIfAborted()
    return counts
  }

  async #work(application: string, written: number): Promise<WorkerFigures> {
    const { clock, workers, rules, connection, name, stateFolder } = this.#options
    const own = ['--application', application, '--prefix', `${name}.`, '--rules', rules]
    const startedMs = clock.now()
    const processes = Array.from(
      { length: workers },
      (_, i) => new WorkerChild({ clock, args: [...connection, ...own, '--state', stateFolder(application, i + 1)] }),
    )
    try {
      return await this.#watch(processes, startedMs, written)
    } finally {
      await Promise.all(processes.map((worker) => worker.stop()))
    }
  }

  async #watch(workers: readonly WorkerChild[], startedMs: number, written: number): Promise<WorkerFigures> {
    const { clock, signal, onProgress } = this.#options
    let [events, movedAt, rssBytes, waitMs] = [0, clock.monotonic(), 0, LOOK_EVERY_MS.most]
    for (;;) {
      await clock.sleep(waitMs, signal)
      signal.throwIfAborted()
      const [before, now] = [events, clock.monotonic()]
      const sum = totalOf(await Promise.all(workers.map((worker) => worker.metrics(signal))))
      const endedMs = clock.now()
      events = sum('onceward_events_total').total
      rssBytes = Math.max(rssBytes, sum('process_resident_memory_bytes').most)
      onProgress(events, events / written)
      if (events >= written) {
        const readyMs = Math.min(...workers.map((worker) => worker.readyMs ?? startedMs))
        return {
          events,
          seconds: (endedMs - readyMs) / 1000,
          secondsFromStart: (endedMs - startedMs) / 1000,
          cpuSeconds: sum('process_cpu_seconds_total').total,
          rssBytes,
          duplicates: sum('onceward_duplicates_total').total,
          scores: sum('onceward_scores_total').total,
          rewards: sum('onceward_rewards_total').total,
        }
      }
      waitMs = untilNextLook({ left: written - events, done: events - before, ms: waitMs })
      if (events > before) movedAt = now
      if (now - movedAt > STANDSTILL_MS_MAX) throw standstill(events, written)
    }
  }
}

function totalOf(pages: readonly ((name: string) => number)[]): (name: string) => { total: number; most: number } {
  return (name) => {
    const values = pages.map((page) => page(name))
    return { total: values.reduce((sum, value) => sum + value, 0), most: Math.max(...values) }
  }
}

/** A look costs CPU of the workers that are measured: seldom at first, more often as the end comes near. */
function untilNextLook(pace: { readonly left: number; readonly done: number; readonly ms: number }): number {
  const leftMs = pace.done <= 0 ? Number.POSITIVE_INFINITY : (pace.left / pace.done) * pace.ms
  return Math.min(LOOK_EVERY_MS.most, Math.max(LOOK_EVERY_MS.least, leftMs / 2))
}

function standstill(events: number, written: number): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_GAVE_UP',
    `the workers have counted ${events} of ${written} events, and none more for ${STANDSTILL_MS_MAX / 1000} s`,
  )
}
