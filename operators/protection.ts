import { PLAYERS } from '../state/stores.ts'
import { type Arrival, type Operator, toGates } from './operator.ts'
import { isAboutProtection, readProtection } from './protection-event.ts'

/**
 * Hands what an event says of KYC and responsible gaming to the gates, before any rule has seen the event: a reward that
 * the event itself brings is judged by it. It stands before the check for lateness, too. A late event is dead-lettered as
 * any other, but a self-exclusion must protect however late it comes; the newest word wins, so an old one does no harm.
 * The players of such events are read with all else, so that a batch knows how much they may set free.
 */
export function createProtection(): Operator<Arrival, Arrival> {
  return {
    name: 'protection',
    ask(arrival, batch, next) {
      if (isAboutProtection(arrival.event)) batch.state.ask(PLAYERS, arrival.event.userId)
      next(arrival)
    },
    process(arrival, batch, next) {
      const { event, record } = arrival
      const change = readProtection(event)
      if (change !== undefined) {
        const { userId, eventId, ts } = event
        const at = Math.max(ts, batch.time.watermark ?? ts)
        const { timestamp } = record
        const waiting = batch.state.get(PLAYERS, userId)?.frozen.length ?? 0
        // What is known of the player changes by the event, and may have by time before it.
        toGates(batch, { kind: 'protection', userId, eventId, ts, at, timestamp, change }, waiting + 2)
      }
      next(arrival)
    },
  }
}
