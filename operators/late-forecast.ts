import type { PlayerEvent } from '../core/model/event.ts'
import type { LateReason } from '../core/model/score.ts'
import type { CompiledRule, RuleSet } from '../rules/compiled.ts'
import { REORDER_WINDOW_MS } from './event-time.ts'
import { strictDetail } from './late.ts'

/** What a rule that matches the event makes of it. `detail`: a sentence without its full stop. */
export interface RuleForecast {
  readonly ruleId: string
  readonly version: string
  /** `may_score`: only the partition can tell; the detail says of what. */
  readonly outcome: 'scores' | 'may_score' | LateReason
  readonly detail: string
  /** What its formula gives, before caps; absent: it gives no number, or none without the player's recent events. */
  readonly points?: number
}

/**
 * What a partition will make of an event that was dead-lettered as late, once it is sent again. `in_time`: by that watermark it
 * is not late. `too_old`: it will be dead-lettered once more, and no rule sees it. In the order in which rules are judged.
 */
export interface LateForecast {
  readonly event: 'in_time' | 'late' | 'too_old'
  readonly rules: readonly RuleForecast[]
}

export interface ForecastFacts {
  /** Of the event's partition, ms; absent: not known. It is late then, and not too old. */
  readonly watermark?: number
  /** As the workers have them, ms. */
  readonly reorderWindowMs?: number
  readonly dedupeWindowMs: number
}

/**
 * What sending a late event again will bring, for whoever decides about it. Pure; it knows the rules and not the player, so
 * nothing of caps that are used up, of a repeat that was scored meanwhile, and of what a state that is new has never known.
 */
export function forecastLate(event: PlayerEvent, rules: RuleSet, facts: ForecastFacts): LateForecast {
  const { watermark, dedupeWindowMs, reorderWindowMs = REORDER_WINDOW_MS } = facts
  if (watermark !== undefined && event.ts >= watermark - reorderWindowMs) {
    return {
      event: 'in_time',
      rules: matching(event, rules).map((rule) => forecastOf(rule, event, scoresInTime(rule))),
    }
  }
  if (watermark !== undefined && event.ts < watermark - dedupeWindowMs) return { event: 'too_old', rules: [] }
  return { event: 'late', rules: matching(event, rules).map((rule) => forecastOf(rule, event, scoresLate(rule))) }
}

type Outcome = Pick<RuleForecast, 'outcome' | 'detail'>

function forecastOf(rule: CompiledRule, event: PlayerEvent, outcome: Outcome): RuleForecast {
  const formula = rule.windows === undefined ? rule.points(event) : undefined
  const points = formula?.ok === true ? { points: formula.points } : {}
  return { ruleId: rule.ruleId, version: rule.version, ...outcome, ...points }
}

function scoresInTime({ windows }: CompiledRule): Outcome {
  if (windows === undefined) return { outcome: 'scores', detail: 'the event is in time' }
  return { outcome: 'may_score', detail: 'the event is in time; the rule looks at recent events, and may not match' }
}

function scoresLate(rule: CompiledRule): Outcome {
  if (rule.ordering === 'strict') return { outcome: 'late_strict', detail: strictDetail(rule) }
  const { perMinute } = rule.caps
  if (perMinute === undefined) return { outcome: 'scores', detail: 'its totals do not depend on the order of events' }
  const detail = `it scores, unless so much was given in some minute of that hour that its cap of ${perMinute} points a minute may be exceeded`
  return { outcome: 'may_score', detail }
}

/** Those of both lanes, one of each exclusive group; where recent events decide, all that may match. */
function matching(event: PlayerEvent, rules: RuleSet): CompiledRule[] {
  const taken = new Set<string>()
  return rules.candidates(event).filter((rule) => {
    const { exclusiveGroup: group, windows } = rule
    if (group !== undefined && taken.has(group)) return false
    if (windows !== undefined) return rule.mayMatch?.(event) ?? true
    const matches = rule.matches(event)
    if (matches && group !== undefined) taken.add(group)
    return matches
  })
}
