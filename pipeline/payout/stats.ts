/** What the sink has done since it started. */
export interface SinkStats {
  /** Tasks booked as pending for the first time. */
  readonly recorded: number
  /** Tasks that had been booked before: redelivered, or emitted by a replay. */
  readonly known: number
  /** Records that were no task and went to the DLQ. */
  readonly malformed: number
  /** Calls to the wallet that ended. */
  readonly calls: number
  readonly succeeded: number
  readonly retried: number
  /** Rewards that went to the DLQ and are `failed` in the ledger. */
  readonly deadLettered: number
  /** Verdicts that changed nothing, because another sink's stood already. */
  readonly superseded: number
  readonly inFlight: number
  /** Records not read yet, over the partitions this sink has. */
  readonly lagRecords: number
}

/** Called as things happen; each is optional, and none may throw. */
export interface SinkMetrics {
  recorded?(tasks: number, known: number): void
  malformed?(records: number): void
  /** One call to the wallet ended. */
  called?(seconds: number, outcome: 'succeeded' | 'retry' | 'dead-letter'): void
  /** Booked as paid; not called for a payment that another sink booked. */
  paid?(reward: PaidReward): void
  failed?(reward: PaidReward): void
}

export interface PaidReward {
  readonly taskId: string
  readonly userId: string
  readonly ruleId: string
  readonly type: string
}

export type Counters = { -readonly [K in Exclude<keyof SinkStats, 'inFlight' | 'lagRecords'>]: number }

export function newCounters(): Counters {
  return { recorded: 0, known: 0, malformed: 0, calls: 0, succeeded: 0, retried: 0, deadLettered: 0, superseded: 0 }
}
