import type { DlqStep } from '../core/model/dlq.ts'
import type { PlayerEvent } from '../core/model/event.ts'
import { PLAYERS } from '../state/stores.ts'
import { type Arrival, type BatchContext, type Operator, toGates } from './operator.ts'
import { isAboutProtection, protectsAtOnce, readProtection } from './protection-event.ts'

/**
 * Hands what an event says of KYC and responsible gaming to the gates, before any rule has seen the event: a reward that
 * the event itself brings is judged by it. It stands before the checks for repeats and for lateness, too. A late event is
 * dead-lettered as any other, but a self-exclusion must protect however late it comes, and also where somebody has sent another
 * event under its id before: what does not count for points protects all the same. The newest word wins, so that neither an
 * old one does harm, nor one that is heard again.
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
        toGates(batch, { kind: 'protection', userId, eventId, ts, at, timestamp, change }, outputsMax(batch, userId))
      }
      next(arrival)
    },
  }
}

/** What is known of the player changes by the event, and may have by time before it. */
function outputsMax({ state }: BatchContext, userId: string): number {
  return (state.get(PLAYERS, userId)?.frozen.length ?? 0) + 2
}

/** Of an event that lies in the future: announces its player. */
export function askFuture(event: PlayerEvent, { state }: BatchContext): void {
  if (isAboutProtection(event)) state.ask(PLAYERS, event.userId)
}

/**
 * An event from the future was set aside as such before, and is sent again as it was: it was heard when it first came. To hear
 * it once more would make an old word the newest.
 */
export function wasHeard(history: readonly DlqStep[] | undefined): boolean {
  const last = history?.findLastIndex(({ was }) => was === 'future') ?? -1
  return last >= 0 && history?.slice(last).every(({ action }) => action === 'reprocess') === true
}

/**
 * An event from the future is dead-lettered, and its time is not to be believed; but a self-exclusion must protect whatever
 * the sender's clock says. So what protects is taken in as said at the partition's time when it arrived, and a lifting of a
 * later time lifts it. What would set something free is left to whoever looks at the letter.
 */
export function protectFromFuture(event: PlayerEvent, ingestTs: number, batch: BatchContext): void {
  const change = readProtection(event)
  if (change === undefined || !protectsAtOnce(change)) return
  const { userId, eventId } = event
  const at = batch.time.watermark ?? 0
  const about = { userId, eventId, ts: at, at, timestamp: ingestTs }
  toGates(batch, { kind: 'protection', ...about, change }, outputsMax(batch, userId))
}
