import { loadSchemas } from '../../connectors/files/schemas.ts'
import { OncewardError } from '../../core/errors.ts'
import type { SchemaRegistry, SubjectVersion } from '../../core/ports/registry.ts'
import { topicNames } from '../../core/topics.ts'
import { type EventRecord, eventRecords, subjectOf } from '../../operators/event-record.ts'
import { type EventSchemas, parseSchemas } from '../../operators/event-schema.ts'
import type { Context } from '../command.ts'
import { closing } from '../runtime.ts'
import { planSubject, type SubjectPlan } from './plan.ts'
import { openRegistry, type RegistrySettings } from './registry.ts'

export interface SchemaSettings extends RegistrySettings {
  readonly schemas: string | undefined
  readonly prefix: string | undefined
}

export interface OwnSchemas {
  readonly schemas: EventSchemas
  readonly records: readonly EventRecord[]
}

/** The schemas that come with Onceward and those of `dir`. */
export async function ownSchemas(dir: string | undefined): Promise<OwnSchemas> {
  const schemas = parseSchemas(await loadSchemas(dir))
  return { schemas, records: eventRecords(schemas) }
}

/** Opens the registry, which must be named, and closes it after `use`. */
export async function withRegistry<T>(
  context: Context<SchemaSettings>,
  use: (registry: SchemaRegistry) => Promise<T>,
  options: Partial<Pick<Parameters<typeof openRegistry>[1], 'missing'>> = {},
): Promise<T> {
  const { settings, clock, signal } = context
  const registry = await openRegistry(settings, { clock, ...options })
  if (registry === undefined) {
    throw new OncewardError(
      'ONCEWARD_E_USAGE',
      'name the schema registry: --registry URL, or --registry-dir DIR for one in a folder',
    )
  }
  // Calls under way end with it.
  const stop = (): void => void registry.close().catch(() => undefined)
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await closing(registry, () => use(registry))
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** What is to be done with each event's schema. */
export async function planSubjects(
  registry: SchemaRegistry,
  { schemas, records }: OwnSchemas,
  prefix: string | undefined,
): Promise<readonly SubjectPlan[]> {
  const { events } = topicNames(prefix)
  const plans: SubjectPlan[] = []
  for (const record of records) {
    const known = await versionsOf(registry, subjectOf(events, record))
    plans.push(planSubject(record, { events, envelopeFile: schemas.envelopeSource.file, known }))
  }
  return plans
}

/** All versions of a subject, ascending. */
export async function versionsOf(registry: SchemaRegistry, subject: string): Promise<readonly SubjectVersion[]> {
  const found: SubjectVersion[] = []
  for (const version of await registry.versions(subject)) {
    const each = await registry.version(subject, version)
    if (each !== undefined) found.push(each)
  }
  return found
}
