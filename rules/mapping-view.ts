import type { Json, JsonObject, PlayerEvent } from '../core/model/event.ts'
import { nearest } from './problem.ts'

/**
 * What the expressions of a mapping, or of a fix, look at. Expressions are compiled for events, whose fields begin with a few
 * known roots; here they are free. So what there is to see hangs below `payload`, under names that no expression can
 * write (they begin with a full stop), and every field is looked up in the place that `Roots` says.
 */
export interface Sight {
  /** The item of the list, or the whole body; of a fix: the event. */
  readonly item: Json
  readonly body: JsonObject
  readonly request: JsonObject
  /** Where the item stands in its list, from 0. */
  readonly index: number
  /** What the mapping gave names to. */
  readonly named: JsonObject
}

export type View = PlayerEvent

export function viewOf({ item, body, request, index, named }: Sight): View {
  const payload = { '.item': item, '.body': body, '.request': request, '.index': index, '.named': named }
  return { eventId: '', eventName: '', userId: '', ts: 0, data: { payload } }
}

export type SightName = keyof Sight

/** Where a field is, or what is wrong with its path. */
export type Located =
  | { readonly ok: true; readonly from: SightName; readonly path: readonly string[] }
  | { readonly ok: false; readonly message: string; readonly hint: string }

/** Says where the fields of an expression are. */
export interface Roots {
  locate(path: readonly string[]): Located
  /** How a field is written that an expression cannot name as it stands, such as `now`. */
  readonly whole: string
}

/** The fields of an event stand at its top; `event.` may stand before them. */
export const EVENT_ROOTS: Roots = {
  whole: 'event',
  locate: (path) => at('item', path[0] === 'event' && path.length > 1 ? path.slice(1) : path),
}

const REQUEST_FIELDS = ['id', 'received_at']

/** Those of a provider's body. `each`: the body is a list of items. `named`: the names that the mapping gives. */
export function bodyRoots({ each, named }: { readonly each: boolean; readonly named: ReadonlySet<string> }): Roots {
  const whole = each ? 'item' : 'body'
  const locate = (path: readonly string[]): Located => {
    const [root = '', ...rest] = path
    if (root === 'body') return at('body', rest)
    if (root === 'item') return at('item', rest)
    if (root === 'request') return ofRequest(path)
    if (root === 'index' && each && rest.length === 0) return at('index', rest)
    return named.has(root) ? at('named', path) : at('item', path)
  }
  return { whole, locate }
}

function ofRequest(path: readonly string[]): Located {
  const name = path.slice(1).join('.')
  if (REQUEST_FIELDS.includes(name)) return at('request', [name])
  const like = nearest(name, REQUEST_FIELDS)
  return {
    ok: false,
    message: `a request has ${REQUEST_FIELDS.join(' and ')}, not "${name}"`,
    hint:
      like === undefined ? `for a field of the body, write body.${path.join('.')}` : `did you mean request.${like}?`,
  }
}

function at(from: SightName, path: readonly string[]): Located {
  return { ok: true, from, path: [`.${from}`, ...path] }
}

/** A sentence about fields, in the names in which the mapping knows them. */
export function inWrittenNames(sentence: string): string {
  return sentence.replaceAll(/payload\.\.(?:(?:item|named)\.)?/g, '')
}
