import { OncewardError } from '../../core/errors.ts'
import { type RegisteredSchema, SCHEMA_ID_BOUNDS, type SubjectVersion } from '../../core/ports/registry.ts'

/** What a registry answered to one call. */
export interface Answer {
  /** The call, for messages. */
  readonly where: string
  readonly status: number
  /** undefined: it was not JSON. */
  readonly json: unknown
}

export function refused({ where }: Answer, problem: string): OncewardError {
  return new OncewardError('ONCEWARD_E_REGISTRY_REFUSED', `the schema registry ${problem} (${where})`)
}

export function objectOf(answer: Answer): Readonly<Record<string, unknown>> {
  const { json } = answer
  if (typeof json === 'object' && json !== null && !Array.isArray(json))
    return json as Readonly<Record<string, unknown>>
  throw refused(answer, 'answers with something that is no object')
}

export function listOf<Item>(answer: Answer, item: (answer: Answer, value: unknown) => Item): Item[] {
  if (Array.isArray(answer.json)) return answer.json.map((each) => item(answer, each))
  throw refused(answer, 'answers with something that is no list')
}

export function textOf(answer: Answer, value: unknown): string {
  if (typeof value === 'string') return value
  throw refused(answer, 'answers with something else where a text belongs')
}

export function wholeOf(answer: Answer, value: unknown): number {
  if (
    Number.isInteger(value) &&
    (value as number) >= SCHEMA_ID_BOUNDS.least &&
    (value as number) <= SCHEMA_ID_BOUNDS.most
  ) {
    return value as number
  }
  throw refused(answer, 'answers with something else where an id or a version belongs')
}

export function schemaOf(answer: Answer): RegisteredSchema {
  const { schema, schemaType, references } = objectOf(answer)
  const text = textOf(answer, schema)
  if (typeof schemaType === 'string' && schemaType !== 'AVRO')
    return { schema: text, unusable: `is ${schemaType} and not Avro` }
  if (Array.isArray(references) && references.length > 0) {
    return {
      schema: text,
      unusable: 'refers to other schemas of the registry, which Onceward does not follow; register it whole',
    }
  }
  return { schema: text }
}

export function subjectVersionOf(answer: Answer): SubjectVersion {
  const { subject, version, id, schema } = objectOf(answer)
  return {
    subject: textOf(answer, subject),
    version: wholeOf(answer, version),
    id: wholeOf(answer, id),
    schema: textOf(answer, schema),
  }
}
