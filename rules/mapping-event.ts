import type { Node } from 'yaml'
import type { Json, JsonObject } from '../core/model/event.ts'
import type { Condition } from './expression.ts'
import type { ValueCode } from './mapping-expression.ts'
import { asText, readTemplate, type Template } from './mapping-template.ts'
import { timeValue } from './mapping-time.ts'
import {
  nameOf,
  type ObjectShape,
  placeOf,
  readCondition,
  type Reading,
  readObject,
  readValue,
  type Remark,
  report,
} from './mapping-value.ts'
import type { View } from './mapping-view.ts'
import { type Entries, type Entry, readMap, required } from './yaml-reader.ts'
import { isTextScalar } from './yaml-source.ts'

export const MAPPED_EVENT_KEYS = [
  'when',
  'event_name',
  'event_id',
  'version',
  'ts',
  'user',
  'context',
  'payload',
] as const

/** What `common` may say for all events. */
export const COMMON_KEYS = ['event_id', 'version', 'ts', 'user', 'context', 'payload'] as const

/** Of the envelope's schema. */
const USER = { keys: ['id', 'geo', 'platform', 'payer_flag', 'risk_flags'], texts: ['id'] }
const CONTEXT = { keys: ['session_id', 'device_fp', 'ip'], texts: ['session_id', 'device_fp'] }

const EVENT_NAME = /^[A-Za-z0-9][\w.:-]{0,127}$/

/** What an item came to. `problems`: it is no event, and why; `leftOut`: what could be left out, and was. */
export interface Draft {
  readonly event: JsonObject
  readonly problems: readonly Remark[]
  readonly leftOut: readonly Remark[]
}

/** One entry of `events`. */
export interface EventForm {
  /** Undefined: it fits every item. */
  readonly when: Condition | undefined
  /** The event's name, where it is the same for every item. */
  readonly eventName: string | undefined
  /** The entry, for messages. */
  readonly node: Node
  draft(view: View): Draft
}

/** A part of the event: at its top, or an object with parts of its own. */
interface Part {
  readonly name: string
  readonly fill: (view: View) => Omit<Draft, 'event'> & { readonly value: Json | undefined }
}

export interface EventGiven {
  /** The items are those of a list. */
  readonly each: boolean
  /** What all events have that do not say otherwise. */
  readonly common: Entries
}

/** One entry of `events`; undefined, with problems reported, where it is wrong. */
export function readEventForm(reading: Reading, node: Node, { each, common }: EventGiven): EventForm | undefined {
  const { source } = reading
  const before = source.problems.length
  const own = readMap(source, node, 'an event', MAPPED_EVENT_KEYS)
  if (own === undefined) return undefined
  const entries: Entries = new Map([...common, ...own])
  const when = readCondition(reading, own.get('when'))
  const name = readName(reading, needed(reading, entries, node, 'event_name'))
  needed(reading, entries, node, 'user')
  const group = (key: 'user' | 'context' | 'payload', shape: ObjectShape): Part | undefined =>
    readGroup(
      reading,
      [common.get(key), own.get(key)].filter((entry) => entry !== undefined),
      shape,
    )
  const parts = [
    readId(reading, needed(reading, entries, node, 'event_id'), each),
    name?.part,
    readVersion(reading, entries.get('version')),
    readTime(reading, needed(reading, entries, node, 'ts')),
    group('user', USER),
    group('context', CONTEXT),
    group('payload', {}),
  ].filter((part) => part !== undefined)
  if (source.problems.length > before) return undefined
  const payload: JsonObject = entries.has('payload') ? {} : { payload: {} }
  return { when, eventName: name?.constant, node, draft: (view) => draftOf(parts, view, payload) }
}

const HINTS = {
  event_name: 'write event_name: bet',
  event_id: 'write event_id: "gameco:{transaction_id}"',
  ts: 'write ts: { time: settled_at, unit: ms }',
  user: 'write user: { id: player.id }',
} as const

function needed({ source }: Reading, entries: Entries, node: Node, key: keyof typeof HINTS): Entry | undefined {
  return required(source, entries, key, { node, hint: HINTS[key] })
}

function draftOf(parts: readonly Part[], view: View, payload: JsonObject): Draft {
  const event: Record<string, Json> = {}
  const problems: Remark[] = []
  const leftOut: Remark[] = []
  for (const { name, fill } of parts) {
    const filled = fill(view)
    if (filled.value !== undefined) event[name] = filled.value
    problems.push(...filled.problems)
    leftOut.push(...filled.leftOut)
  }
  return { event: { ...event, ...payload }, problems, leftOut }
}

/** A part without which there is no event; `optional`: it can be left out. */
function single(name: string, code: ValueCode, at: string, { optional = false } = {}): Part {
  return {
    name,
    fill(view) {
      const value = code(view)
      if (value.kind === 'value') return { value: value.value, problems: [], leftOut: [] }
      const remark = { path: name, why: value.why, at }
      const mayGo = optional && value.kind === 'missing'
      return { value: undefined, problems: mayGo ? [] : [remark], leftOut: mayGo ? [remark] : [] }
    },
  }
}

/** A name as it stands, a template, or a table. */
function readName(
  reading: Reading,
  entry: Entry | undefined,
): { part: Part; constant: string | undefined } | undefined {
  if (entry === undefined) return undefined
  const { source } = reading
  const { value: node } = entry
  const at = placeOf(source, node)
  if (!isTextScalar(node)) {
    const code = readValue(reading, node)
    return code && { part: single('event_name', asText(code, nameOf(node)), at), constant: undefined }
  }
  const template = readTemplate(source, node, reading.roots)
  if (template === undefined) return undefined
  const { constant, code } = template
  if (constant !== undefined && !EVENT_NAME.test(constant)) {
    report(source, node, `${JSON.stringify(constant)} is no name of an event`, 'write letters, digits, _, ., : and -')
    return undefined
  }
  return { part: single('event_name', code, at), constant }
}

function readId(reading: Reading, entry: Entry | undefined, each: boolean): Part | undefined {
  if (entry === undefined) return undefined
  const { source, roots } = reading
  const { value: node } = entry
  if (!isTextScalar(node)) {
    report(source, node, 'event_id is a text with fields in braces', 'in quotes: event_id: "gameco:{transaction_id}"')
    return undefined
  }
  const template = readTemplate(source, node, roots)
  const problem = template && problemOfId(template, each)
  if (problem !== undefined) report(source, node, problem.message, problem.hint)
  return template && problem === undefined ? single('event_id', template.code, placeOf(source, node)) : undefined
}

/**
 * A repeat is known by its id. So the id may hold only what a repeat has again, and it must be another for every other event.
 */
function problemOfId({ parts }: Template, each: boolean): { message: string; hint: string } | undefined {
  const fields = parts.flatMap((part) => part.fields)
  if (parts.some(({ plain }) => !plain)) {
    return { message: 'event_id holds fields, and no formulas', hint: 'write event_id: "gameco:{transaction_id}"' }
  }
  if (fields.some(({ from }) => from === 'request')) {
    const message = 'event_id holds something of the request, and a repeat is another request: it would count twice'
    return { message, hint: 'name a field of the body that says which transaction this is' }
  }
  const from = (...places: readonly string[]): boolean => fields.some((field) => places.includes(field.from))
  if (!from('item', 'named', 'body')) {
    const message = 'event_id holds nothing of the body: all events would have the same id, and all but one be dropped'
    return { message, hint: 'name a field of the body in braces: "gameco:{transaction_id}"' }
  }
  if (!each || from('item', 'named', 'index')) return undefined
  const message = 'event_id holds nothing of the item: all items of a body would have the same id'
  return { message, hint: 'name a field of the item, or where it stands: "{body.batch_id}:{index}"' }
}

function readVersion(reading: Reading, entry: Entry | undefined): Part | undefined {
  const code = entry && readValue(reading, entry.value)
  if (entry === undefined || code === undefined) return undefined
  return single('version', asText(code, nameOf(entry.value)), placeOf(reading.source, entry.value), { optional: true })
}

/** A field alone is one with a time in RFC 3339. */
function readTime(reading: Reading, entry: Entry | undefined): Part | undefined {
  const code = entry && readValue(reading, entry.value)
  if (entry === undefined || code === undefined) return undefined
  const { value: node } = entry
  const time = isTextScalar(node) ? timeValue(code, { unit: 'rfc3339', zone: undefined, name: nameOf(node) }) : code
  return single('ts', time, placeOf(reading.source, node))
}

/** `user`, `context` or `payload`: what `common` says of it, and the event itself. */
function readGroup(reading: Reading, maps: readonly Entry[], shape: ObjectShape): Part | undefined {
  const last = maps.at(-1)
  const object = readObject(reading, maps, shape)
  if (last === undefined || object === undefined) return undefined
  const { value: group } = last.key
  const isUser = group === 'user'
  if (isUser && !object.keys.has('id')) {
    report(reading.source, last.key, 'user has no id', 'write user: { id: player.id }')
  }
  const under = ({ path, ...rest }: Remark): Remark => ({ ...rest, path: `${group}.${path}` })
  return {
    name: group,
    fill(view) {
      const built = object.build(view)
      const isNeeded = ({ path }: Remark): boolean => isUser && path === 'id'
      return {
        value: built.value,
        problems: [...built.wrong, ...built.leftOut.filter(isNeeded)].map(under),
        leftOut: built.leftOut.filter((remark) => !isNeeded(remark)).map(under),
      }
    },
  }
}
