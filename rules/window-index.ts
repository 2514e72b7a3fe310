import type { RuleVersion } from './compiled.ts'
import type { WindowSpec } from './window-spec.ts'

/** A window that some rule version has in use. */
export interface ActiveWindow {
  readonly spec: WindowSpec
  /** The event time from which on it has been in use without a break; nothing from before counts. */
  readonly since: number
}

/** The windows in use at some event time. */
export interface WindowsInUse {
  readonly byId: ReadonlyMap<string, ActiveWindow>
  readonly byEvent: ReadonlyMap<string, readonly ActiveWindow[]>
}

/** Which windows count events, by event time. Immutable. */
export interface WindowIndex {
  /** True where some window of some version, whenever it is in effect, counts events of this name. */
  counts(eventName: string): boolean
  at(ts: number): WindowsInUse
}

interface Interval {
  from: number
  /** Exclusive. */
  until: number
}

const NONE: WindowsInUse = { byId: new Map(), byEvent: new Map() }

/** A rule set that looks at single events only. */
export const NO_WINDOWS: WindowIndex = { counts: () => false, at: () => NONE }

/**
 * `timelines` are the versions of each rule, by the instant from which they are in effect. A window counts from the
 * first instant at which a version that asks for it counts, until no version that asks for it is in effect any more.
 * It is a matter of event time alone: when a worker came to know a version makes no difference.
 */
export function windowIndexOf(timelines: readonly (readonly RuleVersion[])[]): WindowIndex {
  const specs = new Map<string, WindowSpec>()
  const intervals = new Map<string, Interval[]>()
  for (const timeline of timelines) {
    for (const [i, version] of timeline.entries()) {
      const interval = intervalOf(version, timeline[i + 1])
      if (interval === undefined) continue
      for (const spec of version.rule.windows ?? []) {
        specs.set(spec.id, spec)
        intervals.set(spec.id, [...(intervals.get(spec.id) ?? []), { ...interval }])
      }
    }
  }
  if (specs.size === 0) return NO_WINDOWS
  const uses = [...specs.values()].map((spec) => ({ spec, intervals: merged(intervals.get(spec.id) ?? []) }))
  const names = new Set(uses.flatMap(({ spec }) => spec.eventNames))
  const timed = new TimedWindows(uses)
  return { counts: (eventName) => names.has(eventName), at: (ts) => timed.at(ts) }
}

/** From when the version's windows count to when it is replaced; undefined where it never is in effect. */
function intervalOf({ effectiveFrom, countsFrom }: RuleVersion, next: RuleVersion | undefined): Interval | undefined {
  const start = effectiveFrom ?? -Infinity
  const until = next === undefined ? Infinity : (next.effectiveFrom ?? -Infinity)
  return until <= start ? undefined : { from: Math.min(start, countsFrom ?? -Infinity), until }
}

function merged(intervals: readonly Interval[]): readonly Interval[] {
  const found: Interval[] = []
  for (const { from, until } of intervals.toSorted((a, b) => (a.from === b.from ? 0 : a.from < b.from ? -1 : 1))) {
    const last = found.at(-1)
    if (last !== undefined && from <= last.until) last.until = Math.max(last.until, until)
    else found.push({ from, until })
  }
  return found
}

interface Use {
  readonly spec: WindowSpec
  readonly intervals: readonly Interval[]
}

/** Between two instants at which some window begins or ends, what is in use is the same object, made when first asked for. */
class TimedWindows {
  readonly #uses: readonly Use[]
  /** Ascending; span i lies between #instants[i - 1] and #instants[i]. */
  readonly #instants: readonly number[]
  readonly #spans: (WindowsInUse | undefined)[] = []

  constructor(uses: readonly Use[]) {
    this.#uses = uses
    const instants = new Set(uses.flatMap((use) => use.intervals.flatMap(({ from, until }) => [from, until])))
    this.#instants = [...instants].filter(Number.isFinite).sort((a, b) => a - b)
  }

  at(ts: number): WindowsInUse {
    // The newest span is the one that nearly every event falls in.
    let span = this.#instants.length
    while (span > 0 && ts < (this.#instants[span - 1] ?? -Infinity)) span--
    return (this.#spans[span] ??= this.#windows(this.#instants[span - 1] ?? -Infinity))
  }

  #windows(instant: number): WindowsInUse {
    const byId = new Map<string, ActiveWindow>()
    const byEvent = new Map<string, ActiveWindow[]>()
    for (const { spec, intervals } of this.#uses) {
      const interval = intervals.find(({ from, until }) => from <= instant && instant < until)
      if (interval === undefined) continue
      const active = { spec, since: interval.from }
      byId.set(spec.id, active)
      for (const name of spec.eventNames) byEvent.set(name, [...(byEvent.get(name) ?? []), active])
    }
    return { byId, byEvent }
  }
}
