import type { BreakerState } from './breaker.ts'

/** What the sink has done since it started. */
export interface SinkStats {
  /** Rewards booked for the first time. */
  readonly recorded: number
  /** Records about rewards that had been booked before: redelivered, or emitted by a replay. */
  readonly known: number
  /** Of those recorded: held for a review, frozen by the stream, refused by their pool. */
  readonly held: number
  readonly frozen: number
  readonly refused: number
  /** Changes of players booked. */
  readonly players: number
  /** Records that could not be read and went to the DLQ. */
  readonly malformed: number
  /** Calls to a wallet that ended. */
  readonly calls: number
  readonly succeeded: number
  readonly retried: number
  /** Rewards that went to the DLQ after a call and are `failed` in the ledger. */
  readonly deadLettered: number
  /** Rewards frozen at the moment of the call: their player is protected. */
  readonly stopped: number
  /** Rewards that were frozen and go on. */
  readonly thawed: number
  /** Verdicts that changed nothing, because another sink's stood already. */
  readonly superseded: number
  /** Repeats that a partner answered in another way than before. */
  readonly differing: number
  readonly inFlight: number
  /** Records not read yet, over the partitions this sink has. */
  readonly lagRecords: number
}

/** Called as things happen; each is optional, and none may throw. */
export interface SinkMetrics {
  recorded?(tasks: number, known: number): void
  malformed?(records: number): void
  /** Rewards that their pool does not cover: letters with reason budget_closed. */
  refused?(rewards: number): void
  held?(rewards: number): void
  /** `by`: the gates of the stream, or the look at the moment of the call. */
  frozen?(rewards: number, by: 'stream' | 'call'): void
  thawed?(rewards: number): void
  /** One call to a wallet ended. */
  called?(seconds: number, outcome: 'succeeded' | 'retry' | 'dead-letter', partner: string): void
  /** Booked as paid; not called for a payment that another sink booked. */
  paid?(reward: PaidReward): void
  failed?(reward: PaidReward): void
  /** A partner answered repeats of so many request ids in another way than before. */
  differing?(rewards: number): void
  /** Called once at the start, and at each change. */
  breaker?(partner: string, state: BreakerState['kind']): void
}

export interface PaidReward {
  readonly taskId: string
  readonly userId: string
  readonly ruleId: string
  readonly type: string
}

export type Counters = { -readonly [K in Exclude<keyof SinkStats, 'inFlight' | 'lagRecords'>]: number }

export function newCounters(): Counters {
  return {
    recorded: 0,
    known: 0,
    held: 0,
    frozen: 0,
    refused: 0,
    players: 0,
    malformed: 0,
    calls: 0,
    succeeded: 0,
    retried: 0,
    deadLettered: 0,
    stopped: 0,
    thawed: 0,
    superseded: 0,
    differing: 0,
  }
}
