/**
 * The sink: `reward.tasks` → ledger → wallet (SPEC S4, S5, S12, S13). Two loops that meet in the outbox: the intake books
 * what the topic brings, the payer pays what the outbox holds. The outbox may grow; memory holds one batch for each
 * partition and at most twice `concurrency` claimed tasks.
 */
import { setMaxListeners } from 'node:events'
import type { Clock } from '../../core/clock.ts'
import { hasCode, messageOf } from '../../core/errors.ts'
import type { Ledger } from '../../core/ports/ledger.ts'
import type { GroupConsumer, Log } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import { NO_POLICIES } from '../../core/model/policy.ts'
import type { Random } from '../../core/random.ts'
import type { Topics } from '../../core/topics.ts'
import type { BreakerPolicy } from './breaker.ts'
import { cutConsumer, cutDeadLetters, cutOffBy } from './cut-off.ts'
import { openDeadLetters } from './dead-letters.ts'
import type { RetryPolicy } from './decision.ts'
import { type Desk, openDesk, prepareLedger } from './desk.ts'
import { createIntake, type Intake } from './intake.ts'
import { PATIENCE, patience, type PatiencePolicy } from './patience.ts'
import { type PayoutPartner, routesOf } from './routing.ts'
import { newCounters, type SinkMetrics, type SinkStats } from './stats.ts'
import type { TaskView } from './task.ts'

/** How long a stop lets calls in flight go on: under the 5 s that a stop takes at most. */
const STOP_GRACE_MS = 4_000
/** The same for the log: leaving the group (2 s at most) comes after it. */
const LOG_GRACE_MS = 1_500

export interface SinkOptions {
  readonly log: Log
  readonly ledger: Ledger
  /** Who pays what; names and types each once. */
  readonly partners: readonly PayoutPartner[]
  /**
   * The policy in effect at event time `ts`, ms: what a pool has, and what tasks cost that do not say it themselves.
   * Default: none, so that no pool is bounded.
   */
  readonly policyAt?: TaskView['policyAt']
  readonly topics: Pick<Topics, 'rewards' | 'dlq'>
  /** The consumer group; sinks of one group share the work. */
  readonly group: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics?: SinkMetrics
  readonly retry?: RetryPolicy
  readonly patience?: PatiencePolicy
  readonly breaker?: BreakerPolicy
  /** Milliseconds without a heartbeat after which the group gives this sink's partitions to others. Default: the log's. */
  readonly sessionTimeoutMs?: number
  /** How often an idle sink looks for tasks that are due; default 250. */
  readonly idlePollMs?: number
  /** How often it looks whether what was stopped may go on; default 5,000. */
  readonly thawPollMs?: number
  /** How long `stop` lets calls in flight go on; default 4,000. The log has at most 1,500 of it. */
  readonly stopGraceMs?: number
}

export interface Sink {
  /**
   * Brings the ledger's schema up to date, then books and pays until `stop`. Rejects with an OncewardError where it
   * cannot go on: nothing is lost by that, a new sink takes over.
   */
  run(): Promise<void>
  /** Claims no more, ends calls in flight within the grace, gives the rest back. Idempotent. */
  stop(): Promise<void>
  stats(): SinkStats
}

/** Throws ONCEWARD_E_PARTNERS_INVALID where a partner's name or a reward type stands twice. */
export function createSink(options: SinkOptions): Sink {
  const { clock, logger, stopGraceMs = STOP_GRACE_MS } = options
  const routes = routesOf(options.partners)
  const stopping = new AbortController()
  const cutOff = new AbortController()
  const logCutOff = new AbortController()
  // Every call in flight and every wait listens: as many as the partners allow, and no leak.
  setMaxListeners(0, stopping.signal, cutOff.signal, logCutOff.signal)
  const counters = newCounters()
  let intake: Intake | undefined
  let desk: Desk | undefined
  let running: Promise<void> | undefined
  let stopAsked = false

  const run = async (): Promise<void> => {
    const insistent = patience({ ...options, policy: options.patience ?? PATIENCE, signal: cutOff.signal })
    await prepareLedger(options, routes, insistent)
    const cut = cutOffBy(logCutOff.signal)
    const letters = await cut.until(openDeadLetters(options.log, options.topics.dlq, clock))
    if (stopping.signal.aborted) return letters.close()
    const consumer = openConsumer(options)
    const deadLetters = cutDeadLetters(letters, cut)
    const shared = { ...options, counters, deadLetters, patience: insistent, metrics: options.metrics ?? {} }
    const open = (desk = openDesk({ ...shared, stopping: stopping.signal, cutOff: cutOff.signal }))
    const view = { policyAt: options.policyAt ?? ((ts: number) => NO_POLICIES.at(ts)), route: routes.of }
    intake = createIntake({ ...shared, ...open, view, consumer: cutConsumer(consumer, cut) })
    const halt = async (): Promise<void> => {
      stopping.abort()
      await consumer.stop().catch((error: unknown) => {
        logger.warn({ error: messageOf(error) }, 'the consumer did not leave its group in order')
      })
    }
    stopping.signal.addEventListener('abort', () => void halt(), { once: true })
    try {
      await allOrFirstFailure([consumer.run(intake), ...open.run()], halt)
    } finally {
      await deadLetters.close()
    }
  }

  return {
    run: () =>
      (running ??= run().catch((error: unknown) => {
        // Ending without an answer of the ledger or the log is then what was asked for: leases and the topic bring the rest back.
        if (!stopAsked || !hasCode(error, 'ONCEWARD_E_GAVE_UP')) throw error
        logger.warn({ error: messageOf(error) }, 'stopped without waiting for an answer any longer')
      })),
    async stop() {
      stopAsked = true
      stopping.abort()
      if (running === undefined) return
      const over = new AbortController()
      const grace = clock.sleep(stopGraceMs, over.signal).then(() => cutOff.abort())
      const logGrace = clock.sleep(Math.min(stopGraceMs, LOG_GRACE_MS), over.signal).then(() => logCutOff.abort())
      // Whoever called `run` gets its error.
      await running.catch(() => undefined)
      over.abort()
      await Promise.all([grace, logGrace])
    },
    stats: () => ({
      ...counters,
      inFlight: desk?.inFlight() ?? 0,
      lagRecords: intake?.lagRecords() ?? 0,
    }),
  }
}

function openConsumer({ log, group, topics, sessionTimeoutMs }: SinkOptions): GroupConsumer {
  const session = sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }
  return log.consumer({ group, topics: [topics.rewards], ...session })
}

/** Waits for all; the first that fails has the others stopped, and its error is thrown once they have ended. */
async function allOrFirstFailure(works: readonly Promise<void>[], halt: () => Promise<void>): Promise<void> {
  let first: { readonly error: unknown } | undefined
  await Promise.all(
    works.map((work) =>
      work.catch(async (error: unknown) => {
        first ??= { error }
        await halt()
      }),
    ),
  )
  if (first !== undefined) throw first.error
}
