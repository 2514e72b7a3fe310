import type { Context } from '../command.ts'
import { EXIT } from '../report.ts'
import { OncewardError } from '../../core/errors.ts'
import { type OwnSchemas, ownSchemas, planSubjects, type SchemaSettings, withRegistry } from './own-schemas.ts'
import { comparedSchemas, compareSchemas, type Finding, findingText, type SubjectPlan } from './plan.ts'

export interface CheckSettings extends SchemaSettings {
  readonly against: string | undefined
  readonly json: boolean
}

/** Whether events that were written by older schemas can be read by those of this build; answers the exit code. */
export async function checkSchemas(context: Context<CheckSettings>): Promise<number> {
  const { settings, terminal } = context
  const own = await ownSchemas(settings.schemas)
  const { against } = settings
  const { findings, summary } =
    against === undefined ? await againstRegistry(context, own) : await againstFolder(settings, own, against)
  if (settings.json) {
    await terminal.print(`${JSON.stringify({ compatible: findings.length === 0, findings })}\n`)
  } else {
    await terminal.print(findings.map((finding) => `${findingText(finding)}\n`).join(''))
    terminal.note(
      findings.length === 0 ? summary : `${countOf(findings)}; mend it, or raise the major version of the event`,
    )
  }
  return findings.length === 0 ? EXIT.fine : EXIT.failed
}

interface Checked {
  readonly findings: readonly Finding[]
  readonly summary: string
}

async function againstRegistry(context: Context<CheckSettings>, own: OwnSchemas): Promise<Checked> {
  const plans = await withRegistry(context, (registry) => planSubjects(registry, own, context.settings.prefix))
  return { findings: findingsIn(plans), summary: `${summaryOf(plans)}: events of all registered versions can be read` }
}

async function againstFolder(settings: CheckSettings, own: OwnSchemas, dir: string): Promise<Checked> {
  if (settings.registry !== undefined || settings.registryDir !== undefined) {
    throw new OncewardError('ONCEWARD_E_USAGE', 'compare with one thing: --against DIR, or a schema registry')
  }
  const older = await ownSchemas(dir)
  const findings = compareSchemas(
    comparedSchemas('this build', own.schemas, own.records),
    comparedSchemas(dir, older.schemas, older.records),
  )
  return { findings, summary: `${own.records.length} schemas can read what those of ${dir} have written` }
}

export function findingsIn(plans: readonly SubjectPlan[]): readonly Finding[] {
  return plans.flatMap((plan) => (plan.kind === 'refused' ? plan.findings : []))
}

function summaryOf(plans: readonly SubjectPlan[]): string {
  const count = (kind: SubjectPlan['kind']): number => plans.filter((plan) => plan.kind === kind).length
  return `${plans.length} schemas, of which ${count('unchanged')} are registered as they are, ${count('next')} would be a new version and ${count('first')} a new subject`
}

export function countOf(findings: readonly Finding[]): string {
  return findings.length === 1 ? 'one change is incompatible' : `${findings.length} changes are incompatible`
}
