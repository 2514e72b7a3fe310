/** What callers ask, checked: whatever came, it is read or refused with what would be right. */
import { DLQ_REASONS } from '../../core/model/dlq.ts'
import type { Json, JsonObject } from '../../core/model/event.ts'
import { type FixSpec, LETTER_STATES, type LetterFilter, type ReviewOrder } from '../../core/ports/review.ts'
import { malformed } from '../../core/refusal.ts'

/** Letters in one call, inclusive. */
export const LETTERS_MAX = 1_000
const LISTED = 50
const TEXT_LENGTH_MAX = 2_000
const FILTER_KEYS = ['cause', 'status', 'rule', 'user', 'error', 'event_name', 'from', 'to'] as const
const ORDER_KEYS = ['ids', 'filter', 'limit', 'dry_run', 'reason'] as const
const FIX_KEYS = ['set', 'unset', 'when', 'allow_ids', 'mapping', 'event'] as const

export interface ListRequest {
  readonly filter: LetterFilter
  readonly limit: number
  /** The id of the letter that the page before ended with. */
  readonly cursor: string | undefined
}

export interface OrderRequest {
  readonly order: ReviewOrder
  readonly dryRun: boolean
  readonly targets: { readonly ids: readonly string[] } | { readonly filter: LetterFilter; readonly limit: number }
}

/** Of `?cause=schema,late&limit=50`. */
export function readList(query: unknown): ListRequest {
  const fields = object(query, 'the query')
  only(fields, [...FILTER_KEYS, 'limit', 'cursor'], 'the query')
  const { limit, cursor, ...rest } = fields
  return { filter: readFilter(rest), limit: limitOf(limit, LISTED), cursor: optionalText(cursor, 'cursor') }
}

export function readFilter(given: JsonObject): LetterFilter {
  only(given, FILTER_KEYS, 'filter')
  const { cause, status, rule, user, error, event_name: eventName, from, to } = given
  return {
    causes: words(cause, 'cause', DLQ_REASONS),
    states: words(status, 'status', LETTER_STATES),
    rule: optionalText(rule, 'rule'),
    user: optionalText(user, 'user'),
    error: optionalText(error, 'error'),
    eventName: optionalText(eventName, 'event_name'),
    from: optionalTime(from, 'from'),
    until: optionalTime(to, 'to'),
  }
}

export function readOrder(name: ReviewOrder['name'], body: unknown, actor: string): OrderRequest {
  const fields = object(body, 'the body')
  only(fields, name === 'fix' ? [...ORDER_KEYS, 'fix'] : ORDER_KEYS, 'the body')
  const { dry_run: dryRun = true, reason } = fields
  if (typeof dryRun !== 'boolean') throw malformed('dry_run is true or false; without it, nothing is changed')
  const by = { actor, reason: optionalText(reason, 'reason') }
  if (name === 'drop' && (by.reason ?? '').trim() === '') throw malformed('a drop needs a reason')
  const order: ReviewOrder = name === 'fix' ? { ...by, name, fix: readFix(fields['fix']) } : { ...by, name }
  return { order, dryRun, targets: readTargets(fields) }
}

function readTargets({ ids, filter, limit }: JsonObject): OrderRequest['targets'] {
  if ((ids === undefined) === (filter === undefined)) {
    throw malformed('say for which letters: either ids or filter, and not both')
  }
  if (filter !== undefined) {
    const read = readFilter(object(filter, 'filter'))
    if (Object.values(read).every((value) => value === undefined))
      throw malformed('filter is empty; for all open letters write {"status": "open"}')
    // What is decided stays so; without this each call would be told of all of it.
    return { filter: { ...read, states: read.states ?? ['open'] }, limit: limitOf(limit, LETTERS_MAX) }
  }
  if (limit !== undefined) throw malformed('limit goes with filter')
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > LETTERS_MAX) {
    throw malformed(`ids is a list of 1 to ${LETTERS_MAX} ids of letters`)
  }
  return { ids: ids.map((id: Json) => text(id, 'an id')) }
}

function readFix(value: Json | undefined): FixSpec {
  const fix = object(value, 'fix')
  only(fix, FIX_KEYS, 'fix')
  const { set, unset, when, allow_ids: allowIds = false, mapping, event } = fix
  const changes = [set, unset, when].some((part) => part !== undefined)
  if (Number(changes) + Number(mapping !== undefined) + Number(event !== undefined) !== 1) {
    throw malformed('fix has either set and unset, or mapping, or event')
  }
  if (event !== undefined) return { kind: 'event', event: object(event, 'event') }
  if (mapping !== undefined) return { kind: 'file', name: '(mapping)', text: text(mapping, 'mapping', 65_536) }
  if (typeof allowIds !== 'boolean') throw malformed('allow_ids is true or false')
  const pairs = Object.entries(set === undefined ? {} : object(set, 'set'))
  return {
    kind: 'changes',
    set: pairs.map(([path, expression]) => {
      if (path.includes('=')) throw malformed('a path has no "="')
      return `${path}=${text(expression, `set.${path.slice(0, 80)}`)}`
    }),
    unset: unset === undefined ? [] : texts(unset, 'unset'),
    when: optionalText(when, 'when'),
    allowIds,
  }
}

const ACTOR = /^[\p{L}\p{N}][\p{L}\p{N} ._@+-]{0,63}$/u

/** Under these names the ledger does things by itself; what a person decides must not look like it. */
const OURS = new Set(['sink', 'migration'])

/** Who decides: the key's source, and whom it names in X-Actor. */
export function actorOf(source: string, header: string | readonly string[] | undefined): string {
  if (header === undefined) return OURS.has(source) ? `key/${source}` : source
  // Headers are bytes to Node; who has a name with other letters than ASCII's sends it in UTF-8.
  const name = typeof header === 'string' ? Buffer.from(header, 'latin1').toString('utf8') : ''
  if (ACTOR.test(name)) return `${source}/${name}`
  throw malformed('X-Actor is one name of up to 64 letters, digits, spaces and . _ @ + -')
}

function object(value: unknown, name: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  throw malformed(`${name} must be a JSON object`)
}

function only(value: JsonObject, allowed: readonly string[], name: string): void {
  const unknown = Object.keys(value).find((key) => !allowed.includes(key))
  if (unknown === undefined) return
  throw malformed(`${name} has no ${JSON.stringify(unknown.slice(0, 80))}; there are ${allowed.join(', ')}`)
}

function text(value: Json | undefined, name: string, lengthMax = TEXT_LENGTH_MAX): string {
  if (typeof value === 'string' && value !== '' && value.length <= lengthMax) return value
  throw malformed(`${name} must be a text of 1 to ${lengthMax} characters`)
}

function optionalText(value: Json | undefined, name: string): string | undefined {
  return value === undefined ? undefined : text(value, name)
}

function texts(value: Json, name: string): string[] {
  if (!Array.isArray(value) || value.length > 100) throw malformed(`${name} must be a list of at most 100 texts`)
  return value.map((each: Json) => text(each, `each of ${name}`))
}

/** One word, several with commas, or a list of them. */
function words<T extends string>(value: Json | undefined, name: string, known: readonly T[]): readonly T[] | undefined {
  if (value === undefined) return undefined
  const given = typeof value === 'string' ? value.split(',') : texts(value, name)
  return given.map((word) => {
    const found = known.find((one) => one === word)
    if (found === undefined) throw malformed(`${name} is one or more of ${known.join(', ')}`)
    return found
  })
}

function limitOf(value: Json | undefined, otherwise: number): number {
  if (value === undefined) return otherwise
  const limit = typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : value
  if (typeof limit === 'number' && Number.isInteger(limit) && limit >= 1 && limit <= LETTERS_MAX) return limit
  throw malformed(`limit is a whole number from 1 to ${LETTERS_MAX}`)
}

const TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d))?$/

function optionalTime(value: Json | undefined, name: string): number | undefined {
  if (value === undefined) return undefined
  const ms = typeof value === 'string' && TIME.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isNaN(ms)) throw malformed(`${name} is a day or a time: 2025-11-03 or 2025-11-03T12:00:00Z`)
  return ms
}
