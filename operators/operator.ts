import type { DlqRecord, DlqStep } from '../core/model/dlq.ts'
import type { PlayerEvent, RecentEvents } from '../core/model/event.ts'
import type { PlayerChanged } from '../core/model/player.ts'
import type { HoldReason, RewardRecord } from '../core/model/reward.ts'
import type { LateReason, ScoreRecord, WithheldReward } from '../core/model/score.ts'
import type { LogRecord } from '../core/ports/log.ts'
import type { CompiledRule, Points, RuleSet } from '../rules/compiled.ts'
import type { StagedState } from '../state/staged-state.ts'
import type { Account } from '../state/stores.ts'
import type { EventTime } from './event-time.ts'
import type { GateInput } from './gates.ts'
import type { Pending } from './pending.ts'

/**
 * One step of the line: pure and synchronous. It sees no clock, random, network or file; what it needs of time is in the
 * events, what it remembers is in the staged state.
 */
export interface Operator<In, Out> {
  readonly name: string
  /** Announces the state that `process` will touch for `input`, and hands on what may follow from it. Sees no state. */
  ask(input: In, batch: BatchContext, next: (output: Out) => void): void
  process(input: In, batch: BatchContext, next: (output: Out) => void): void
  /** As `ask`, for what waits from former batches and may be released in this one. */
  askWaiting?(batch: BatchContext, next: (output: Out) => void): void
  /** Before the first input of the batch, and after each: what waited and whose turn has come. */
  release?(batch: BatchContext, next: (output: Out) => void): void
  /** After the last input: keeps what is still to wait. */
  end?(batch: BatchContext): void
}

/** What the operators of one batch share. */
export interface BatchContext {
  readonly state: StagedState
  readonly time: EventTime
  readonly rules: RuleSet
  readonly output: BatchOutput
  /** Held events read from disk because their turn may come in this batch, in order: always the first ones. */
  readonly waiting: readonly Turn[]
  /** What of the strict lane waits for its turn: `waiting`, and what joined in this batch. */
  readonly pending: Pending
  /** Scores, rewards and dead letters after which the batch begins no further event. */
  readonly outputsMax: number
  /** Events of this batch that joined the strict lane. */
  readonly joined: Turn[]
  /** What the gates by player are to decide once the line is through, in order; filled by `toGates`. */
  readonly gates: GateInput[]
  /** What the gates may bring forth at most for it, as far as that is known before they look. */
  gateOutputs: number
}

/** What a batch brings forth, in order; the pipeline turns it into records. */
export interface BatchOutput {
  readonly scores: Emitted<ScoreRecord>[]
  /** For reward.tasks: rewards, and what became known of players, in the order that counts. */
  readonly rewards: Emitted<RewardRecord | PlayerChanged>[]
  readonly dlq: Emitted<DlqRecord>[]
  readonly counts: BatchCounts
}

export interface Emitted<T> {
  /** The record's key: the user id, where there is one. */
  readonly key: string | null
  readonly value: T
  /** Ingest time of the event it comes from, ms: the output's timestamp, so that a replay writes the same. */
  readonly timestamp: number
}

/** events = unique + duplicates + dlq, by exact count, for every batch. */
export interface BatchCounts {
  events: number
  unique: number
  duplicates: number
  schema: number
  future: number
  late: number
  /** Scores above zero. */
  scores: number
  points: number
  /** Earned, whatever the gates said. */
  rewards: number
  /** Of these, what the gates stopped. */
  frozen: number
  /** What was frozen and is no more: it may be paid, or its time was up. */
  released: number
  expired: number
}

export interface Source {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** A valid event as it arrived. */
export interface Arrival {
  readonly kind: 'event'
  readonly event: PlayerEvent
  /** The record that brought it: its timestamp is the ingest time. */
  readonly record: LogRecord
  readonly idHash: string
  /** What was done to it since it was dead-lettered; undefined: it never was, or nobody has said so. */
  readonly history: readonly DlqStep[] | undefined
  /** The event in the lane that scores at once. */
  readonly eager: Turn
  /** The event in the strict lane, where a rule asks for it. */
  readonly strict: Turn | undefined
}

/** An event whose turn it is to be scored, in one of the two lanes. */
export interface Turn {
  readonly event: PlayerEvent
  readonly ingestTs: number
  readonly lane: 'any' | 'strict'
  /** It comes after its time, because a person has decided that it shall count. */
  readonly isLate?: true
  /** The rules that match it, evaluated once, when the batch's state is asked for. */
  scorings: readonly Scoring[]
  /** Filled in by windows, where a rule may look at them. */
  windows?: RecentEvents
}

/**
 * One rule that matches one event, on its way through cap, threshold and reward-emit. Each fills in its part of the one
 * object: a copy for each step would be most of what the line allocates.
 */
export interface Scoring {
  /** With its windows, where the rule looks at recent events. */
  event: PlayerEvent
  readonly ingestTs: number
  readonly rule: CompiledRule
  formula: Points
  readonly accountKey: string
  /** Of an event that counts although it is late. */
  late: Lateness | undefined
  /** Filled in by cap. */
  account: Account | undefined
  rawPoints: number
  points: number
  cutBy: ScoreRecord['cut_by']
  /** Filled in by threshold. */
  progress: number
  period: string
  /** The rewards that the event brings. */
  granted: readonly Grant[]
  /** Those that it would bring, but for a reason. */
  withheld: readonly WithheldReward[]
  /** Why somebody shall look at what it brings before it is paid: any operator before reward-emit may add to it. */
  holds: readonly HoldReason[]
}

/** `refusal`: why the rule gives nothing for it; absent: it scores as it would have in time. */
export interface Lateness {
  readonly refusal?: { readonly reason: LateReason; readonly detail: string }
}

/** A threshold that was crossed and whose reward is given. */
export interface Grant {
  /** Of the threshold. */
  readonly index: number
  /** What the reward's formula gave; absent: the reward says it itself. */
  readonly amount?: number
  readonly cost?: number
  /** Why somebody shall look at this one; absent: nobody needs to. */
  readonly holds?: readonly HoldReason[]
}

/** The batch has brought forth as much as it may: what is left of it waits for the next one. */
export function isFull({ output, outputsMax, gateOutputs }: BatchContext): boolean {
  return output.scores.length + gateOutputs + output.dlq.length >= outputsMax
}

/** Hands something to the gates; `outputs`: what may come of it at most. */
export function toGates(batch: BatchContext, input: GateInput, outputs: number): void {
  batch.gates.push(input)
  batch.gateOutputs += outputs
}

export function emptyOutput(): BatchOutput {
  return { scores: [], rewards: [], dlq: [], counts: noCounts() }
}

export function noCounts(): BatchCounts {
  const checks = { events: 0, unique: 0, duplicates: 0, schema: 0, future: 0, late: 0 }
  return { ...checks, scores: 0, points: 0, rewards: 0, frozen: 0, released: 0, expired: 0 }
}
