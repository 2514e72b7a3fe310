import { OUTPUTS_OF_PROTECTION } from './gates.ts'
import { type Arrival, type Operator, toGates } from './operator.ts'
import { readProtection } from './protection-event.ts'

/**
 * Hands what an event says of KYC and responsible gaming to the gates, before any rule has seen the event: a reward that
 * the event itself brings is judged by it. It stands before the check for lateness, too. A late event is dead-lettered as
 * any other, but a self-exclusion must protect however late it comes; the newest word wins, so an old one does no harm.
 */
export function createProtection(): Operator<Arrival, Arrival> {
  return {
    name: 'protection',
    ask(arrival, _batch, next) {
      next(arrival)
    },
    process(arrival, batch, next) {
      const { event, record } = arrival
      const change = readProtection(event)
      if (change !== undefined) {
        const { userId, eventId, ts } = event
        const at = Math.max(ts, batch.time.watermark ?? ts)
        const { timestamp } = record
        toGates(batch, { kind: 'protection', userId, eventId, ts, at, timestamp, change }, OUTPUTS_OF_PROTECTION)
      }
      next(arrival)
    },
  }
}
