/**
 * What a role tells about itself to monitoring. The names that Prometheus sees stand in connectors/observe/metrics.ts.
 * Call these once a batch, not once an event: each call looks its labels up.
 */
export interface Counter<Label extends string = never> {
  /** `amount` is at least 0. */
  add(amount: number, labels: Readonly<Record<Label, string | number>>): void
}

export interface Gauge<Label extends string = never> {
  set(value: number, labels: Readonly<Record<Label, string | number>>): void
  /** Forgets one series, for instance that of a partition that was handed over. */
  remove(labels: Readonly<Record<Label, string | number>>): void
}

export interface Histogram<Label extends string = never> {
  observe(value: number, labels: Readonly<Record<Label, string | number>>): void
}

export interface Metrics {
  /** Events read: scored or passed + duplicates + dead letters, by exact count. */
  readonly events: Counter<'partition'>
  /** Events seen before and dropped. */
  readonly duplicates: Counter<'partition'>
  /** Records set aside, by DlqReason. */
  readonly deadLetters: Counter<'reason'>
  /** Score records above zero. */
  readonly scores: Counter<'rule_id'>
  /** Points after caps. */
  readonly points: Counter<'rule_id'>
  /** Reward tasks created. */
  readonly rewards: Counter<'rule_id'>
  /** Reward tasks that came to an end in the sink. */
  readonly payouts: Counter<'outcome'>
  /** Rewards that wait for a person's decision from now on. */
  readonly rewardsHeld: Counter
  /** Rewards stopped by a gate: `by` the stream, or by the look at the moment of the call. */
  readonly rewardsFrozen: Counter<'by'>
  /** Rewards that were stopped at the moment of the call and go on. */
  readonly rewardsThawed: Counter
  /** Repeats of one request id that a partner answered in another way than before. */
  readonly answersDiffer: Counter
  /** Breaker of a partner: 0 closed, 1 half-open, 2 open. */
  readonly partnerBreaker: Gauge<'partner'>
  /** Seconds that the reward has waited which waits longest for the partner, though it is due. */
  readonly partnerWaiting: Gauge<'partner'>
  /** Rewards in the ledger, by status. */
  readonly ledgerRewards: Gauge<'status'>
  /** Of a pool's newest period, in units of the policy's currency; a pool without a hard cap has no budget. */
  readonly poolBudget: Gauge<'pool'>
  readonly poolSpent: Gauge<'pool'>
  readonly poolReserved: Gauge<'pool'>
  readonly poolOverrun: Gauge<'pool'>
  /** Partitions that this process works on. */
  readonly partitions: Gauge<'topic'>
  /** Partitions of this process that have failed and stand still until their next try. */
  readonly failedPartitions: Gauge
  /** Seconds since this worker certainly knew all rules that had been published. */
  readonly rulesAgeSeconds: Gauge
  /** Readable records not yet processed. Markers make it an upper bound until the partition is caught up. */
  readonly lagRecords: Gauge<'topic' | 'partition'>
  /** Seconds since the oldest record not yet processed was written; 0 when caught up. */
  readonly lagSeconds: Gauge<'topic' | 'partition'>
  /** Seconds from fetched to committed, of one batch. */
  readonly batchSeconds: Histogram<'partition'>
  /** Records in one batch. */
  readonly batchRecords: Histogram<'partition'>
  /** Seconds that the log took to commit one transaction. */
  readonly commitSeconds: Histogram<'partition'>
  /** Seconds from written (ingest) to committed, of the oldest record of a batch. */
  readonly processingSeconds: Histogram
  /** Seconds that a partition's recovery took, by what was decided: ready, replay-tail or rebuild. */
  readonly recoverySeconds: Histogram<'decision'>
  /** Seconds that one call to a partner took, by what came of it. */
  readonly walletSeconds: Histogram<'outcome' | 'partner'>
  /** Requests that the gateway answered, by their source (`unknown` where nobody could be told) and status; `cut`: not answered. */
  readonly gatewayRequests: Counter<'source' | 'status'>
  /** Events that the gateway answered, by EventAnswer: accepted, or the reason why not. */
  readonly gatewayEvents: Counter<'source' | 'answer'>
  /** Webhooks that were not their provider's own, by AdmissionProblem. */
  readonly gatewaySignatureFailures: Counter<'provider' | 'problem'>
  /** Ids, of events or of requests, that came before with other content. */
  readonly gatewayConflicts: Counter<'source'>
  /** Seconds from the headers' end to the answer, of requests that brought events. */
  readonly gatewaySeconds: Histogram<'route'>
  /** Bytes of events that wait for the bus. */
  readonly gatewayPendingBytes: Gauge
  /** Bytes of bodies that are in memory. */
  readonly gatewayBodyBytes: Gauge
  /** 1 where the bus takes events, else 0. */
  readonly gatewayBusAvailable: Gauge
  readonly gatewayConnections: Gauge
  /** Connections that were closed at once because there were too many. */
  readonly gatewayConnectionsDropped: Counter
  /** Entries that the audit log could not take. */
  readonly gatewayAuditFailures: Counter
}

const nothing = (): void => undefined
const counter = { add: nothing }
const gauge = { set: nothing, remove: nothing }
const histogram = { observe: nothing }

/** Measures nothing; for tests and for commands that nobody scrapes. */
export const silentMetrics: Metrics = {
  events: counter,
  duplicates: counter,
  deadLetters: counter,
  scores: counter,
  points: counter,
  rewards: counter,
  payouts: counter,
  rewardsHeld: counter,
  rewardsFrozen: counter,
  rewardsThawed: counter,
  answersDiffer: counter,
  partnerBreaker: gauge,
  partnerWaiting: gauge,
  ledgerRewards: gauge,
  poolBudget: gauge,
  poolSpent: gauge,
  poolReserved: gauge,
  poolOverrun: gauge,
  partitions: gauge,
  failedPartitions: gauge,
  rulesAgeSeconds: gauge,
  lagRecords: gauge,
  lagSeconds: gauge,
  batchSeconds: histogram,
  batchRecords: histogram,
  commitSeconds: histogram,
  processingSeconds: histogram,
  recoverySeconds: histogram,
  walletSeconds: histogram,
  gatewayRequests: counter,
  gatewayEvents: counter,
  gatewaySignatureFailures: counter,
  gatewayConflicts: counter,
  gatewaySeconds: histogram,
  gatewayPendingBytes: gauge,
  gatewayBodyBytes: gauge,
  gatewayBusAvailable: gauge,
  gatewayConnections: gauge,
  gatewayConnectionsDropped: counter,
  gatewayAuditFailures: counter,
}
