import type { SubjectVersion } from '../../core/ports/registry.ts'
import { incompatibilities } from '../../operators/compatibility.ts'
import { type EventRecord, subjectOf } from '../../operators/event-record.ts'
import type { EventSchemas } from '../../operators/event-schema.ts'
import type { JsonObject } from '../../core/model/event.ts'

/** Something that the older version of a schema has and the newer one cannot read. */
export interface Finding {
  /** Where it is to be mended. */
  readonly file: string
  /** Empty: the record as a whole. */
  readonly field: string
  /** What is wrong, and what would be right. */
  readonly problem: string
  /** What could not be read any more, such as `version 2 of events.raw-onceward.events.bet_v1`. */
  readonly older: string
}

/** What registering an event's schema comes to. */
export type SubjectPlan = { readonly record: EventRecord; readonly subject: string } & (
  | { readonly kind: 'unchanged'; readonly at: SubjectVersion }
  | { readonly kind: 'first' }
  | { readonly kind: 'next'; readonly after: number }
  | { readonly kind: 'refused'; readonly findings: readonly Finding[] }
)

/**
 * What is to be done with one event's schema, given all versions of its subject, ascending. The newest version has to read
 * all older ones (BACKWARD_TRANSITIVE): events of any age are replayed. Pure.
 */
export function planSubject(
  record: EventRecord,
  {
    events,
    envelopeFile,
    known,
  }: { readonly events: string; readonly envelopeFile: string; readonly known: readonly SubjectVersion[] },
): SubjectPlan {
  const subject = subjectOf(events, record)
  const findings = known.flatMap(({ version, schema }) =>
    findingsOf(record, {
      older: JSON.parse(schema) as JsonObject,
      name: `version ${version} of ${subject}`,
      envelopeFile,
    }),
  )
  if (findings.length > 0) return { kind: 'refused', record, subject, findings: merged(findings) }
  const at = known.find(({ schema }) => JSON.stringify(JSON.parse(schema)) === record.text)
  if (at !== undefined) return { kind: 'unchanged', record, subject, at }
  const last = known.at(-1)
  return last === undefined
    ? { kind: 'first', record, subject }
    : { kind: 'next', record, subject, after: last.version }
}

/** What `newer` cannot read of `older`, by event and major. Events that are gone count too. Pure. */
export function compareSchemas(newer: ComparedSchemas, older: ComparedSchemas): readonly Finding[] {
  return older.records.flatMap((before) => {
    const { eventName, major, file } = before.payload
    const record = newer.records.find(({ payload }) => payload.eventName === eventName && payload.major === major)
    const name = `${file} of ${older.name}`
    if (record !== undefined)
      return findingsOf(record, { older: before.schema, name, envelopeFile: newer.envelopeFile })
    const problem = `declares major ${major} of the event "${eventName}", which nothing does any more; keep the file, or its events become dead letters`
    return [{ file, field: '', problem, older: name }]
  })
}

export interface ComparedSchemas {
  readonly name: string
  readonly envelopeFile: string
  readonly records: readonly EventRecord[]
}

export function comparedSchemas(name: string, schemas: EventSchemas, records: readonly EventRecord[]): ComparedSchemas {
  return { name, envelopeFile: schemas.envelopeSource.file, records }
}

interface Older {
  readonly older: JsonObject
  readonly name: string
  readonly envelopeFile: string
}

function findingsOf(record: EventRecord, { older, name, envelopeFile }: Older): readonly Finding[] {
  return incompatibilities(record.schema, older).map(({ path, problem }) => ({
    file: path === '' || path === 'payload' || path.startsWith('payload.') ? record.payload.file : envelopeFile,
    field: path,
    problem,
    older: name,
  }))
}

/** What several older versions have in common is said once. */
function merged(findings: readonly Finding[]): readonly Finding[] {
  const byText = new Map<string, Finding>()
  for (const finding of findings) {
    const key = JSON.stringify([finding.file, finding.field, finding.problem])
    const known = byText.get(key)
    byText.set(key, known === undefined ? finding : { ...known, older: `${known.older}, ${finding.older}` })
  }
  return [...byText.values()]
}

/** One finding as a sentence. */
export function findingText({ file, field, problem, older }: Finding): string {
  return `${file}: ${field === '' ? '' : `${field} `}${problem} (cannot read ${older})`
}

/** What to do about findings as a whole. */
export const REMEDY =
  'nothing was registered: mend what is named, or raise the major version: copy the file, write "version": "2.0.0" into it, and keep the old one beside it'
