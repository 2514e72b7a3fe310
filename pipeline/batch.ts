import type { LogRecord } from '../core/ports/log.ts'
import { deadLetter, inputOf } from '../operators/dead-letter.ts'
import { EventTime } from '../operators/event-time.ts'
import {
  type Arrival,
  type BatchContext,
  type BatchOutput,
  emptyOutput,
  isFull,
  type Turn,
} from '../operators/operator.ts'
import { askFuture, protectFromFuture } from '../operators/protection.ts'
import { Pending } from '../operators/pending.ts'
import type { RuleSet } from '../rules/compiled.ts'
import type { HeldBound, StagedState } from '../state/staged-state.ts'
import { type HeldEvent, META, parseHeldKey, TASK_META_KEY } from '../state/stores.ts'
import { dueTimers, passGates } from './gate-phase.ts'
import type { BoundLine } from './line.ts'
import type { Input } from './record-reader.ts'
import type { Topology } from './topology.ts'

/** What one batch may hold: it bounds a transaction, and the memory for it. What is beyond waits for the next one. */
export interface BatchLimits {
  /** Records of the input. */
  readonly records: number
  /** Held events whose turn may have come; one at least, however large. */
  readonly held: HeldBound
  /** Scores, rewards and dead letters after which no further event is begun: those of one event are never parted. */
  readonly outputs: number
}

/**
 * Far above what the default of --batch-bytes brings of real events: they bound what tiny records, compressed ones and
 * partitions that were silent for long would bring, and rules of which very many match. A thousand records take some
 * megabytes of heap.
 */
export const BATCH_LIMITS: BatchLimits = { records: 10_000, held: { events: 2_000, bytes: 2 << 20 }, outputs: 30_000 }

export interface BatchInput {
  readonly records: readonly LogRecord[]
  /** The input position after the batch. */
  readonly nextOffset: number
  readonly rules: RuleSet
  readonly reorderWindowMs: number
  /** Greatest event time of the partition before the batch. */
  readonly watermark: number | undefined
  /** Of this event time and later nothing was forgotten before the batch (`Memory`). */
  readonly keptFrom: number | undefined
  /** Event time of the first held event on disk; undefined where none is held. */
  readonly heldSince: number | undefined
  /** When time alone next changes something for a player, ms; undefined: never. */
  readonly nextTimer: number | undefined
  /** Look for segments of remembered ids that can be dropped. */
  readonly expireSeen: boolean
  /** The records are within theirs already. */
  readonly limits: Omit<BatchLimits, 'records'>
}

export interface BatchResult {
  readonly output: BatchOutput
  /** Records that were done: fewer than there were where they brought forth as much as a batch may. */
  readonly records: number
  /** The input position after them. */
  readonly nextOffset: number
  readonly watermark: number | undefined
  readonly keptFrom: number | undefined
  /** Segments that can be dropped were left for the next batch. */
  readonly expiryPending: boolean
  /** Held events were added or released. */
  readonly heldChanged: boolean
  /** Players' timers may have been set or dropped. */
  readonly timersChanged: boolean
  /** Held events or timers whose turn has come were left for the next batch, which must come without more input, too. */
  readonly overdue: boolean
}

/**
 * Steps 2 to 4 of a batch: read the records, ask for the state they touch, load it in one call, run the operators over
 * the staged view; then the gates, for the few events that they are asked about (decision 9). Nothing outside of the
 * staged state changes; what came out is in the result.
 */
export async function runBatch(topology: Topology, state: StagedState, batch: BatchInput): Promise<BatchResult> {
  state.begin()
  // 2. decode, check, and ask each operator which state the batch will touch
  const inputs = batch.records.map((record) => topology.read(record, batch.rules))
  const reachable = reachableTime(batch, inputs)
  const { waiting, next } = await waitingTurns(state, batch, reachable.horizon)
  const timers = await dueTimers(
    state,
    { nextTimer: batch.nextTimer, outputsMax: batch.limits.outputs },
    reachable.watermark,
  )
  const memory = { keptFrom: batch.keptFrom, rememberMs: state.dedupeWindowMs }
  const time = new EventTime(batch.reorderWindowMs, batch.watermark, memory)
  const context: BatchContext = {
    state,
    time,
    rules: batch.rules,
    output: emptyOutput(),
    outputsMax: batch.limits.outputs,
    waiting,
    pending: new Pending(waiting, next === undefined ? undefined : { key: next, ts: parseHeldKey(next).ts }),
    joined: [],
    gates: [],
    gateOutputs: 0,
  }
  const line = topology.line.bind(context)
  state.ask(META, TASK_META_KEY)
  for (const input of inputs) {
    if (input.kind === 'event') line.ask(input)
    else if (input.kind === 'rejected' && input.event !== undefined) askFuture(input.event, context)
  }
  line.askWaiting()
  const expiry = batch.expireSeen && batch.watermark !== undefined ? await state.expireSeen(batch.watermark) : undefined
  // 3. one read for all of it
  await state.load()
  // 4. the operators, synchronously; then the gates
  const records = processAll(inputs, line, context)
  line.end()
  await passGates(context, timers, topology.gated)
  const { watermark, keptFrom } = time
  const nextOffset = batch.records[records]?.offset ?? batch.nextOffset
  const overdue =
    context.pending.hasBelow(time.horizon) || (timers.next ?? Number.POSITIVE_INFINITY) <= (watermark ?? 0)
  state.put(META, TASK_META_KEY, {
    inputOffset: nextOffset,
    ...(watermark === undefined ? {} : { watermark }),
    ...(keptFrom === undefined ? {} : { keptFrom }),
    ...(overdue ? { overdue } : {}),
  })
  return {
    output: context.output,
    records,
    nextOffset,
    watermark,
    keptFrom,
    expiryPending: expiry?.more ?? false,
    heldChanged: waiting.length > 0 || context.joined.length > 0,
    timersChanged: timers.due.length > 0 || context.gates.length > 0,
    overdue,
  }
}

/**
 * Answers how many were done. What waits and has its turn goes before the next record; where it cannot, because the batch
 * is full or has not read it, no further record is taken.
 */
function processAll(inputs: readonly Input[], line: BoundLine<Arrival>, context: BatchContext): number {
  const { output, time, pending } = context
  line.release()
  for (const [index, input] of inputs.entries()) {
    if (isFull(context) || (!pending.isEmpty && pending.hasBelow(time.horizon))) return index
    if (input.kind === 'event') {
      output.counts.events++
      line.process(input)
    } else if (input.kind === 'tick') time.advance(input.ts)
    else reject(input, context)
    if (!pending.isEmpty) line.release()
  }
  return inputs.length
}

/** The furthest that event time can get in this batch: a bound on which held events may be released. */
function reachableTime(batch: BatchInput, inputs: readonly Input[]): EventTime {
  const time = new EventTime(batch.reorderWindowMs, batch.watermark)
  for (const input of inputs) {
    if (input.kind === 'event') time.advance(input.event.ts)
    else if (input.kind === 'tick') time.advance(input.ts)
  }
  return time
}

async function waitingTurns(
  state: StagedState,
  { heldSince, limits }: BatchInput,
  horizon: number,
): Promise<{ readonly waiting: Turn[]; readonly next: string | undefined }> {
  if (heldSince === undefined || heldSince >= horizon) return { waiting: [], next: undefined }
  const { found, next } = await state.heldBefore(horizon, limits.held)
  return { waiting: found.map(({ key, value }) => heldTurn(key, value)), next }
}

function heldTurn(key: string, { data, ingestTs }: HeldEvent): Turn {
  const { ts, eventId } = parseHeldKey(key)
  // It was valid when it was held.
  const { event_name: eventName, user } = data as {
    readonly event_name: string
    readonly user: { readonly id: string }
  }
  const event = { eventId, eventName, userId: user.id, ts, data }
  return { event, ingestTs, lane: 'strict', scorings: [] }
}

function reject(input: Input & { kind: 'rejected' }, context: BatchContext): void {
  const { output } = context
  if (input.event !== undefined) protectFromFuture(input.event, input.record.timestamp, context)
  output.counts.events++
  output.counts[input.reason]++
  output.dlq.push(deadLetter(input, inputOf(input.record)))
}
