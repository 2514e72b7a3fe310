import { deadLetter, inputOf } from './dead-letter.ts'
import { type Arrival, type BatchContext, isFull, type Operator, type Turn } from './operator.ts'

/**
 * Sends late events to the DLQ and the others into the two lanes (SPEC S19): at once for rules whose totals do not depend
 * on order, and, for rules that ask for it, in event-time order (ties by event id) once the watermark has passed them by
 * the window. An event at exactly the horizon is not late yet, so the strict lane releases what lies below it, and does so
 * right after the record that has moved the horizon: what comes before what is a function of the records in their order,
 * not of where they are cut into batches. Where more have their turn than a batch takes, the first go, and the others wait
 * for the next batch, which begins with them.
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
      if (strict !== undefined) {
        batch.joined.push(strict)
        batch.pending.join(strict)
      }
    },
    askWaiting(batch, next) {
      for (const turn of batch.waiting) next(turn)
    },
    release(batch, next) {
      const { time, state, pending } = batch
      for (let first = pending.first(); first !== undefined; first = pending.first()) {
        if (first.turn.event.ts >= time.horizon || isFull(batch)) return
        pending.takeFirst()
        if (first.isHeld) state.release(first.key)
        next(first.turn)
      }
    },
    end({ state, pending }) {
      for (const { key, turn } of pending.joined) state.hold(key, { data: turn.event.data, ingestTs: turn.ingestTs })
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
