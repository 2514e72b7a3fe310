import type { CompiledRule, RuleSet, RuleVersion } from './compiled.ts'
import { RuleIndex } from './rule-index.ts'
import { windowIndexOf } from './window-index.ts'

const NO_RULES: readonly CompiledRule[] = Object.freeze([])

/**
 * The rules in effect, by event name and event time. `versions` come in the order of publication; of two versions that
 * take effect at the same instant the later published one counts.
 */
export function ruleSetOf(versions: readonly RuleVersion[]): RuleSet {
  const byRule = new Map<string, RuleVersion[]>()
  for (const version of versions) {
    const published = byRule.get(version.rule.ruleId)
    if (published === undefined) byRule.set(version.rule.ruleId, [version])
    else published.push(version)
  }
  const timelines = [...byRule.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, published]) => inTime(published))
  const names = new Set(versions.flatMap(({ rule }) => rule.eventNames))
  const index = new Map([...names].map((name) => [name, new EventIndex(name, timelines)] as const))
  const windows = windowIndexOf(timelines)
  return {
    at: (eventName, ts) => index.get(eventName)?.at(ts).rules ?? NO_RULES,
    candidates: (event) => index.get(event.eventName)?.at(event.ts).candidates(event) ?? NO_RULES,
    hasStrict: (eventName) => index.get(eventName)?.strict === true || windows.counts(eventName),
    windows,
    versions,
  }
}

/** The versions of one rule, by the instant from which they are in effect; the sort is stable. */
type Timeline = readonly RuleVersion[]

function inTime(published: readonly RuleVersion[]): Timeline {
  return published.toSorted((a, b) => compareInstants(startOf(a), startOf(b)))
}

function startOf({ effectiveFrom }: RuleVersion): number {
  return effectiveFrom ?? -Infinity
}

/** Not a - b, which is NaN for two that are in effect since ever. */
function compareInstants(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1
}

/**
 * The rules that look at one event name. Between two instants at which some version takes effect they are the same,
 * indexed when they are first asked for.
 */
class EventIndex {
  readonly strict: boolean
  readonly #name: string
  readonly #timelines: readonly Timeline[]
  /** Ascending; interval i lies between #starts[i - 1] and #starts[i]. */
  readonly #starts: readonly number[]
  readonly #intervals: (RuleIndex | undefined)[]
  #last = 0

  constructor(name: string, timelines: readonly Timeline[]) {
    this.#name = name
    const looksAt = ({ rule }: RuleVersion): boolean => rule.eventNames.includes(name)
    this.#timelines = timelines.filter((timeline) => timeline.some(looksAt))
    this.strict = this.#timelines.some((timeline) => timeline.some((v) => looksAt(v) && v.rule.ordering === 'strict'))
    const starts = new Set(this.#timelines.flat().map(startOf))
    starts.delete(-Infinity)
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
    const inEffect = this.#timelines.flatMap((timeline) => {
      const newest = timeline.findLast((version) => startOf(version) <= instant)
      return newest?.rule.eventNames.includes(this.#name) === true ? [newest.rule] : []
    })
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
