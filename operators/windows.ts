import type { PlayerEvent, RecentEvents } from '../core/model/event.ts'
import type { WindowsInUse } from '../rules/window-index.ts'
import { WINDOWS } from '../state/stores.ts'
import type { UserWindows } from '../state/window-state.ts'
import type { BatchContext, Operator, Turn } from './operator.ts'
import { emptyWindow, feedWindow, windowValue } from './window-fold.ts'

/**
 * Remembers what rules ask for of each user's recent events. Only the strict lane is looked at: there events come in one
 * order whatever the order of arrival, so what a window comes to is a function of the set of events. An event is counted
 * before it is judged; what is worked out for it goes with its turn.
 */
export function createWindows(): Operator<Turn, Turn> {
  return {
    name: 'windows',
    ask(turn, batch, next) {
      if (looksBack(turn, batch)) batch.state.ask(WINDOWS, turn.event.userId)
      next(turn)
    },
    process(turn, batch, next) {
      // What comes after its time is not counted: windows are filled in the order of event time.
      if (turn.isLate !== true && looksBack(turn, batch)) turn.windows = count(turn.event, batch)
      next(turn)
    },
  }
}

/** True where a window may count the event or a rule that judges it may look at one. */
function looksBack({ event, lane }: Turn, { rules }: BatchContext): boolean {
  if (lane !== 'strict') return false
  if (rules.windows.at(event.ts).byEvent.has(event.eventName)) return true
  return rules.at(event.eventName, event.ts).some(({ windows }) => windows !== undefined)
}

function count(event: PlayerEvent, { rules, state }: BatchContext): RecentEvents {
  const inUse = rules.windows.at(event.ts)
  const found = state.get(WINDOWS, event.userId) ?? {}
  let changed = forget(found, inUse)
  for (const { spec } of inUse.byEvent.get(event.eventName) ?? []) {
    if (!spec.matches(event)) continue
    feedWindow((found[spec.id] ??= emptyWindow()), spec, event)
    changed = true
  }
  if (changed) {
    if (Object.keys(found).length > 0) state.put(WINDOWS, event.userId, found)
    else state.delete(WINDOWS, event.userId)
  }
  return recentEvents(found, inUse, event)
}

/** Drops what no rule asks for any more, and what is left of a former time in which one did. */
function forget(found: UserWindows, { byId }: WindowsInUse): boolean {
  let changed = false
  for (const [id, { at }] of Object.entries(found)) {
    const active = byId.get(id)
    if (active !== undefined && at >= active.since) continue
    delete found[id]
    changed = true
  }
  return changed
}

/** Each is worked out once, when a rule asks for it: that is before the next event changes the windows. */
function recentEvents(found: UserWindows, { byId }: WindowsInUse, event: PlayerEvent): RecentEvents {
  const known = new Map<string, number>()
  return {
    value: (id) => {
      let value = known.get(id)
      if (value === undefined) {
        const active = byId.get(id)
        value = active === undefined ? Number.NaN : windowValue(found[id], active.spec, event)
        known.set(id, value)
      }
      return value
    },
  }
}
