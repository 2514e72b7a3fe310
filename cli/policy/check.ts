import { readRuleFiles } from '../../connectors/files/rule-files.ts'
import { OncewardError } from '../../core/errors.ts'
import { loadPolicies } from '../../rules/load.ts'
import { isPolicyFile, type PolicySource } from '../../rules/policy-file.ts'
import { formatProblem } from '../../rules/problem.ts'
import type { RuleFile } from '../../rules/yaml-source.ts'
import type { Context } from '../command.ts'
import { problemsError } from '../load-rules.ts'
import { EXIT } from '../report.ts'

interface CheckSettings {
  readonly path: string
}

/** Tells all that is wrong with a policy file, or with those of a folder. Answers the exit code. */
export async function checkPolicies({ settings, terminal }: Context<CheckSettings>): Promise<number> {
  const { policies, problems } = loadPolicies(await policyFilesIn(settings.path))
  const told = problems.map((problem) => `${formatProblem(problem)}\n\n`)
  const fine = policies.map((source) => `${source.file}: ${summaryOf(source)}\n`)
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  await terminal.print([...told, ...fine, ...(problems.length === 0 ? [] : [`${count}\n`])].join(''))
  return problems.length === 0 ? EXIT.fine : EXIT.failed
}

/** The versions of the policy in a file or folder. Throws with all problems at once, each with its place. */
export async function loadPoliciesFrom(path: string): Promise<readonly PolicySource[]> {
  const { policies, problems } = loadPolicies(await policyFilesIn(path))
  if (problems.length > 0) throw problemsError(problems)
  return policies
}

/** One file that is named is a policy, whatever it begins with: then its problems say what is missing. */
async function policyFilesIn(path: string): Promise<readonly RuleFile[]> {
  const files = await readRuleFiles(path)
  const found = files.length === 1 && files[0]?.file === path ? files : files.filter(isPolicyFile)
  if (found.length > 0) return found
  throw new OncewardError(
    'ONCEWARD_E_FILE_UNREADABLE',
    `there is no policy in ${path}; a policy is a file named *.yaml or *.yml that begins with policy: …`,
  )
}

function summaryOf({ name, policy }: PolicySource): string {
  const { pools, catalogue, rates } = policy
  const parts = [counted(pools.size, 'pool'), counted(catalogue.length, 'unit cost'), counted(rates.length, 'rate')]
  return `policy ${name} ${policy.version}: ${parts.join(', ')}, nothing to find`
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
