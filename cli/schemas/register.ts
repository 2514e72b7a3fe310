import { OncewardError } from '../../core/errors.ts'
import type { SchemaRegistry, SubjectVersion } from '../../core/ports/registry.ts'
import type { Context } from '../command.ts'
import { textTable } from '../text-table.ts'
import { countOf, findingsIn } from './check.ts'
import { ownSchemas, planSubjects, type SchemaSettings, withRegistry } from './own-schemas.ts'
import { findingText, REMEDY, type SubjectPlan } from './plan.ts'

export interface RegisterSettings extends SchemaSettings {
  readonly yes: boolean
  readonly json: boolean
}

/** What a subject's new versions must be able to read, where nobody has said otherwise. */
const LEVEL = 'BACKWARD_TRANSITIVE'

interface Line {
  readonly subject: string
  readonly event_version: string
  readonly outcome: 'registered' | 'unchanged' | 'to be registered'
  readonly version: number | null
  readonly id: number | null
}

/** Registers the schemas of this build, all of them or none that is refused. Without --yes it says what it would do. */
export async function registerSchemas(context: Context<RegisterSettings>): Promise<void> {
  const { settings, terminal } = context
  const own = await ownSchemas(settings.schemas)
  const lines = await withRegistry(
    context,
    async (registry) => {
      const plans = await planSubjects(registry, own, settings.prefix)
      const findings = findingsIn(plans)
      if (findings.length > 0) {
        const text = findings.map((finding) => `  - ${findingText(finding)}`).join('\n')
        throw new OncewardError('ONCEWARD_E_SCHEMA_INCOMPATIBLE', `${countOf(findings)}:\n${text}\n${REMEDY}`)
      }
      const done: Line[] = []
      for (const plan of plans) done.push(settings.yes ? await carryOut(registry, plan) : wouldBe(plan))
      return done
    },
    { missing: settings.yes ? 'make' : 'empty' },
  )
  await terminal.print(settings.json ? `${JSON.stringify({ schemas: lines })}\n` : table(lines))
  const fresh = lines.filter(({ outcome }) => outcome !== 'unchanged').length
  if (fresh === 0) terminal.note('everything is registered already')
  else if (!settings.yes) terminal.note(`${fresh} would be registered; do it with --yes`)
}

async function carryOut(registry: SchemaRegistry, plan: SubjectPlan): Promise<Line> {
  if (plan.kind === 'unchanged') return lineOf(plan, 'unchanged', plan.at)
  const at = await registry.register(plan.subject, plan.record.text)
  if (plan.kind === 'first') {
    // Some registries give the level of all as that of a subject that has none.
    const level = await registry.compatibility(plan.subject)
    if (level === undefined || level === 'NONE') await registry.setCompatibility(plan.subject, LEVEL)
  }
  return lineOf(plan, 'registered', at)
}

function wouldBe(plan: SubjectPlan): Line {
  if (plan.kind === 'unchanged') return lineOf(plan, 'unchanged', plan.at)
  const line = lineOf(plan, 'to be registered', undefined)
  return { ...line, version: plan.kind === 'next' ? plan.after + 1 : 1 }
}

function lineOf({ subject, record }: SubjectPlan, outcome: Line['outcome'], at: SubjectVersion | undefined): Line {
  return { subject, event_version: record.payload.version, outcome, version: at?.version ?? null, id: at?.id ?? null }
}

function table(lines: readonly Line[]): string {
  const rows = lines.map(({ subject, event_version, version, id, outcome }) => [
    subject,
    event_version,
    version === null ? '-' : String(version),
    id === null ? '-' : String(id),
    outcome,
  ])
  return textTable([['SUBJECT', 'EVENT VERSION', 'VERSION', 'ID', ''], ...rows], 'texts')
}
