import type { Json, JsonObject, PlayerEvent } from '../core/model/event.ts'

/** Reads one value of an event; undefined where it is missing. */
export type FieldReader = (event: PlayerEvent) => Json | undefined

/**
 * A reader of `path`, whose first name is a root that the checker knows. It sees own properties of objects only:
 * nothing inherited, no characters of texts, no lists. A null is missing, as SPEC S19 has it.
 */
export function fieldReader(path: readonly string[]): FieldReader {
  const [root = '', name, ...rest] = path
  const readRoot = rootReader(root)
  if (name === undefined) return readRoot
  if (rest.length > 0) {
    return (event) => rest.reduce((value, part) => ownValue(value, part), ownValue(readRoot(event), name))
  }
  // Rules read little else but fields of the payload and the user: one call less for each.
  if (root === 'payload') return (event) => ownValue(event.data['payload'], name)
  if (root === 'user') return (event) => ownValue(event.data['user'], name)
  return (event) => ownValue(readRoot(event), name)
}

/** The roots are no names that objects inherit, so a plain read by a constant name is a read of an own property. */
function rootReader(root: string): FieldReader {
  switch (root) {
    case 'event_id':
      return (event) => event.eventId
    case 'event_name':
      return (event) => event.eventName
    case 'version':
      return (event) => event.data['version'] ?? undefined
    case 'user':
      return (event) => event.data['user'] ?? undefined
    case 'context':
      return (event) => event.data['context'] ?? undefined
    case 'payload':
      return (event) => event.data['payload'] ?? undefined
    default:
      throw new TypeError(`the checker let the root ${root} through`)
  }
}

function ownValue(holder: Json | undefined, name: string): Json | undefined {
  return hasOwnField(holder, name) ? (holder[name] ?? undefined) : undefined
}

function hasOwnField(holder: Json | undefined, name: string): holder is JsonObject {
  if (typeof holder !== 'object' || holder === null || !Object.hasOwn(holder, name)) return false
  // Of what a field name can be, `length` is all that a list has of its own; asked last, as hardly any rule reads it.
  return name !== 'length' || !Array.isArray(holder)
}
