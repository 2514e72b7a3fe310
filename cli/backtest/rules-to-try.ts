import type { RuleSet, RuleVersion } from '../../rules/compiled.ts'
import { type ControlEntry, foldControl, planPublication, recordsOf } from '../../rules/control.ts'
import type { RuleSource } from '../../rules/rule-file.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import type { Segments } from '../../rules/segment.ts'
import { problemsError } from '../load-rules.ts'
import type { RulesToTry } from './job.ts'

/** What a control topic would say that had nothing before: as `onceward run` and a new installation take a folder. */
export function entriesOf(rules: readonly RuleSource[], nowMs: number): readonly ControlEntry[] {
  const plan = planPublication(foldControl([]), rules, { nowMs })
  if (plan.refused.length > 0) throw problemsError(plan.refused)
  return recordsOf(plan).map(({ key, value }) => ({ value, place: key }))
}

/** What is said of the rules with `ids`, and of segments. */
export function entriesAbout(entries: readonly ControlEntry[], ids: readonly string[]): readonly ControlEntry[] {
  return entries.filter(({ value }) => {
    const ruleId = ruleIdOf(value)
    return ruleId === undefined || ids.includes(ruleId)
  })
}

/** Undefined where a record says nothing of a rule; records that are no JSON are left to foldControl. */
function ruleIdOf(value: ControlEntry['value']): string | undefined {
  try {
    const record = JSON.parse(value?.toString() ?? 'null') as { readonly rule_id?: unknown } | null
    return typeof record?.rule_id === 'string' ? record.rule_id : undefined
  } catch {
    return undefined
  }
}

export interface CompiledRules {
  readonly set: RuleSet
  readonly segments: Segments
}

export function compile({ entries, always }: RulesToTry): CompiledRules {
  const { set, segments } = foldControl(entries)
  return { set: always ? ruleSetOf(newest(set.versions), [], set.policy) : set, segments: segments.segments }
}

/** The version of each rule that was published last, in effect since ever. */
function newest(versions: readonly RuleVersion[]): readonly RuleVersion[] {
  const last = new Map(versions.map(({ rule }) => [rule.ruleId, rule]))
  return [...last.values()].map((rule) => ({ rule, effectiveFrom: undefined }))
}
