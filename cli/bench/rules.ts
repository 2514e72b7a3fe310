import type { Clock } from '../../core/clock.ts'
import { DAY_MS } from '../../core/durations.ts'
import type { PlayerEvent } from '../../core/model/event.ts'
import type { Random } from '../../core/random.ts'
import type { CompiledRule } from '../../rules/compiled.ts'
import { loadRules } from '../../rules/load.ts'
import { problemsError } from '../load-rules.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'

export interface RulesBenchOptions {
  readonly clock: Clock
  readonly random: Random
  /** The seed's rule, as its file is. */
  readonly ruleText: string
  /** How many rules look at one event name. */
  readonly rules: number
  /** How long each figure is measured, ms. */
  readonly forMs: number
  readonly onPhase: (phase: string) => void
}

export interface RulesFigures {
  /** Evaluations of the rule in a second: its filters, and its formula where they hold. */
  readonly perSecond: number
  /** Of the events, how many matched it. */
  readonly matched: number
  readonly sets: readonly SetFigures[]
}

export interface SetFigures {
  readonly name: string
  readonly rules: number
  /** What an event costs: finding its rules, their filters and formulas. */
  readonly nsPerEvent: number
}

const EVENTS = 4_096
const ROUNDS = 5
const GEOS = ['TR', 'BR', 'PE', 'DE', 'MX', 'CL', 'AR', 'CO', 'US', 'FR']
const START = Date.parse('2025-10-25T00:00:00Z')

/** Measures on the thread that it is called on; nothing but rules is looked at. */
export class RulesBench {
  readonly #options: RulesBenchOptions
  readonly #events: readonly PlayerEvent[]

  constructor(options: RulesBenchOptions) {
    this.#options = options
    this.#events = Array.from({ length: EVENTS }, (_, i) => bet(i, options.random, options.rules))
  }

  run(): RulesFigures {
    const { ruleText, rules, onPhase } = this.#options
    onPhase('one rule')
    const [rule] = compiled([ruleText])
    if (rule === undefined) throw new TypeError('the bench has a rule')
    const perSecond = 1e9 / this.#measure((event) => evaluate(rule, event))
    const matched = this.#events.filter((event) => rule.matches(event)).length / EVENTS
    const sets = SETS.map(({ name, filter }) => {
      onPhase(name)
      const count = filter === undefined ? 1 : rules
      const texts = Array.from({ length: count }, (_, i) => copyOf(ruleText, i, filter?.(i)))
      return { name, rules: count, nsPerEvent: this.#judging(compiled(texts)) }
    })
    return { perSecond, matched, sets }
  }

  #judging(rules: readonly CompiledRule[]): number {
    const set = ruleSetOf(rules.map((rule) => ({ rule, effectiveFrom: undefined })))
    return this.#measure((event) => {
      let sum = 0
      for (const rule of set.candidates(event)) sum += evaluate(rule, event)
      return sum
    })
  }

  /** ns for one event: of several rounds the fastest, which other work on the machine held up least. */
  #measure(judge: (event: PlayerEvent) => number): number {
    const { forMs } = this.#options
    this.#round(judge, forMs)
    return Math.min(...Array.from({ length: ROUNDS }, () => this.#round(judge, forMs / ROUNDS)))
  }

  #round(judge: (event: PlayerEvent) => number, forMs: number): number {
    const { clock } = this.#options
    const started = clock.monotonic()
    let events = 0
    let points = 0
    let elapsed = 0
    while (elapsed < forMs) {
      for (const event of this.#events) points += judge(event)
      events += EVENTS
      elapsed = clock.monotonic() - started
    }
    // What is added up must count for something, or it would be optimized away.
    return points >= 0 ? (elapsed * 1e6) / events : Number.NaN
  }
}

function evaluate(rule: CompiledRule, event: PlayerEvent): number {
  if (!rule.matches(event)) return 0
  const points = rule.points(event)
  return points.ok ? points.points : 0
}

/** What each copy of the rule asks beside what the rule does; undefined: the rule alone. */
const SETS: readonly { readonly name: string; readonly filter?: (i: number) => string }[] = [
  { name: 'one rule' },
  { name: 'each for a game of its own', filter: (i) => `payload.game_id == "game_${i}"` },
  { name: 'each for one of ten countries', filter: (i) => `user.geo == "${GEOS[i % GEOS.length]}"` },
  { name: 'all for every bet', filter: () => 'payload.bet < 1000' },
]

function copyOf(text: string, i: number, filter: string | undefined): string {
  if (filter === undefined) return text
  // Games and countries instead of the rule's own countries: otherwise these would be what it is looked up by.
  return text
    .replace(/^rule_id: .*$/m, `rule_id: r_bench_${i}`)
    .replace(/^( *- )user\.geo in .*$/m, (_, dash: string) => `${dash}${JSON.stringify(filter)}`)
}

function compiled(texts: readonly string[]): readonly CompiledRule[] {
  const loaded = loadRules(texts.map((text, i) => ({ file: `rule-${i}.yaml`, text })))
  if (!loaded.ok) throw problemsError(loaded.problems)
  return loaded.rules.map(({ rule }) => rule)
}

/** A bet; most of them match the rule. */
function bet(i: number, random: Random, games: number): PlayerEvent {
  const stake = Math.round(random() * 500) / 100
  const ts = START + Math.floor(random() * 40 * DAY_MS)
  const userId = `u_${i}`
  const data = {
    event_id: `e_${i}`,
    event_name: 'bet',
    version: '1.2.0',
    ts: new Date(ts).toISOString(),
    user: { id: userId, geo: GEOS[Math.floor(random() * 4)] ?? 'TR', platform: 'ios' },
    payload: {
      game_id: `game_${Math.floor(random() * games)}`,
      bet: stake,
      win: Math.round(stake * random() * 300) / 100,
      currency: 'EUR',
    },
  }
  return { eventId: data.event_id, eventName: 'bet', userId, ts, data }
}
