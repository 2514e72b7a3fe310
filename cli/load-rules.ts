import { OncewardError } from '../core/errors.ts'
import { readRuleFiles } from '../connectors/files/rule-files.ts'
import { loadRules } from '../rules/load.ts'
import { formatProblem, type RuleProblem } from '../rules/problem.ts'
import type { RuleSource } from '../rules/rule-file.ts'

/** The rules of a directory. Throws with all problems at once, each with its place, or where there is no rule at all. */
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
  return loaded.rules
}

/** One error for all problems; its code is the first one's. */
export function problemsError(problems: readonly RuleProblem[]): OncewardError {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  const code = problems[0]?.code ?? 'ONCEWARD_E_INTERNAL'
  return new OncewardError(code, `${count} in the rules:\n${problems.map(formatProblem).join('\n')}`)
}
