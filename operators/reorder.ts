import { deadLetter, inputOf } from './dead-letter.ts'
import { decideLate } from './late.ts'
import { type Arrival, type BatchContext, isFull, type Operator, type Turn } from './operator.ts'

/**
 * Sends late events to the DLQ and the others into the two lanes (SPEC S19): at once for rules whose totals do not depend
 * on order, and, for rules that ask for it, in event-time order (ties by event id) once the watermark has passed them by
 * the window. An event at exactly the horizon is not late yet, so the strict lane releases what lies below it, and does so
 * right after the record that has moved the horizon: what comes before what is a function of the records in their order,
 * not of where they are cut into batches. Where more have their turn than a batch takes, the first go, and the others wait
 * for the next batch, which begins with them.
 *
 * A late event that a person has sent again goes into both lanes at once, marked: the first scores it, the second can only
 * say why it does not (decision 12). It lies below the watermark, and so never moves it.
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
      if (batch.time.isLate(event.ts)) return takeLate(arrival, batch, next)
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

function takeLate(arrival: Arrival, { time, output }: BatchContext, next: (turn: Turn) => void): void {
  const { event, history, eager, strict, record } = arrival
  const { eventId, userId, ts } = event
  const { horizon, keptFrom } = time
  const decision = decideLate({ ts, history, horizon, keptFrom })
  if (decision.kind === 'counts') {
    output.counts.unique++
    next({ ...eager, isLate: true })
    if (strict !== undefined) next({ ...strict, isLate: true })
    return
  }
  const { detail } = decision
  output.counts.late++
  output.dlq.push(deadLetter({ reason: 'late', detail, eventId, userId, history }, inputOf(record)))
}
