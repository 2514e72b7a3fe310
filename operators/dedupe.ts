import { countsLate } from './late.ts'
import type { Arrival, Operator } from './operator.ts'

/**
 * Drops events that were seen before, even where they are late. A late one is not remembered: the order of checks is
 * seen, then late, and a rejected event is not remembered as seen (SPEC S19). One that counts although it is late is, under
 * its own time: so it counts once, however often it is sent again.
 */
export function createDedupe(): Operator<Arrival, Arrival> {
  return {
    name: 'dedupe',
    ask(arrival, batch, next) {
      batch.state.askSeen(arrival.idHash)
      next(arrival)
    },
    process(arrival, batch, next) {
      const { state, time, output } = batch
      if (state.isRemembered(arrival.idHash, time.watermark ?? arrival.event.ts)) {
        output.counts.duplicates++
        return
      }
      const { event, history } = arrival
      if (!time.isLate(event.ts) || countsLate(event.ts, history, time)) state.remember(arrival.idHash, event.ts)
      next(arrival)
    },
  }
}
