import { heldKey } from '../state/stores.ts'
import { deadLetter, inputOf } from './dead-letter.ts'
import { type Arrival, type BatchContext, isFull, type Operator, type Turn } from './operator.ts'

/**
 * Sends late events to the DLQ and the others into the two lanes (SPEC S19): at once for rules whose totals do not depend
 * on order, and, for rules that ask for it, in event-time order (ties by event id) once the watermark has passed them by
 * the window. An event at exactly the horizon is not late yet, so the strict lane releases what lies below it. Where more
 * have their turn than a batch takes, the first go, and all others wait for the next batch: the order is the same.
 */
export function createReorder(): Operator<Arrival, Turn> {
  return {
    name: 'reorder',
    ask(arrival, _batch, next) {
      next(arrival.eager)
      if (arrival.strict !== undefined) next(arrival.strict)
    },
    process(arrival, batch, next) {
      const { event, strict, eager } = arrival
      if (batch.time.isLate(event.ts)) return rejectLate(arrival, batch)
      batch.time.advance(event.ts)
      batch.output.counts.unique++
      next(eager)
      if (strict !== undefined) batch.joined.push(strict)
    },
    askWaiting(batch, next) {
      for (const turn of batch.waiting) next(turn)
    },
    release(batch, next) {
      const { time, state, waiting, joined, releaseBefore } = batch
      const fresh = new Set(joined)
      let bound: Buffer | undefined = releaseBefore === undefined ? undefined : Buffer.from(releaseBefore)
      for (const { turn, key } of inOrder(waiting, joined)) {
        const due = turn.event.ts < time.horizon && (bound === undefined || Buffer.compare(key, bound) < 0)
        if (due && isFull(batch)) {
          bound = key
          batch.releaseBefore = key.toString()
        }
        if (due && bound !== key) {
          if (!fresh.has(turn)) state.release(key.toString())
          next(turn)
        } else if (fresh.has(turn)) {
          state.hold(key.toString(), { data: turn.event.data, ingestTs: turn.ingestTs })
        }
      }
    },
  }
}

function rejectLate(arrival: Arrival, batch: BatchContext): void {
  const { event } = arrival
  const behind = Math.round((batch.time.horizon - event.ts) / 1000)
  batch.output.counts.late++
  batch.output.dlq.push(
    deadLetter(
      {
        reason: 'late',
        detail: `ts ${new Date(event.ts).toISOString()} is ${behind} s older than the oldest time still accepted, ${new Date(batch.time.horizon).toISOString()}`,
        eventId: event.eventId,
        userId: event.userId,
      },
      inputOf(arrival.record),
    ),
  )
}

function inOrder(waiting: readonly Turn[], joined: readonly Turn[]): { readonly turn: Turn; readonly key: Buffer }[] {
  if (waiting.length === 0 && joined.length === 0) return []
  const keyed = [...waiting, ...joined].map((turn) => ({
    turn,
    key: Buffer.from(heldKey(turn.event.ts, turn.event.eventId)),
  }))
  return keyed.sort((a, b) => Buffer.compare(a.key, b.key))
}
