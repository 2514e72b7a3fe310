import { httpWallet } from '../connectors/wallet/http-wallet.ts'
import { openPostgresLedger } from '../connectors/ledger/ledger.ts'
import type { HealthReport } from '../core/ports/health.ts'
import type { Ledger } from '../core/ports/ledger.ts'
import type { Log } from '../core/ports/log.ts'
import type { Metrics } from '../core/ports/metrics.ts'
import type { Topics } from '../core/topics.ts'
import { createSink } from '../pipeline/payout/sink.ts'
import type { SinkMetrics } from '../pipeline/payout/stats.ts'
import type { Context } from './command.ts'
import { closing, type ObservationSettings, openObservation, runService } from './runtime.ts'
import { readSecret } from './secret-file.ts'

export interface SinkSettings extends ObservationSettings {
  readonly db: string
  readonly allowNonDurableDb: boolean
  readonly wallet: string
  readonly secretFile: string
  readonly concurrency: number
  readonly walletTimeout: number
  readonly sessionTimeout: number
}

export interface SinkPlace {
  readonly topics: Topics
  readonly group: string
}

/** A call may outlast its time-out by as long as it takes to abandon it; until then nobody else may take the task. */
const LEASE_OVER_TIMEOUT_MS = 20_000

/** The sink as a process: ledger, wallet, metrics and health around it, until the context's signal aborts. */
export async function runSink(log: Log, context: Context<SinkSettings>, { topics, group }: SinkPlace): Promise<void> {
  const { settings, signal, clock, random, logger, terminal } = context
  const secret = await readSecret('--secret-file', settings.secretFile)
  const observation = await openObservation('sink', context)
  const ledger = openPostgresLedger({ url: settings.db, allowNonDurable: settings.allowNonDurableDb, logger })
  const wallet = httpWallet({
    url: settings.wallet,
    secret,
    clock,
    timeoutMs: settings.walletTimeout,
    connections: settings.concurrency,
  })
  const readiness = { ledger: false }
  const sink = createSink({
    log,
    ledger: noticing(ledger, () => {
      readiness.ledger = true
    }),
    wallet,
    topics,
    group,
    clock,
    random,
    logger,
    metrics: sinkMetrics(observation.metrics),
    concurrency: settings.concurrency,
    leaseMs: settings.walletTimeout + LEASE_OVER_TIMEOUT_MS,
    sessionTimeoutMs: settings.sessionTimeout,
  })
  observation.metrics.beforePage(() => {
    observation.metrics.lagRecords.set(sink.stats().lagRecords, { topic: topics.rewards, partition: 'all' })
  })
  await closing(observation, () =>
    closing(ledger, () =>
      closing(wallet, async () => {
        await observation.serve(() => healthOf(readiness.ledger, signal.aborted))
        await runService(sink, signal)
        terminal.note(JSON.stringify(sink.stats()))
      }),
    ),
  )
}

/** The first thing that a sink asks of the ledger is its schema; once that has an answer, the sink can work. */
function noticing(ledger: Ledger, reached: () => void): Ledger {
  return {
    ...ledger,
    async migrate() {
      await ledger.migrate()
      reached()
    },
  }
}

function healthOf(ledgerReached: boolean, stopping: boolean): HealthReport {
  const reasons = [
    ...(ledgerReached ? [] : ['the ledger has not answered yet']),
    ...(stopping ? ['the sink is stopping'] : []),
  ]
  return { alive: true, ready: reasons.length === 0, reasons }
}

function sinkMetrics(metrics: Metrics): SinkMetrics {
  return {
    malformed: (records) => metrics.deadLetters.add(records, { reason: 'malformed' }),
    called: (seconds, outcome) => metrics.walletSeconds.observe(seconds, { outcome }),
    paid: () => metrics.payouts.add(1, { outcome: 'succeeded' }),
    failed: () => {
      metrics.payouts.add(1, { outcome: 'failed' })
      metrics.deadLetters.add(1, { reason: 'payout' })
    },
  }
}
