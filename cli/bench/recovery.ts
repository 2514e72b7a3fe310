import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import type { ScoreRecord } from '../../core/model/score.ts'
import { topicNames } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { publishRules } from '../../pipeline/publish-rules.ts'
import { loadRules } from '../../rules/load.ts'
import { problemsError } from '../load-rules.ts'
import { topicSpecs } from '../log-tools/topics.ts'
import { BenchWorker } from './bench-worker.ts'
import { PROGRESS, RecoveryState, RULE_FILE } from './recovery-state.ts'

export interface RecoveryBenchOptions {
  readonly log: Log
  readonly clock: Clock
  readonly normalize: (raw: Buffer | null) => Normalized
  readonly keys: number
  /** Name of the application, and what its topics begin with: new to the log. */
  readonly name: string
  /** An empty folder for the workers' state. */
  readonly folder: string
  readonly signal: AbortSignal
  readonly onPhase: (phase: string) => void
  readonly onBuilt: (keys: number) => void
}

export interface Measured {
  readonly name: string
  readonly decision: string
  /** Changelog records applied. */
  readonly applied: number
  /** Seconds that opening the partition took: fencing, deciding, catching up. */
  readonly openSeconds: number
  /** Seconds until an event was committed, from the start of the worker, or from the moment that the owner was told to stop. */
  readonly totalSeconds: number
}

export interface RecoveryFigures {
  readonly measured: readonly Measured[]
  /** Seconds in which another worker made its copy from nothing. */
  readonly copySeconds: number
}

/** Keys that change while the worker is away, in the case of a store that is behind: more than any batch holds. */
const BEHIND_KEYS = 10_000

/**
 * Builds a partition's state in the log, then lets workers come by it in each way there is. After each, an event of one of
 * the users must be scored on top of what was built, or the state was not the right one and the bench fails.
 */
export class RecoveryBench {
  readonly #options: RecoveryBenchOptions
  readonly #topics
  readonly #state: RecoveryState
  readonly #measured: Measured[] = []
  #users = 0
  #scored = 0

  constructor(options: RecoveryBenchOptions) {
    this.#options = options
    this.#topics = topicNames(`${options.name}.`)
    this.#state = new RecoveryState({ ...options, application: options.name, topics: this.#topics })
  }

  async run(): Promise<RecoveryFigures> {
    const { clock, signal, keys, onPhase, onBuilt } = this.#options
    await this.#prepare()
    onPhase('building the state in the log')
    await this.#state.grow(keys, onBuilt, signal)
    onPhase('rebuild from the changelog')
    const first = await this.#measure('rebuild from the changelog', () => this.#worker('one'))
    await first.stop()
    onPhase('restart on its own disk')
    const second = await this.#measure('restart on its own disk, level', () => this.#worker('one'))
    await second.stop()
    await this.#state.grow(BEHIND_KEYS, () => undefined, signal)
    const owner = await this.#measure('restart on its own disk, behind', () => this.#worker('one'))
    onPhase('standby copy')
    const copyFrom = clock.monotonic()
    const standby = this.#worker('two')
    await standby.until(({ level }) => level, signal)
    const copySeconds = (clock.monotonic() - copyFrom) / 1000
    onPhase('take-over')
    const taken = await this.#measure('take-over by the standby copy', () => {
      void owner.stop()
      return standby
    })
    await taken.stop()
    await owner.stop()
    return { measured: this.#measured, copySeconds }
  }

  async #prepare(): Promise<void> {
    const { log, clock } = this.#options
    await log.createTopics(topicSpecs({ topics: this.#topics, partitions: 1, retentionMs: 0 }))
    const loaded = loadRules([{ file: 'bench.yaml', text: RULE_FILE }])
    if (!loaded.ok) throw problemsError(loaded.problems)
    await publishRules({ log, clock, logger: silentLogger, topic: this.#topics.control, rules: loaded.rules })
  }

  /** `begin` answers the worker that is to commit the next event. */
  async #measure(name: string, begin: () => BenchWorker): Promise<BenchWorker> {
    const { clock, signal } = this.#options
    const startedMs = clock.monotonic()
    const worker = begin()
    // Not before: an owner that is to stop must not commit it.
    await this.#state.bet(this.#users++)
    await worker.until(({ events }) => events > 0, signal)
    const totalSeconds = (clock.monotonic() - startedMs) / 1000
    const { opening } = worker
    if (opening === undefined)
      throw new OncewardError('ONCEWARD_E_INTERNAL', 'a worker commits only what it has opened')
    await this.#check(name)
    const { decision, applied, seconds } = opening
    this.#measured.push({ name, decision, applied, openSeconds: seconds, totalSeconds })
    return worker
  }

  /** Each event so far has one score, one point above what its user had. */
  async #check(name: string): Promise<void> {
    const reader = await this.#options.log.reader({ topic: this.#topics.scores, partition: 0 })
    const { records } = await reader.read(this.#scored, { waitMs: 5_000 })
    await reader.close()
    const scores = records.map(({ value }) => JSON.parse(String(value)) as ScoreRecord)
    this.#scored = (records.at(-1)?.offset ?? this.#scored) + 1
    const [score] = scores
    if (scores.length === 1 && score?.progress === PROGRESS + 1) return
    throw new OncewardError(
      'ONCEWARD_E_INTERNAL',
      `after "${name}" one score with progress ${PROGRESS + 1} was expected, and there is ${JSON.stringify(scores)}`,
    )
  }

  #worker(name: string): BenchWorker {
    const { log, clock, normalize, folder } = this.#options
    const application = this.#options.name
    return new BenchWorker({ log, clock, application, topics: this.#topics, normalize, state: join(folder, name) })
  }
}
