import { NO_POLICIES, type PolicyTimeline } from '../core/model/policy.ts'
import type { CompiledRule, RuleSet, RuleSwitch, RuleVersion } from './compiled.ts'
import { RuleIndex } from './rule-index.ts'
import { RuleTimeline } from './rule-timeline.ts'
import { windowIndexOf } from './window-index.ts'

const NO_RULES: readonly CompiledRule[] = Object.freeze([])

/**
 * The rules in effect, by event name and event time. `versions` and `switches` come in the order of publication; of two
 * that take effect at the same instant the later published one counts.
 */
export function ruleSetOf(
  versions: readonly RuleVersion[],
  switches: readonly RuleSwitch[] = [],
  policy: PolicyTimeline = NO_POLICIES,
): RuleSet {
  const timelines = timelinesOf(versions, switches)
  const names = new Set(versions.flatMap(({ rule }) => rule.eventNames))
  const index = new Map([...names].map((name) => [name, new EventIndex(name, [...timelines.values()])] as const))
  const windows = windowIndexOf([...timelines.values()].flatMap((timeline) => timeline.presences()))
  return {
    at: (eventName, ts) => index.get(eventName)?.at(ts).rules ?? NO_RULES,
    candidates: (event) => index.get(event.eventName)?.at(event.ts).candidates(event) ?? NO_RULES,
    hasStrict: (eventName) => index.get(eventName)?.strict === true || windows.counts(eventName),
    windows,
    policy,
    versions,
  }
}

/** By rule id, in the order of the ids. */
export function timelinesOf(
  versions: readonly RuleVersion[],
  switches: readonly RuleSwitch[],
): ReadonlyMap<string, RuleTimeline> {
  const versionsById = grouped(versions, ({ rule }) => rule.ruleId)
  const switchesById = grouped(switches, ({ ruleId }) => ruleId)
  const ids = [...versionsById.keys()].sort()
  return new Map(ids.map((id) => [id, new RuleTimeline(versionsById.get(id) ?? [], switchesById.get(id) ?? [])]))
}

function grouped<T>(items: readonly T[], idOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(idOf(item))
    if (group === undefined) groups.set(idOf(item), [item])
    else group.push(item)
  }
  return groups
}

/**
 * The rules that look at one event name. Between two instants at which something takes effect they are the same,
 * indexed when they are first asked for.
 */
class EventIndex {
  readonly strict: boolean
  readonly #name: string
  readonly #timelines: readonly RuleTimeline[]
  /** Ascending; interval i lies between #starts[i - 1] and #starts[i]. */
  readonly #starts: readonly number[]
  readonly #intervals: (RuleIndex | undefined)[]
  #last = 0

  constructor(name: string, timelines: readonly RuleTimeline[]) {
    this.#name = name
    const looksAt = ({ rule }: RuleVersion): boolean => rule.eventNames.includes(name)
    this.#timelines = timelines.filter(({ versions }) => versions.some(looksAt))
    this.strict = this.#timelines.some(({ versions }) =>
      versions.some((version) => looksAt(version) && version.rule.ordering === 'strict'),
    )
    const starts = new Set(this.#timelines.flatMap(({ instants }) => instants))
    this.#starts = [...starts].sort((a, b) => a - b)
    this.#intervals = Array.from({ length: this.#starts.length + 1 }, () => undefined)
  }

  at(ts: number): RuleIndex {
    if (this.#starts.length > 0 && !this.#isIn(this.#last, ts)) this.#last = this.#find(ts)
    return (this.#intervals[this.#last] ??= this.#rules(this.#last))
  }

  #isIn(interval: number, ts: number): boolean {
    return ts >= (this.#starts[interval - 1] ?? -Infinity) && ts < (this.#starts[interval] ?? Infinity)
  }

  #find(ts: number): number {
    let low = 0
    let high = this.#starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#starts[middle] ?? Infinity) <= ts) low = middle + 1
      else high = middle
    }
    return low
  }

  #rules(interval: number): RuleIndex {
    const instant = this.#starts[interval - 1] ?? -Infinity
    const inEffect = this.#timelines.flatMap((timeline) => timeline.rulesAt(this.#name, instant))
    return new RuleIndex(inOrder(inOneLane(inEffect)))
  }
}

/** By priority, the greatest first, then by rule id. */
function inOrder(rules: readonly CompiledRule[]): readonly CompiledRule[] {
  return rules.toSorted(
    (a, b) => (b.priority ?? 0) - (a.priority ?? 0) || (a.ruleId < b.ruleId ? -1 : Number(a.ruleId > b.ruleId)),
  )
}

/**
 * Which rule of an exclusive group is the first that matches is known only once all of them can be judged: where one of
 * them is of the strict lane, all are.
 */
function inOneLane(rules: readonly CompiledRule[]): readonly CompiledRule[] {
  const strict = new Set(rules.filter(({ ordering }) => ordering === 'strict').map((rule) => rule.exclusiveGroup))
  strict.delete(undefined)
  return rules.map((rule) => (strict.has(rule.exclusiveGroup) ? { ...rule, ordering: 'strict' } : rule))
}
