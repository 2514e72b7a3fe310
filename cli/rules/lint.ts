import { readRuleFiles } from '../../connectors/files/rule-files.ts'
import { loadSchemas } from '../../connectors/files/schemas.ts'
import { OncewardError } from '../../core/errors.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { fieldsOfSchemas } from '../../operators/schema-fields.ts'
import type { KnownPools } from '../../rules/guardrail-lint.ts'
import { lintRules } from '../../rules/lint.ts'
import { readPolicy } from '../../rules/policy-file.ts'
import type { Context } from '../command.ts'
import { problemsError } from '../load-rules.ts'
import { EXIT } from '../report.ts'
import { LINT_FORMATS, lintText, severitiesOf } from './lint-report.ts'

interface LintSettings {
  readonly dir: string
  readonly format: string
  readonly pools: readonly string[] | undefined
  readonly schemas: string | undefined
}

/** Answers the exit code: warnings alone are fine. */
export async function lintFolder({ settings, terminal }: Context<LintSettings>): Promise<number> {
  const { dir } = settings
  const known = await poolsOf(settings.pools)
  const files = await readRuleFiles(dir)
  if (files.length === 0) {
    throw new OncewardError(
      'ONCEWARD_E_FILE_UNREADABLE',
      `there are no rules in ${dir}; rules are files named *.yaml or *.yml`,
    )
  }
  const catalog = fieldsOfSchemas(parseSchemas(await loadSchemas(settings.schemas)))
  const report = lintRules(files, { catalog, ...known })
  const format = LINT_FORMATS.find((known) => known === settings.format) ?? 'text'
  await terminal.print(lintText(report, format))
  return severitiesOf(report).errors > 0 ? EXIT.failed : EXIT.fine
}

/** Names of pools as they stand, and policy files, told apart by how they end. Throws where a policy cannot be read. */
async function poolsOf(given: readonly string[] | undefined): Promise<KnownPools> {
  if (given === undefined) return {}
  const paths = given.filter((each) => /\.ya?ml$/i.test(each))
  const files = await Promise.all(paths.map((path) => readRuleFiles(path)))
  const policies = files.flat().map((file) => {
    const reading = readPolicy(file)
    if (!reading.ok) throw problemsError(reading.problems)
    return reading.policy.policy
  })
  const pools = given.filter((each) => !paths.includes(each))
  return { pools, ...(policies.length === 0 ? {} : { policies }) }
}
