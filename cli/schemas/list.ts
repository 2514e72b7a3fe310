import type { SubjectVersion } from '../../core/ports/registry.ts'
import { topicNames } from '../../core/topics.ts'
import { type EventRecord, subjectOf } from '../../operators/event-record.ts'
import { VERSION_DEFAULT } from '../../operators/event-schema.ts'
import type { Context } from '../command.ts'
import { textTable } from '../text-table.ts'
import { ownSchemas, type SchemaSettings, versionsOf, withRegistry } from './own-schemas.ts'

export interface ListSettings extends SchemaSettings {
  readonly json: boolean
}

/** `current`: the schema that this build has; `older`: read by it; `foreign`: of no event that it knows; `missing`: not registered. */
type Use = 'current' | 'older' | 'foreign' | 'missing'

interface Line {
  readonly subject: string
  readonly version: number | null
  readonly id: number | null
  readonly event_version: string
  readonly use: Use
}

/** The subjects of this installation's events, their versions and ids, and what this build has of them. */
export async function listSchemas(context: Context<ListSettings>): Promise<void> {
  const { settings, terminal } = context
  const { records } = await ownSchemas(settings.schemas)
  const { events } = topicNames(settings.prefix)
  const own = new Map(records.map((record) => [subjectOf(events, record), record]))
  const lines = await withRegistry(context, async (registry) => {
    const registered = (await registry.subjects()).filter((subject) => subject.startsWith(`${events}-`))
    const found: Line[] = []
    for (const subject of registered) {
      const versions = await versionsOf(registry, subject)
      found.push(...versions.map((version) => lineOf(version, own.get(subject))))
    }
    const missing = [...own].filter(([subject]) => !registered.includes(subject))
    return [...found, ...missing.map(([subject, record]) => missingLine(subject, record))]
  })
  if (settings.json) return terminal.print(`${JSON.stringify({ schemas: lines })}\n`)
  const rows = lines.map(({ subject, version, id, event_version, use }) => [
    subject,
    version === null ? '-' : String(version),
    id === null ? '-' : String(id),
    event_version,
    USES[use],
  ])
  await terminal.print(textTable([['SUBJECT', 'VERSION', 'ID', 'EVENT VERSION', 'THIS BUILD'], ...rows], 'texts'))
}

const USES: Readonly<Record<Use, string>> = {
  current: 'in use',
  older: 'read',
  foreign: 'not known to it',
  missing: 'not registered',
}

function lineOf({ subject, version, id, schema }: SubjectVersion, record: EventRecord | undefined): Line {
  const json = JSON.parse(schema) as { readonly version?: unknown }
  const eventVersion = typeof json.version === 'string' ? json.version : VERSION_DEFAULT
  const current = record !== undefined && JSON.stringify(json) === record.text
  const use = record === undefined ? 'foreign' : current ? 'current' : 'older'
  return { subject, version, id, event_version: eventVersion, use }
}

function missingLine(subject: string, { payload }: EventRecord): Line {
  return { subject, version: null, id: null, event_version: payload.version, use: 'missing' }
}
