import type { LogRecord } from '../core/ports/log.ts'
import { deadLetter, inputOf } from '../operators/dead-letter.ts'
import { EventTime } from '../operators/event-time.ts'
import { type BatchContext, type BatchOutput, emptyOutput, type Turn } from '../operators/operator.ts'
import type { RuleSet } from '../rules/compiled.ts'
import type { StagedState } from '../state/staged-state.ts'
import { type HeldEvent, META, parseHeldKey, TASK_META_KEY } from '../state/stores.ts'
import type { Input } from './record-reader.ts'
import type { Topology } from './topology.ts'

export interface BatchInput {
  readonly records: readonly LogRecord[]
  /** The input position after the batch. */
  readonly nextOffset: number
  readonly rules: RuleSet
  readonly reorderWindowMs: number
  /** Greatest event time of the partition before the batch. */
  readonly watermark: number | undefined
  /** Event time of the first held event on disk; undefined where none is held. */
  readonly heldSince: number | undefined
  /** Look for segments of remembered ids that can be dropped. */
  readonly expireSeen: boolean
}

export interface BatchResult {
  readonly output: BatchOutput
  readonly watermark: number | undefined
  /** Segments that can be dropped were left for the next batch. */
  readonly expiryPending: boolean
  /** Held events were added or released. */
  readonly heldChanged: boolean
}

/**
 * Steps 2 to 4 of a batch: read the records, ask for the state they touch, load it in one call, run the operators over
 * the staged view. Nothing outside of the staged state changes; what came out is in the result.
 */
export async function runBatch(topology: Topology, state: StagedState, batch: BatchInput): Promise<BatchResult> {
  state.begin()
  // 2. decode, check, and ask each operator which state the batch will touch
  const inputs = batch.records.map((record) => topology.read(record, batch.rules))
  const reachable = reachableTime(batch, inputs)
  const waiting = await waitingTurns(state, batch.heldSince, reachable.horizon)
  const time = new EventTime(batch.reorderWindowMs, batch.watermark)
  const context: BatchContext = { state, time, rules: batch.rules, output: emptyOutput(), waiting, joined: [] }
  const line = topology.line.bind(context)
  state.ask(META, TASK_META_KEY)
  for (const input of inputs) if (input.kind === 'event') line.ask(input)
  line.askWaiting()
  const expiry = batch.expireSeen && batch.watermark !== undefined ? await state.expireSeen(batch.watermark) : undefined
  // 3. one read for all of it
  await state.load()
  // 4. the operators, synchronously
  for (const input of inputs) {
    if (input.kind === 'event') {
      context.output.counts.events++
      line.process(input)
    } else if (input.kind === 'tick') time.advance(input.ts)
    else reject(input, context.output)
  }
  line.release()
  const { watermark } = time
  state.put(META, TASK_META_KEY, { inputOffset: batch.nextOffset, ...(watermark === undefined ? {} : { watermark }) })
  return {
    output: context.output,
    watermark,
    expiryPending: expiry?.more ?? false,
    heldChanged: waiting.length > 0 || context.joined.length > 0,
  }
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

async function waitingTurns(state: StagedState, heldSince: number | undefined, horizon: number): Promise<Turn[]> {
  if (heldSince === undefined || heldSince >= horizon) return []
  const held = await state.heldBefore(horizon)
  return held.map(({ key, value }) => heldTurn(key, value))
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

function reject(input: Input & { kind: 'rejected' }, output: BatchOutput): void {
  output.counts.events++
  output.counts[input.reason]++
  output.dlq.push(deadLetter(input, inputOf(input.record)))
}
