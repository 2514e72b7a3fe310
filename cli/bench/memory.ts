import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { HOUR_MS } from '../../core/durations.ts'
import { OncewardError } from '../../core/errors.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Log, OutRecord, Producer } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { topicSpecs } from '../log-tools/topics.ts'
import { WorkerChild } from './worker-child.ts'

export interface MemoryBenchOptions {
  readonly log: Log
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly users: number
  /** A multiple of `users`. */
  readonly ids: number
  readonly partitions: number
  /** Name of the application, and what its topics begin with: new to the cluster. */
  readonly name: string
  /** An empty folder for the rule and the worker's state. */
  readonly folder: string
  /** Flags that tell a worker where the brokers are. */
  readonly connection: readonly string[]
  readonly onPhase: (phase: string) => void
  readonly onEvents: (done: number) => void
}

/** What a worker counts, by its own metrics. */
export interface MemoryCounts {
  readonly events: number
  readonly duplicates: number
  readonly points: number
  readonly rewards: number
  readonly 'dead letters': number
}

export interface MemoryFigures {
  readonly expected: MemoryCounts
  readonly came: MemoryCounts
  readonly eventsPerSecond: number
  readonly residentBytesMax: number
  /** A phrase: where the memory was read. */
  readonly source: string
}

const METRICS: Readonly<Record<keyof MemoryCounts, string>> = {
  events: 'onceward_events_total',
  duplicates: 'onceward_duplicates_total',
  points: 'onceward_points_total',
  rewards: 'onceward_rewards_total',
  'dead letters': 'onceward_dlq_total',
}

/** All events lie in the dedupe window, with an hour to spare for the run itself. */
const SPAN_MS = 23 * HOUR_MS
const SEND_EVENTS = 5_000
/** Events sent once more, at most. */
const REPEATS_MAX = 10_000
const LOOK_EVERY_MS = 200
/** How long nothing may be done before the worker is given up. */
const SILENT_MS_MAX = 60_000

/** Events are written first, and one worker works through them; a part of them comes again at the end. */
export class MemoryBench {
  readonly #options: MemoryBenchOptions
  readonly #topics
  readonly #start: number
  #residentBytesMax = 0
  #source = 'its own metrics, sampled'

  constructor(options: MemoryBenchOptions) {
    this.#options = options
    this.#topics = topicNames(`${options.name}.`)
    this.#start = options.clock.now() - SPAN_MS
  }

  async run(): Promise<MemoryFigures> {
    const { log, clock, ids, users, partitions, onPhase, onEvents } = this.#options
    await log.createTopics(topicSpecs({ topics: this.#topics, partitions, retentionMs: 0 }))
    const producer = await log.producer()
    onPhase('writing the events')
    await this.#send(producer, ids, (index) => index)
    const worker = await this.#worker()
    try {
      onPhase('working through them')
      const startedMs = clock.monotonic()
      await this.#until(worker, ids, onEvents)
      const eventsPerSecond = ids / ((clock.monotonic() - startedMs) / 1000)
      onPhase('sending some again')
      const repeats = Math.min(ids, REPEATS_MAX)
      await this.#send(producer, repeats, (index) => Math.floor((index * ids) / repeats))
      await this.#until(worker, ids + repeats, () => undefined)
      const expected = { events: ids + repeats, duplicates: repeats, points: ids, rewards: users, 'dead letters': 0 }
      const came = await this.#counts(worker)
      return { expected, came, eventsPerSecond, residentBytesMax: this.#residentBytesMax, source: this.#source }
    } finally {
      await Promise.all([worker.stop(), producer.close()])
    }
  }

  async #send(producer: Producer, count: number, indexOf: (sent: number) => number): Promise<void> {
    const { signal, onEvents } = this.#options
    for (let sent = 0; sent < count; ) {
      signal.throwIfAborted()
      const size = Math.min(SEND_EVENTS, count - sent)
      await producer.send(Array.from({ length: size }, (_, i) => this.#event(indexOf(sent + i))))
      sent += size
      onEvents(sent)
    }
  }

  /** In the order of their time, so that none is late; each user has one in every round of all users. */
  #event(index: number): OutRecord {
    const { ids, users, partitions } = this.#options
    const user = `u_${String(index % users).padStart(9, '0')}`
    const timestamp = this.#start + Math.floor((index * SPAN_MS) / ids)
    const event = {
      event_id: `memory-${index}`,
      event_name: 'bet',
      version: '1.0.0',
      ts: new Date(timestamp).toISOString(),
      user: { id: user, geo: 'TR', platform: 'web', payer_flag: true },
      context: { session_id: 's_bench' },
      payload: { game_id: 'g_bench', bet: 1, win: 0, currency: 'EUR', provider: 'bench' },
    }
    const partition = partitionOf(user, partitions)
    return { topic: this.#topics.events, partition, key: user, value: JSON.stringify(event), timestamp }
  }

  async #worker(): Promise<WorkerChild> {
    const { clock, name, folder, connection, ids, users } = this.#options
    const rules = join(folder, 'rules')
    await mkdir(rules)
    await writeFile(join(rules, 'memory.yaml'), ruleFile(ids / users))
    const own = ['--application', name, '--prefix', `${name}.`, '--rules', rules, '--state', join(folder, 'state')]
    return new WorkerChild({ clock, args: [...connection, ...own] })
  }

  /** Waits until the worker has done so many events. */
  async #until(worker: WorkerChild, events: number, onEvents: (done: number) => void): Promise<void> {
    const { clock, signal } = this.#options
    let [before, silentFrom] = [-1, clock.monotonic()]
    for (;;) {
      signal.throwIfAborted()
      const ready = (await worker.partitions(signal)) !== undefined
      const done = ready ? await worker.sum(METRICS.events, signal) : 0
      if (ready) await this.#lookAtMemory(worker)
      if (done >= events) return
      onEvents(Math.min(done, events))
      if (done > before) silentFrom = clock.monotonic()
      if (clock.monotonic() - silentFrom > SILENT_MS_MAX) {
        const seconds = SILENT_MS_MAX / 1000
        throw new OncewardError('ONCEWARD_E_GAVE_UP', `after ${done} events the worker did nothing for ${seconds} s`)
      }
      before = done
      await clock.sleep(LOOK_EVERY_MS, signal)
    }
  }

  /** The system's own high-water mark where it keeps one, which misses nothing. */
  async #lookAtMemory(worker: WorkerChild): Promise<void> {
    const status = await readFile(`/proc/${worker.pid}/status`, 'utf8').catch(() => '')
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
    if (kib !== undefined) this.#source = "the system's high-water mark of the process (VmHWM)"
    const bytes =
      kib === undefined ? await worker.sum('process_resident_memory_bytes', this.#options.signal) : Number(kib) * 1024
    this.#residentBytesMax = Math.max(this.#residentBytesMax, bytes)
  }

  async #counts(worker: WorkerChild): Promise<MemoryCounts> {
    const total = (name: keyof MemoryCounts): Promise<number> => worker.sum(METRICS[name], this.#options.signal)
    return {
      events: await total('events'),
      duplicates: await total('duplicates'),
      points: await total('points'),
      rewards: await total('rewards'),
      'dead letters': await total('dead letters'),
    }
  }
}

/** A point for each bet, with windows as real rules have them, and one reward for a user whose every bet has counted. */
function ruleFile(betsOfUser: number): string {
  return `
rule_id: bench_memory
when: { event_name: bet }
score: { formula: "1", caps: { per_hour: 1000000, per_day: 10000000 } }
reward_trigger: { on_progress: { threshold: ${betsOfUser}, reward: { type: fs, value: 1 } } }
meta: { version: "1.0" }
`
}
