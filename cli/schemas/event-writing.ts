import { OncewardError } from '../../core/errors.ts'
import type { PlayerEvent } from '../../core/model/event.ts'
import { topicNames } from '../../core/topics.ts'
import { type EventRecord, subjectOf } from '../../operators/event-record.ts'
import { createEventEncoder } from '../../operators/wire-encoder.ts'
import type { Context } from '../command.ts'
import { ownSchemas, type SchemaSettings, withRegistry } from './own-schemas.ts'

export interface WritingSettings extends SchemaSettings {
  readonly encode: 'json' | 'avro'
}

export interface EventWriting {
  /** undefined: the schema does not declare all that the event has. */
  readonly encode: (event: PlayerEvent) => Buffer | undefined
  /** Events that could not be encoded so far, and why the first of them. */
  readonly left: { count: number; detail: string | undefined }
}

/** What writes events in Avro; undefined where they are to be written as they are. Throws where a schema is not registered. */
export async function eventEncoder(context: Context<WritingSettings>): Promise<EventWriting | undefined> {
  const { settings } = context
  if (settings.encode !== 'avro') return undefined
  const { records } = await ownSchemas(settings.schemas)
  const { events } = topicNames(settings.prefix)
  const ids = await withRegistry(context, async (registry) => {
    const found = new Map<EventRecord, number>()
    for (const record of records) {
      const at = await registry.find(subjectOf(events, record), record.text)
      if (at === undefined) throw notRegistered(subjectOf(events, record))
      found.set(record, at.id)
    }
    return found
  })
  const encode = createEventEncoder(records, (record) => ids.get(record) ?? 0)
  const left: EventWriting['left'] = { count: 0, detail: undefined }
  return {
    left,
    encode: (event) => {
      const encoded = encode(event)
      if (encoded.ok) return encoded.value
      left.count++
      left.detail ??= encoded.detail
      return undefined
    },
  }
}

function notRegistered(subject: string): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_REGISTRY_REFUSED',
    `the schema of this build is not registered under ${subject}; register it first: onceward schemas register --yes`,
  )
}
