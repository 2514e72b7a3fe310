import { HELD, heldKey } from '../state/stores.ts'
import { deadLetter, inputOf } from './dead-letter.ts'
import type { Arrival, BatchContext, Operator, Turn } from './operator.ts'

/**
 * Sends late events to the DLQ and the others into the two lanes (SPEC S19): at once for rules whose totals do not depend
 * on order, and, for rules that ask for it, in event-time order (ties by event id) once the watermark has passed them by
 * the window. An event at exactly the horizon is not late yet, so the strict lane releases what lies below it.
 */
export function createReorder(): Operator<Arrival, Turn> {
  return {
    name: 'reorder',
    ask(arrival, batch, next) {
      next(arrival.eager)
      if (arrival.strict === undefined) return
      batch.state.ask(HELD, heldKey(arrival.event.ts, arrival.event.eventId))
      next(arrival.strict)
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
      for (const turn of batch.waiting) {
        batch.state.ask(HELD, heldKey(turn.event.ts, turn.event.eventId))
        next(turn)
      }
    },
    release(batch, next) {
      const { time, state, waiting, joined } = batch
      const fresh = new Set(joined)
      for (const turn of inOrder(waiting, joined)) {
        const key = heldKey(turn.event.ts, turn.event.eventId)
        if (turn.event.ts < time.horizon) {
          if (!fresh.has(turn)) state.delete(HELD, key)
          next(turn)
        } else if (fresh.has(turn)) {
          state.put(HELD, key, { data: turn.event.data, ingestTs: turn.ingestTs })
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

function inOrder(waiting: readonly Turn[], joined: readonly Turn[]): Turn[] {
  if (waiting.length === 0 && joined.length === 0) return []
  const keyed = [...waiting, ...joined].map((turn) => ({
    turn,
    key: Buffer.from(heldKey(turn.event.ts, turn.event.eventId)),
  }))
  return keyed.sort((a, b) => Buffer.compare(a.key, b.key)).map(({ turn }) => turn)
}
