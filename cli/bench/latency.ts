import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import type { PlayerChanged } from '../../core/model/player.ts'
import type { RewardRecord } from '../../core/model/reward.ts'
import type { Log, LogRecord, Producer } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { isEarned } from '../../operators/earned.ts'
import { endsOf, followRecords } from '../demo/committed-records.ts'
import { topicSpecs } from '../log-tools/topics.ts'
import { LATENCY_POLICY, LATENCY_RULES, LatencyEvents } from './latency-events.ts'
import { type Expected, LatencyFeed, type Window } from './latency-feed.ts'
import type { LatencyHistogram } from './latency-histogram.ts'
import { isSettled, LatencyTally, WARM_UP_SECONDS_MAX } from './latency-tally.ts'
import { WorkerChild } from './worker-child.ts'

export interface LatencyBenchOptions {
  readonly log: Log
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Events a second, one run each, in this order. */
  readonly rates: readonly number[]
  /** What is measured at each rate, without the warm-up. */
  readonly seconds: number
  readonly partitions: number
  readonly workers: number
  /** Name of the application, and what its topics begin with: new to the cluster. */
  readonly name: string
  /** An empty folder for the rules and the workers' state. */
  readonly folder: string
  /** Flags that tell a worker where the brokers are. */
  readonly connection: readonly string[]
  readonly onPhase: (phase: string) => void
  readonly onSent: (rate: number, events: number) => void
}

/** The figures at one rate; latencies in ms. */
export interface LatencyFigures {
  readonly rate: number
  /** Events a second that the broker took while it was measured. */
  readonly reached: number
  readonly warmUpSeconds: number
  /** False where latency had not settled yet when the time for the warm-up was up. */
  readonly settled: boolean
  readonly events: number
  readonly append: Percentiles
  readonly score: Percentiles
  readonly reward: Percentiles
  /** CPU seconds a second that all workers used. */
  readonly workerCpu: number
  /** From the instant of the last event until the broker had all of them, ms. */
  readonly appendedMs: number
  /** From the instant of the last event until the last record that came of any, ms. */
  readonly drainMs: number
  /** What had to come of all events, those of the warm-up included, and what came. */
  readonly expected: Omit<Expected, 'events'>
  readonly came: Omit<Expected, 'events'>
}

/** undefined where there was nothing to measure. */
export interface Percentiles {
  readonly p50: number | undefined
  readonly p95: number | undefined
  readonly p99: number | undefined
  readonly count: number
}

/** How long workers may take until they have their partitions. */
const READY_MS_MAX = 120_000
const LOOK_EVERY_MS = 50
/** How long nothing may come before what is missing is given up. */
const SILENT_MS_MAX = 10_000

/**
 * Real workers on topics of their own, events at a steady rate, and readers that see what any consumer of the committed
 * output would: one run for each rate, one after the other, on the state that the one before has left.
 */
export class LatencyBench {
  readonly #options: LatencyBenchOptions
  readonly #topics
  readonly #events: LatencyEvents
  readonly #scores: LatencyTally
  readonly #rewards: LatencyTally
  readonly #over = new AbortController()
  /** Aborts when the bench is told to stop, and when it is over. */
  readonly #signal: AbortSignal
  #workers: readonly WorkerChild[] = []

  constructor(options: LatencyBenchOptions) {
    this.#options = options
    this.#topics = topicNames(`${options.name}.`)
    this.#events = new LatencyEvents(options.name)
    this.#scores = new LatencyTally(options.clock)
    this.#rewards = new LatencyTally(options.clock)
    this.#signal = AbortSignal.any([options.signal, this.#over.signal])
  }

  async run(): Promise<readonly LatencyFigures[]> {
    const { log, rates, onPhase, partitions } = this.#options
    await log.createTopics(topicSpecs({ topics: this.#topics, partitions, retentionMs: 0 }))
    const followers = this.#follow()
    const producer = await log.producer()
    const runs = async (): Promise<readonly LatencyFigures[]> => {
      onPhase('starting the workers')
      await this.#startWorkers()
      const figures: LatencyFigures[] = []
      for (const rate of rates) figures.push(await this.#measure(rate, producer))
      return figures
    }
    const measuring = runs()
    try {
      await Promise.race([measuring, followers])
      return await measuring
    } catch (error) {
      // Ctrl-C reaches the workers too: that they have ended is then no failure.
      this.#options.signal.throwIfAborted()
      throw error
    } finally {
      this.#over.abort()
      await Promise.all(this.#workers.map((worker) => worker.stop()))
      await Promise.allSettled([measuring, followers, producer.close()])
    }
  }

  /** Rejects where a topic can no longer be read; resolves once it is over. */
  async #follow(): Promise<void> {
    const { log } = this.#options
    const signal = this.#signal
    const follow = async (topic: string, take: (record: LogRecord) => void): Promise<void> =>
      followRecords(log, { topic, from: await endsOf(log, topic), signal }, take)
    await Promise.all([
      follow(this.#topics.scores, (record) => this.#scores.take(record)),
      follow(this.#topics.rewards, (record) => {
        if (tellsOfAnEarnedReward(record)) this.#rewards.take(record)
      }),
    ])
  }

  async #startWorkers(): Promise<void> {
    const { clock, workers, partitions, name, folder, connection } = this.#options
    const signal = this.#signal
    const rules = join(folder, 'rules')
    await mkdir(rules)
    const files = { ...LATENCY_RULES, 'payout.policy.yaml': LATENCY_POLICY }
    for (const [file, text] of Object.entries(files)) await writeFile(join(rules, file), text)
    const own = ['--application', name, '--prefix', `${name}.`, '--rules', rules]
    this.#workers = Array.from({ length: workers }, (_, index) => {
      const state = ['--state', join(folder, `state-${index + 1}`)]
      return new WorkerChild({ clock, args: [...connection, ...own, ...state] })
    })
    const giveUpAt = clock.monotonic() + READY_MS_MAX
    for (;;) {
      const held = await Promise.all(this.#workers.map((worker) => worker.partitions(signal)))
      const sum = held.reduce<number>((total, each) => total + (each ?? 0), 0)
      if (!held.includes(undefined) && sum === partitions) return
      if (clock.monotonic() > giveUpAt) {
        throw new OncewardError('ONCEWARD_E_GAVE_UP', `the workers were not ready within ${READY_MS_MAX / 1000} s`)
      }
      await clock.sleep(LOOK_EVERY_MS, signal)
      signal.throwIfAborted()
    }
  }

  async #measure(rate: number, producer: Producer): Promise<LatencyFigures> {
    const { clock, partitions, seconds, onPhase, onSent } = this.#options
    for (const tally of [this.#scores, this.#rewards]) tally.begin()
    const feed = new LatencyFeed({
      producer,
      clock,
      topic: this.#topics.events,
      partitions,
      rate,
      events: this.#events,
      onSent: (events) => onSent(rate, events),
    })
    const stop = new AbortController()
    const signal = AbortSignal.any([this.#signal, stop.signal])
    const feeding = feed.run(signal)
    const warmingUp = this.#warmUp(signal)
    try {
      onPhase(`${rate} a second: warming up`)
      // a feed that fails ends the warm-up too, and a worker that ends ends everything
      const died = this.#workers.map((worker) => worker.died)
      await Promise.race([warmingUp, feeding, ...died])
      const { seconds: warmUpSeconds, settled } = await warmingUp
      onPhase(`${rate} a second: measuring for ${seconds} s`)
      const window = feed.measure(seconds)
      for (const tally of [this.#scores, this.#rewards]) tally.measure(window)
      const [cpuBefore, measuredFrom] = [await this.#cpuSeconds(), clock.monotonic()]
      await Promise.race([feeding, ...died])
      const workerCpu = ((await this.#cpuSeconds()) - cpuBefore) / ((clock.monotonic() - measuredFrom) / 1000)
      await this.#drain(feed.total)
      return { rate, settled, warmUpSeconds, workerCpu, ...this.#figures(feed, window) }
    } finally {
      stop.abort()
      await Promise.allSettled([feeding, warmingUp])
    }
  }

  /** Until latency has settled at this rate, or the time for that is up. */
  async #warmUp(signal: AbortSignal): Promise<{ readonly seconds: number; readonly settled: boolean }> {
    const medians: number[] = []
    for (let seconds = 1; seconds <= WARM_UP_SECONDS_MAX; seconds++) {
      this.#scores.recent.clear()
      await this.#options.clock.sleep(1_000, signal)
      signal.throwIfAborted()
      const median = this.#scores.recent.quantile(0.5)
      if (median !== undefined) medians.push(median)
      if (isSettled(medians)) return { seconds, settled: true }
    }
    if (medians.length > 0) return { seconds: WARM_UP_SECONDS_MAX, settled: false }
    throw new OncewardError('ONCEWARD_E_GAVE_UP', `no score came within ${WARM_UP_SECONDS_MAX} s`)
  }

  /** Until all that must come has come, or nothing comes any more. */
  async #drain(expected: Expected): Promise<void> {
    const { clock } = this.#options
    let [before, silentFrom] = [-1, clock.monotonic()]
    for (;;) {
      const [scores, rewards] = [this.#scores.count, this.#rewards.count]
      if (scores >= expected.scores && rewards >= expected.rewards) return
      if (scores + rewards > before) silentFrom = clock.monotonic()
      if (clock.monotonic() - silentFrom > SILENT_MS_MAX) return
      before = scores + rewards
      await clock.sleep(LOOK_EVERY_MS, this.#signal)
      this.#signal.throwIfAborted()
    }
  }

  #figures(
    feed: LatencyFeed,
    { until }: Window,
  ): Omit<LatencyFigures, 'rate' | 'settled' | 'warmUpSeconds' | 'workerCpu'> {
    const { scores, rewards } = feed.total
    return {
      reached: feed.reached(),
      events: feed.measured.events,
      append: percentilesOf(feed.append),
      score: percentilesOf(this.#scores.measured),
      reward: percentilesOf(this.#rewards.measured),
      appendedMs: feed.appendedMs(),
      drainMs: Math.max(0, Math.max(this.#scores.lastMs, this.#rewards.lastMs) - until),
      expected: { scores, rewards },
      came: { scores: this.#scores.count, rewards: this.#rewards.count },
    }
  }

  async #cpuSeconds(): Promise<number> {
    const each = await Promise.all(this.#workers.map((worker) => worker.cpuSeconds(this.#signal)))
    return each.reduce((sum, seconds) => sum + seconds, 0)
  }
}

function percentilesOf(histogram: LatencyHistogram): Percentiles {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => histogram.quantile(share))
  return { p50, p95, p99, count: histogram.count }
}

/** What becomes known of players stands on the same topic, and so does what a frozen reward comes to later. */
function tellsOfAnEarnedReward({ value }: LogRecord): boolean {
  return value !== null && isEarned(JSON.parse(value.toString()) as RewardRecord | PlayerChanged)
}
