import { OncewardError } from '../core/errors.ts'
import { readRuleFiles } from '../connectors/files/rule-files.ts'
import { loadRules } from '../rules/load.ts'
import { formatProblem, type RuleProblem } from '../rules/problem.ts'
import type { RuleSource } from '../rules/rule-file.ts'

/**
 * The rules of a directory, each with the policies that lie there, which are published with it. Throws with all problems at once, each with its place, or where there is no
 * rule at all.
 */
export async function loadRulesFrom(dir: string): Promise<readonly RuleSource[]> {
  const files = await readRuleFiles(dir)
  if (files.length === 0) {
    throw new OncewardError(
      'ONCEWARD_E_FILE_UNREADABLE',
      `there are no rules in ${dir}; rules are files named *.yaml or *.yml`,
    )
  }
  const loaded = loadRules(files)
  if (!loaded.ok) throw problemsError(loaded.problems)
  if (loaded.rules.length === 0 && loaded.policies.length > 0) {
    throw new OncewardError(
      'ONCEWARD_E_FILE_UNREADABLE',
      `there is a policy in ${dir}, but no rule; a policy alone is published with onceward policy publish`,
    )
  }
  return loaded.rules
}

/** One error for all problems; its code is the first one's. */
export function problemsError(problems: readonly RuleProblem[]): OncewardError {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  const code = problems[0]?.code ?? 'ONCEWARD_E_INTERNAL'
  const where = problems.every(({ code: each }) => each.startsWith('ONCEWARD_E_POLICY_')) ? 'the policy' : 'the rules'
  return new OncewardError(code, `${count} in ${where}:\n${problems.map(formatProblem).join('\n')}`)
}
