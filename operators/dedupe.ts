import type { Arrival, Operator } from './operator.ts'

/**
 * Drops events that were seen before, even where they are late. A late one is not remembered: the order of checks is
 * seen, then late, and a rejected event is not remembered as seen (SPEC S19).
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
      if (!time.isLate(arrival.event.ts)) state.remember(arrival.idHash, arrival.event.ts)
      next(arrival)
    },
  }
}
