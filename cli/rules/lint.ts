import { readRuleFiles } from '../../connectors/files/rule-files.ts'
import { loadSchemas } from '../../connectors/files/schemas.ts'
import { OncewardError } from '../../core/errors.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { fieldsOfSchemas } from '../../operators/schema-fields.ts'
import { lintRules } from '../../rules/lint.ts'
import type { Context } from '../command.ts'
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
  const { dir, pools } = settings
  const files = await readRuleFiles(dir)
  if (files.length === 0) {
    throw new OncewardError(
      'ONCEWARD_E_FILE_UNREADABLE',
      `there are no rules in ${dir}; rules are files named *.yaml or *.yml`,
    )
  }
  const catalog = fieldsOfSchemas(parseSchemas(await loadSchemas(settings.schemas)))
  const report = lintRules(files, { catalog, pools })
  const format = LINT_FORMATS.find((known) => known === settings.format) ?? 'text'
  await terminal.print(lintText(report, format))
  return severitiesOf(report).errors > 0 ? EXIT.failed : EXIT.fine
}
