import type { EmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { type Logger, silentLogger } from '../../core/ports/logger.ts'
import { silentMetrics } from '../../core/ports/metrics.ts'
import type { Topics } from '../../core/topics.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { createSink } from '../../pipeline/payout/sink.ts'
import { Worker } from '../../pipeline/worker.ts'
import { Violation } from './violation.ts'
import { Disk } from './disk.ts'
import type { MemoryLedger } from './ledger.ts'
import { reachLedger } from './ledger-reach.ts'
import { SimulatedLog } from './log-port.ts'
import { policyAt } from './policy.ts'
import { SimulatedProcess, type Surroundings } from './process.ts'
import { type Reach, reachWallet, type WalletPartner } from './wallet.ts'

export const APPLICATION = 'sim'
export const SINK_GROUP = 'sim.sink'
export const WINDOW_MS = 60_000
export const REMEMBER_MS = 30 * 60_000
const SESSION_MS = 6_000
const STORE_RETENTION_MS = 15_000
const FAILED_RETRY_MS = 3_000
const BATCH_BYTES = 2_000
/** So small that one fetched batch is often several transactions, and held events wait for more than one of them. */
const LIMITS = { records: 4, held: { events: 2, bytes: 600 }, outputs: 5 }

/** What a process may end with when its surroundings fail: whoever runs it starts it again. */
const FORGIVEN: ReadonlySet<ErrorCode> = new Set([
  'ONCEWARD_E_LOG_UNAVAILABLE',
  'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE',
  'ONCEWARD_E_LOG_COMMIT_UNKNOWN',
  'ONCEWARD_E_STATE_UNUSABLE',
  'ONCEWARD_E_GAVE_UP',
])

export interface Plant extends Surroundings {
  readonly log: EmbeddedLog
  readonly topics: Topics
  readonly ledger: MemoryLedger
  readonly ledgerDown: { until: number }
  readonly partner: WalletPartner
  readonly normalize: (raw: Buffer | null) => Normalized
  /** Copies of each partition's state beside its owner's. */
  readonly standby: number
  /** Told of what must not be. */
  readonly violated: (violation: unknown) => void
}

interface Service {
  run(): Promise<void>
  stop(): Promise<void>
}

/** A place where one process runs at a time; what it has on disk outlives the process. */
export class Machine {
  readonly name: string
  readonly kind: 'worker' | 'sink'
  readonly disk = new Disk()
  readonly #plant: Plant
  #process: SimulatedProcess | undefined
  #service: Service | undefined
  #starts = 0
  /** False once the run is over: whatever ends then stays down. */
  wanted = true

  constructor(name: string, kind: 'worker' | 'sink', plant: Plant) {
    this.name = name
    this.kind = kind
    this.#plant = plant
  }

  get process(): SimulatedProcess | undefined {
    return this.#process
  }

  start(): void {
    if (this.#process !== undefined || !this.wanted) return
    const { clock, trace, chance } = this.#plant
    const process = new SimulatedProcess(`${this.name}.${++this.#starts}`, this.#plant, SESSION_MS)
    const service = this.kind === 'worker' ? this.#worker(process) : this.#sink(process)
    this.#process = process
    this.#service = service
    trace.note(`${process.name}: starts`)
    const gone = (): void => {
      this.#process = undefined
      this.#service = undefined
      void clock.sleep(chance.between(50, 3_000)).then(() => this.start())
    }
    process.onDeath = gone
    void this.#attend(service, process).then(gone)
  }

  /** In good order; the process is started again after a while. */
  async stop(): Promise<void> {
    this.#process?.note('is asked to stop')
    await this.#service?.stop()
  }

  /** Resolves once the service has ended, however; what is not to be forgiven is a violation. */
  async #attend(service: Service, process: SimulatedProcess): Promise<void> {
    try {
      await service.run()
      process.note('has stopped')
    } catch (error) {
      process.note(`ends with ${error instanceof OncewardError ? error.code : messageOf(error)}`)
      this.#judge(process, error)
    }
  }

  /** What fails with anything but what was inflicted on it has a bug. */
  #judge(process: SimulatedProcess, error: unknown): void {
    if (process.isDead || (error instanceof OncewardError && FORGIVEN.has(error.code))) return
    this.#plant.violated(new Violation(`${process.name} failed with: ${messageOf(error)}`, { cause: error }))
  }

  /** Recoveries, warnings and errors belong into the trace. */
  #logger(process: SimulatedProcess): Logger {
    const note = (fields: object, message: string): void => {
      if (!process.isDead) process.note('error' in fields ? `${message}: ${String(fields.error)}` : message)
    }
    const logger: Logger = {
      ...silentLogger,
      info: (fields, message) => {
        if ('decision' in fields && 'partition' in fields) note({}, `partition ${String(fields.partition)}: ${message}`)
      },
      warn: note,
      error: (fields, message) => {
        note(fields, message)
        // A partition that has failed stands still and does not end its worker.
        if ('err' in fields && fields.err instanceof Error) this.#judge(process, fields.err)
      },
      child: () => logger,
    }
    return logger
  }

  #worker(process: SimulatedProcess): Service {
    const { log, topics, normalize } = this.#plant
    return new Worker({
      log: new SimulatedLog(log, process),
      clock: process.clock,
      logger: this.#logger(process),
      metrics: silentMetrics,
      application: APPLICATION,
      topics,
      normalize,
      openStore: (partition) => this.disk.open(partition, process),
      storedPartitions: () => this.disk.partitions,
      removeStore: (partition) => this.disk.remove(partition, process),
      storeRetentionMs: STORE_RETENTION_MS,
      standby: this.#plant.standby,
      reorderWindowMs: WINDOW_MS,
      dedupeWindowMs: REMEMBER_MS,
      tickAfterMs: 4_000,
      sessionTimeoutMs: SESSION_MS,
      failedRetryMs: FAILED_RETRY_MS,
      batchBytesMax: BATCH_BYTES,
      limits: LIMITS,
    })
  }

  #sink(process: SimulatedProcess): Service {
    const { log, topics, ledger, ledgerDown, partner, chance, violated } = this.#plant
    const wasFree: Reach['wasFree'] = (userId, since) => ledger.hearing.wasFree(userId, since, process.clock.now())
    return createSink({
      log: new SimulatedLog(log, process),
      ledger: reachLedger(ledger, process, ledgerDown),
      partners: [
        {
          name: 'wallet',
          wallet: reachWallet({ partner, wasFree, violated }, process, this.#plant),
          types: ['*'],
          concurrency: 4,
          // So that both ways of claiming are seen.
          orderedByPlayer: this.name === 's1',
          leaseMs: 5_000,
        },
      ],
      policyAt,
      breaker: { inRowMax: 4, windowCalls: 20, failureShare: 0.5, waitMs: 300, waitMsMax: 2_000 },
      thawPollMs: 2_000,
      topics,
      group: SINK_GROUP,
      clock: process.clock,
      random: chance.random,
      logger: this.#logger(process),
      retry: { retriesMax: 8, baseMs: 100, capMs: 2_000 },
      sessionTimeoutMs: SESSION_MS,
      stopGraceMs: 1_000,
    })
  }
}
