import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type * as port from '../../core/ports/metrics.ts'

/** The metrics of one process, and the page on which Prometheus reads them. */
export interface ObservedMetrics extends port.Metrics {
  /** Prometheus' text format, with its content type. */
  page(): Promise<{ readonly contentType: string; readonly body: string }>
  /** `update` runs before each page is made, for gauges that are cheap to ask for and tedious to keep. */
  beforePage(update: () => void): void
}

/** From 1 ms to 10 s: the SLO of rule processing is 150 ms (p95), of ingest 250 ms. */
const WORK_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10]
/** Up to ten minutes: a rebuild reads a whole changelog. */
const RECOVERY_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
/** A wallet is given up after 10 s by default. */
const WALLET_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30]
const RECORDS = [1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000]

/** `role` becomes a label of every series: worker, sink, partner, demo. */
export function createMetrics(options: { readonly role: string }): ObservedMetrics {
  const registry = new Registry()
  registry.setDefaultLabels({ role: options.role })
  collectDefaultMetrics({ register: registry })
  const updates: (() => void)[] = []
  return {
    ...counters(registry),
    ...payoutCounters(registry),
    ...gauges(registry),
    ...payoutGauges(registry),
    ...histograms(registry),
    ...gatewayMetrics(registry),
    page: async () => {
      for (const update of updates) update()
      return { contentType: registry.contentType, body: await registry.metrics() }
    },
    beforePage: (update) => void updates.push(update),
  }
}

type Labels<L extends string> = Readonly<Record<L, string | number>>

function counter<L extends string = never>(registry: Registry, name: string, help: string, labels: readonly L[]) {
  const inner = new Counter<L>({ name, help, labelNames: [...labels], registers: [registry] })
  return { add: (amount: number, values: Labels<L>) => inner.inc(values, amount) } satisfies port.Counter<L>
}

function gauge<L extends string = never>(registry: Registry, name: string, help: string, labels: readonly L[]) {
  const inner = new Gauge<L>({ name, help, labelNames: [...labels], registers: [registry] })
  return {
    set: (value: number, values: Labels<L>) => inner.set(values, value),
    remove: (values: Labels<L>) => inner.remove(values),
  } satisfies port.Gauge<L>
}

interface HistogramText<L extends string> {
  readonly name: string
  readonly help: string
  readonly buckets: readonly number[]
  readonly labels: readonly L[]
}

function histogram<L extends string = never>(registry: Registry, text: HistogramText<L>) {
  const inner = new Histogram<L>({
    name: text.name,
    help: text.help,
    buckets: [...text.buckets],
    labelNames: [...text.labels],
    registers: [registry],
  })
  return { observe: (value: number, values: Labels<L>) => inner.observe(values, value) } satisfies port.Histogram<L>
}

function counters(registry: Registry) {
  return {
    events: counter(registry, 'onceward_events_total', 'Events read from the events topic', ['partition']),
    duplicates: counter(registry, 'onceward_duplicates_total', 'Events seen before and dropped', ['partition']),
    deadLetters: counter(registry, 'onceward_dlq_total', 'Records set aside, by reason', ['reason']),
    scores: counter(registry, 'onceward_scores_total', 'Scores above zero, by rule', ['rule_id']),
    points: counter(registry, 'onceward_points_total', 'Points after caps, by rule', ['rule_id']),
    rewards: counter(registry, 'onceward_rewards_total', 'Reward tasks created, by rule', ['rule_id']),
    payouts: counter(registry, 'onceward_payouts_total', 'Reward tasks that came to an end, by outcome', ['outcome']),
  }
}

function payoutCounters(registry: Registry) {
  return {
    rewardsHeld: counter(registry, 'onceward_rewards_held_total', 'Rewards held for a review', []),
    rewardsFrozen: counter(registry, 'onceward_rewards_frozen_total', 'Rewards stopped by a gate', ['by']),
    rewardsThawed: counter(registry, 'onceward_rewards_thawed_total', 'Rewards that were stopped and go on', []),
    answersDiffer: counter(
      registry,
      'onceward_answers_differ_total',
      'Repeats of a request id that a partner answered in another way',
      [],
    ),
  }
}

function payoutGauges(registry: Registry) {
  const pool = (name: string, help: string) => gauge(registry, `onceward_pool_${name}`, help, ['pool'])
  return {
    partnerBreaker: gauge(registry, 'onceward_partner_breaker', 'Breaker of a partner: 0 closed, 1 half-open, 2 open', [
      'partner',
    ]),
    partnerWaiting: gauge(
      registry,
      'onceward_partner_waiting_seconds',
      'Longest wait of a reward that is due, by partner',
      ['partner'],
    ),
    ledgerRewards: gauge(registry, 'onceward_ledger_rewards', 'Rewards in the ledger, by status', ['status']),
    poolBudget: pool('budget', "Hard cap of a pool's newest period"),
    poolSpent: pool('spent', 'Paid out of a pool in its newest period'),
    poolReserved: pool('reserved', "Set aside in a pool's newest period"),
    poolOverrun: pool('overrun', "Let through above the hard cap of a pool's newest period"),
  }
}

function gauges(registry: Registry) {
  return {
    partitions: gauge(registry, 'onceward_partitions', 'Partitions that this process works on', ['topic']),
    failedPartitions: gauge(registry, 'onceward_failed_partitions', 'Partitions that have failed and stand still', []),
    rulesAgeSeconds: gauge(
      registry,
      'onceward_rules_age_seconds',
      'Seconds since the rules were read to their end',
      [],
    ),
    lagRecords: gauge(registry, 'onceward_lag_records', 'Records not yet processed, at most', ['topic', 'partition']),
    lagSeconds: gauge(registry, 'onceward_lag_seconds', 'Age of the oldest record not yet processed', [
      'topic',
      'partition',
    ]),
  }
}

function histograms(registry: Registry) {
  return {
    batchSeconds: histogram(registry, {
      name: 'onceward_batch_seconds',
      help: 'Seconds from fetched to committed, by batch',
      buckets: WORK_SECONDS,
      labels: ['partition'],
    }),
    batchRecords: histogram(registry, {
      name: 'onceward_batch_records',
      help: 'Records in one batch',
      buckets: RECORDS,
      labels: ['partition'],
    }),
    commitSeconds: histogram(registry, {
      name: 'onceward_commit_seconds',
      help: 'Seconds that the log took to commit one transaction',
      buckets: WORK_SECONDS,
      labels: ['partition'],
    }),
    processingSeconds: histogram(registry, {
      name: 'onceward_processing_seconds',
      help: "Seconds from written to committed, of each batch's oldest record",
      buckets: WORK_SECONDS,
      labels: [],
    }),
    recoverySeconds: histogram(registry, {
      name: 'onceward_recovery_seconds',
      help: 'Seconds that the recovery of a partition took, by decision',
      buckets: RECOVERY_SECONDS,
      labels: ['decision'],
    }),
    walletSeconds: histogram(registry, {
      name: 'onceward_wallet_seconds',
      help: 'Seconds that one call to a partner took, by outcome',
      buckets: WALLET_SECONDS,
      labels: ['outcome', 'partner'],
    }),
  }
}

function gatewayMetrics(registry: Registry) {
  const count = <L extends string = never>(name: string, help: string, labels: readonly L[]) =>
    counter(registry, `onceward_gateway_${name}_total`, help, labels)
  const show = (name: string, help: string) => gauge(registry, `onceward_gateway_${name}`, help, [])
  return {
    gatewayRequests: count('requests', 'Requests answered, by source and status', ['source', 'status']),
    gatewayEvents: count('events', 'Events answered, by source and answer', ['source', 'answer']),
    gatewaySignatureFailures: count('signature_failures', "Webhooks that were not their provider's own", [
      'provider',
      'problem',
    ]),
    gatewayConflicts: count('conflicts', 'Ids that came before with other content', ['source']),
    gatewaySeconds: histogram(registry, {
      name: 'onceward_gateway_seconds',
      help: 'Seconds from headers to answer, of requests that brought events',
      buckets: WORK_SECONDS,
      labels: ['route'],
    }),
    gatewayPendingBytes: show('pending_bytes', 'Bytes of events that wait for the bus'),
    gatewayBodyBytes: show('body_bytes', 'Bytes of bodies that are in memory'),
    gatewayBusAvailable: show('bus_available', '1 where the bus takes events'),
    gatewayConnections: show('connections', 'Open connections'),
    gatewayConnectionsDropped: count('connections_dropped', 'Connections closed because there were too many', []),
    gatewayAuditFailures: count('audit_failures', 'Entries that the audit log could not take', []),
  }
}
