import type { Json, PlayerEvent } from '../core/model/event.ts'

/** Reads one value of an event; undefined where it is missing. */
export type FieldReader = (event: PlayerEvent) => Json | undefined

/**
 * A reader of `path`. It sees own properties of objects only: nothing inherited, no characters of texts, no elements of
 * lists. A null is missing, as SPEC S19 has it.
 */
export function fieldReader(path: readonly string[]): FieldReader {
  const [first = '', second, ...rest] = path
  if (second === undefined) {
    if (first === 'event_id') return (event) => event.eventId
    if (first === 'event_name') return (event) => event.eventName
    return (event) => ownValue(event.data, first)
  }
  if (rest.length === 0) return (event) => ownValue(ownValue(event.data, first), second)
  return (event) => {
    let value = ownValue(ownValue(event.data, first), second)
    for (const name of rest) value = ownValue(value, name)
    return value
  }
}

function ownValue(holder: Json | undefined, name: string): Json | undefined {
  if (typeof holder !== 'object' || holder === null || isList(holder) || !Object.hasOwn(holder, name)) return undefined
  return holder[name] ?? undefined
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value)
}
