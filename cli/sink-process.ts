import { httpWallet } from '../connectors/wallet/http-wallet.ts'
import { openPostgresLedger } from '../connectors/ledger/ledger.ts'
import type { PartnerSpec } from '../core/model/partner.ts'
import type { HealthReport } from '../core/ports/health.ts'
import type { Ledger } from '../core/ports/ledger.ts'
import type { Log } from '../core/ports/log.ts'
import type { Metrics } from '../core/ports/metrics.ts'
import type { Topics } from '../core/topics.ts'
import type { PayoutPartner } from '../pipeline/payout/routing.ts'
import { createSink, type Sink } from '../pipeline/payout/sink.ts'
import type { Context } from './command.ts'
import { watchLedger } from './ledger-watch.ts'
import { configuredPartners, type PartnerSettings } from './partners/configured.ts'
import { closing, type Observation, type ObservationSettings, openObservation, runService } from './runtime.ts'
import { sinkMetrics } from './sink-metrics.ts'
import { openSinkPolicy, type SinkPolicy } from './sink-policy.ts'

export interface SinkSettings extends ObservationSettings, PartnerSettings {
  readonly db: string
  readonly allowNonDurableDb: boolean
  readonly sessionTimeout: number
}

export interface SinkPlace {
  readonly topics: Topics
  readonly group: string
}

/** A call may outlast its time-out by as long as it takes to abandon it; until then nobody else may take the task. */
const LEASE_OVER_TIMEOUT_MS = 20_000

/** The sink as a process: ledger, partners, policy, metrics and health around it, until the context's signal aborts. */
export async function runSink(log: Log, context: Context<SinkSettings>, place: SinkPlace): Promise<void> {
  const { settings, clock, logger } = context
  const specs = await configuredPartners(settings, process.env)
  const observation = await openObservation('sink', context)
  await closing(observation, async () => {
    const ledger = openPostgresLedger({ url: settings.db, allowNonDurable: settings.allowNonDurableDb, logger })
    await closing(ledger, () =>
      withPartners(specs, context, (partners) => {
        const policy = openSinkPolicy(log, place.topics.control, { clock, logger, signal: context.signal })
        return closing(policy, () => work(log, context, { place, observation, ledger, partners, policy }))
      }),
    )
  })
}

async function withPartners(
  specs: readonly PartnerSpec[],
  { clock }: Pick<Context<SinkSettings>, 'clock'>,
  use: (partners: readonly PayoutPartner[]) => Promise<void>,
): Promise<void> {
  const partners: PayoutPartner[] = []
  const close = async (): Promise<void> => {
    await Promise.all(partners.map(({ wallet }) => wallet.close()))
  }
  await closing({ close }, () => {
    for (const spec of specs) {
      const { name, types, concurrency, orderedByPlayer, timeoutMs } = spec
      const wallet = httpWallet({ spec, clock })
      partners.push({ name, types, concurrency, orderedByPlayer, wallet, leaseMs: timeoutMs + LEASE_OVER_TIMEOUT_MS })
    }
    return use(partners)
  })
}

interface Surroundings {
  readonly place: SinkPlace
  readonly observation: Observation
  readonly ledger: Ledger
  readonly partners: readonly PayoutPartner[]
  readonly policy: SinkPolicy
}

async function work(log: Log, context: Context<SinkSettings>, surroundings: Surroundings): Promise<void> {
  const { settings, signal, clock, random, logger, terminal } = context
  const { observation, ledger, partners, policy } = surroundings
  const { topics, group } = surroundings.place
  const { metrics } = observation
  const readiness = { ledger: false }
  const sink = createSink({
    log,
    ledger: noticing(ledger, () => {
      readiness.ledger = true
    }),
    partners,
    policyAt: policy.policyAt,
    topics,
    group,
    clock,
    random,
    logger,
    metrics: sinkMetrics(metrics),
    sessionTimeoutMs: settings.sessionTimeout,
  })
  showLag(metrics, topics.rewards, { observation, sink })
  await observation.serve(() =>
    healthOf({ ledger: readiness.ledger, policy: policy.ready(), stopping: signal.aborted }),
  )
  // What a reward costs and whether its pool has it are booked for good: so not before the policy is known.
  await policy.firstRead()
  const watch = settings.metricsPort === undefined ? undefined : watchLedger(ledger, { metrics, clock, logger })
  await closing({ close: async () => watch?.close() }, () => runService(sink, signal))
  terminal.note(JSON.stringify(sink.stats()))
}

function showLag(
  metrics: Metrics,
  topic: string,
  { observation, sink }: { readonly observation: Observation; readonly sink: Sink },
): void {
  observation.metrics.beforePage(() => metrics.lagRecords.set(sink.stats().lagRecords, { topic, partition: 'all' }))
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

function healthOf(is: {
  readonly ledger: boolean
  readonly policy: boolean
  readonly stopping: boolean
}): HealthReport {
  const reasons = [
    ...(is.policy ? [] : ['the control topic has not been read yet']),
    ...(is.ledger ? [] : ['the ledger has not answered yet']),
    ...(is.stopping ? ['the sink is stopping'] : []),
  ]
  return { alive: true, ready: reasons.length === 0, reasons }
}
