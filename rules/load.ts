import type { RuleProblem } from './problem.ts'
import { readRule, type RuleSource } from './rule-file.ts'
import type { RuleFile } from './yaml-source.ts'

export type Loaded =
  | { readonly ok: true; readonly rules: readonly RuleSource[] }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/**
 * Reads a whole directory of rule files: all rules, or all problems. The rules come in the order of the files. Two files
 * with the same rule id and version are a problem.
 */
export function loadRules(files: readonly RuleFile[]): Loaded {
  const rules: RuleSource[] = []
  const problems: RuleProblem[] = []
  const seen = new Map<string, string>()
  for (const file of files) {
    const reading = readRule(file)
    if (!reading.ok) {
      problems.push(...reading.problems)
      continue
    }
    const { ruleId, version } = reading.rule.rule
    const key = versionKey(ruleId, version)
    const other = seen.get(key)
    if (other === undefined) seen.set(key, file.file)
    else problems.push(duplicate(reading.rule, other))
    rules.push(reading.rule)
  }
  return problems.length === 0 ? { ok: true, rules } : { ok: false, problems }
}

/** Names one version of one rule; neither part can hold a blank. */
export function versionKey(ruleId: string, version: string): string {
  return `${ruleId} ${version}`
}

function duplicate({ file, rule }: RuleSource, other: string): RuleProblem {
  return {
    code: 'ONCEWARD_E_RULE_DUPLICATE',
    file,
    line: 1,
    column: 1,
    message: `rule ${rule.ruleId} version ${rule.version} stands in ${other} too`,
    hint: 'remove one of the two, or raise meta.version in the newer one',
    snippet: '',
  }
}
