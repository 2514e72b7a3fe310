import type { PlayerEvent } from '../../core/model/event.ts'
import type { CompiledRule, RuleSet } from '../../rules/compiled.ts'

/** What the rules in effect at an event's own time make of it where it comes late. */
export interface Prospects {
  /** Ids of the rules that score it. */
  readonly score: readonly string[]
  /** Those that look at events of its name and will not, each with why. */
  readonly not: readonly { readonly rule: string; readonly why: string }[]
}

/**
 * A late event is scored by the rules whose totals do not depend on order. One that asks for order, or that looks at recent
 * events, has judged later ones already: it cannot take back what it said of them.
 */
export function prospectsOf(event: PlayerEvent, rules: RuleSet): Prospects {
  const score: string[] = []
  const not = new Map<string, string>()
  // A rule stands there once for each part of the players; at most one part matches.
  for (const rule of rules.at(event.eventName, event.ts)) {
    const why = whyNot(rule, event)
    if (why === undefined) score.push(rule.ruleId)
    else if (!not.has(rule.ruleId)) not.set(rule.ruleId, why)
  }
  return {
    score: [...new Set(score)],
    not: [...not].filter(([rule]) => !score.includes(rule)).map(([rule, why]) => ({ rule, why })),
  }
}

function whyNot(rule: CompiledRule, event: PlayerEvent): string | undefined {
  if (rule.windows !== undefined) return 'it looks at recent events, and those after this one have been judged already'
  if (rule.ordering === 'strict') return 'it takes events in the order of their time, and later ones have been judged already'
  return rule.matches(event) ? undefined : 'its filters do not hold'
}

export function prospectsText({ score, not }: Prospects): string[] {
  return [
    ...(score.length === 0 ? [] : [`scored by ${score.join(', ')}`]),
    ...not.map(({ rule, why }) => `not scored by ${rule}: ${why}`),
  ]
}
