import type { CapName, ScoreRecord } from '../../core/model/score.ts'
import type { PlayerEvent } from '../../core/model/event.ts'
import type { RewardTaskBase } from '../../core/model/reward.ts'
import type { CompiledRule } from '../../rules/compiled.ts'
import { compileCondition, type Condition } from '../../rules/expression.ts'
import { readRuleParts, type RuleSource } from '../../rules/rule-file.ts'
import type { Segments } from '../../rules/segment.ts'
import { looksBack } from '../../rules/window-checker.ts'

interface FilterUse {
  readonly text: string
  /** Undefined: it looks at recent events, and only shows in whether the whole rule matches. */
  readonly holds: Condition | undefined
  held: boolean
  failed: boolean
}

const CAPS = { perBet: 'per_bet', perMinute: 'per_minute', perHour: 'per_hour', perDay: 'per_day' } as const

/** Which filters, caps and thresholds of one rule its tests have exercised. */
export class RuleCoverage {
  readonly #source: RuleSource
  readonly #filters: readonly FilterUse[]
  readonly #cut = new Set<CapName>()
  readonly #crossed = new Set<number>()

  constructor(source: RuleSource, segments: Segments) {
    this.#source = source
    const reading = readRuleParts(source, { segments })
    const filters = reading.ok ? reading.parts.when.filters : []
    const zone = source.rule.timeZone
    this.#filters = filters.map(({ expression, scalar }) => ({
      text: scalar.value.replaceAll(/\s+/g, ' ').trim(),
      holds: looksBack(expression)
        ? undefined
        : compileCondition(expression, true, { zone, text: scalar.value, segments }),
      held: false,
      failed: false,
    }))
  }

  /** The rule, watched; it is asked about every event of its names, not only about those that an index lets through. */
  get watched(): RuleSource {
    return { ...this.#source, rule: this.#watch(this.#source.rule) }
  }

  #watch(rule: CompiledRule): CompiledRule {
    const { equalities: _, arms, ...rest } = rule
    const judge = (whole: boolean, all: boolean, event: PlayerEvent): boolean => {
      const known = this.#filters.every((filter) => filter.holds?.(event) !== false)
      for (const filter of this.#filters) {
        const held = filter.holds?.(event) ?? (whole && known ? all : undefined)
        if (held !== undefined) filter[held ? 'held' : 'failed'] = true
      }
      return all
    }
    return {
      ...rest,
      ...(arms === undefined
        ? {}
        : { arms: { ...arms, variants: arms.variants.map((one) => ({ ...one, rule: this.#watch(one.rule) })) } }),
      matches: (event) => judge(true, rule.matches(event), event),
      ...(rule.mayMatch === undefined
        ? {}
        : { mayMatch: (event: PlayerEvent) => judge(false, rule.mayMatch?.(event) ?? true, event) }),
    }
  }

  /** Takes what came out of one test. */
  add(scores: readonly ScoreRecord[], rewards: readonly RewardTaskBase[]): void {
    const { ruleId } = this.#source.rule
    for (const { rule_id: id, cut_by: cap, withheld } of scores) {
      if (id !== ruleId) continue
      if (cap !== null) this.#cut.add(cap)
      for (const { threshold } of withheld ?? []) this.#crossed.add(threshold)
    }
    for (const { origin } of rewards) if (origin.rule_id === ruleId) this.#crossed.add(origin.threshold)
  }

  /** How much there is to exercise and was, and sentences about what was not. */
  report(): {
    readonly ruleId: string
    readonly done: number
    readonly all: number
    readonly missing: readonly string[]
  } {
    const { rule } = this.#source
    const caps = Object.entries(CAPS).flatMap(([key, name]) =>
      rule.caps[key as keyof typeof CAPS] === undefined ? [] : [name],
    )
    const missing = [
      ...this.#filters.flatMap(({ text, held, failed }) => [
        ...(held ? [] : [`filter never held: ${text}`]),
        ...(failed ? [] : [`filter never failed: ${text}`]),
      ]),
      ...caps.filter((cap) => !this.#cut.has(cap)).map((cap) => `cap never cut: ${cap}`),
      ...(rule.trigger?.thresholds ?? [])
        .filter((threshold) => !this.#crossed.has(threshold))
        .map((threshold) => `threshold never crossed: ${threshold}`),
    ]
    const all = 2 * this.#filters.length + caps.length + (rule.trigger?.thresholds.length ?? 0)
    return { ruleId: rule.ruleId, done: all - missing.length, all, missing }
  }
}
