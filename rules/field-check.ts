import { FUNCTION_NAMES, signatureOf } from './functions.ts'
import { NOW_PARTS } from './now-parts.ts'
import { type Fault, nearest } from './problem.ts'
import { childrenOf, type Expression } from './syntax-tree.ts'

/** What is known of a value before any event is seen; a field of which nothing is known is `any`. */
export type ValueType = 'number' | 'text' | 'boolean' | 'time' | 'duration' | 'list' | 'object' | 'any'

/** For messages. */
export const TYPE_NAMES: Readonly<Record<ValueType, string>> = {
  number: 'a number',
  text: 'a text',
  boolean: 'a condition',
  time: 'a time',
  list: 'a list',
  object: 'an object',
  duration: 'a length of time',
  any: 'a field',
}

/** What a schema can say of a field. */
export type FieldType = Exclude<ValueType, 'time' | 'duration'>

/** What the schemas say of all events. */
export interface EventCatalog {
  readonly eventNames: readonly string[]
  /** Of the events of these names together; undefined where no schema declares any of them. */
  fieldsOf(eventNames: readonly string[]): EventFields | undefined
}

/** What the schemas say of the fields of the events that one rule looks at. */
export interface EventFields {
  /** undefined: no such event has such a field. `any` where the events differ, or the schema leaves it open. */
  typeOf(path: readonly string[]): FieldType | undefined
  /** The whole paths of all fields, for suggestions. */
  paths(): readonly string[]
}

/** Where fields begin. Those of `object` have fields of their own, the others are values. */
const FIELD_ROOTS: Readonly<Record<string, 'object' | 'text'>> = {
  event_id: 'text',
  event_name: 'text',
  version: 'text',
  user: 'object',
  context: 'object',
  payload: 'object',
}

const ROOT_NAMES = [...Object.keys(FIELD_ROOTS), 'ts', 'now']

/** The names that every object inherits: asking for them is a mistake or an attempt to get out of the data. */
const INHERITED = new Set([...Object.getOwnPropertyNames(Object.prototype), 'prototype'])

export interface FieldFinding {
  readonly type: ValueType
  readonly fault?: Omit<Fault, 'start'>
}

/** The fields that exists(…) asks for. */
export function fieldsAskedFor(node: Expression): ReadonlySet<string> {
  const [field] = node.kind === 'call' && node.name === 'exists' ? node.args : []
  if (field?.kind === 'field') return new Set([field.path.join('.')])
  return new Set(childrenOf(node).flatMap((child) => [...fieldsAskedFor(child)]))
}

/** Where a field stands. */
export interface FieldPlace {
  /** In exists(…), which asks for no value and may name an object. */
  readonly alone: boolean
  /** The expression asks somewhere whether the field is there. */
  readonly optional: boolean
  /** Undefined where nothing is known of fields. */
  readonly fields: EventFields | undefined
}

export function checkField(path: readonly string[], { alone, optional, fields }: FieldPlace): FieldFinding {
  const [root = '', ...rest] = path
  const inherited = path.find((name) => INHERITED.has(name))
  if (inherited !== undefined) return unknown(`"${inherited}" is no field of an event`)
  const kind = Object.hasOwn(FIELD_ROOTS, root) ? FIELD_ROOTS[root] : undefined
  if (kind === undefined) return unknownRoot(path)
  if (kind === 'text') {
    if (rest.length === 0) return { type: 'text' }
    return { ...unknown(`${root} is a text and has no fields`, `write ${root}`), type: 'text' }
  }
  if (rest.length === 0 && !alone) return unknown(`${root} is no value; name one of its fields`, `write ${root}.name`)
  return fields === undefined || rest.length === 0 ? { type: 'any' } : declared(path, fields, optional)
}

function declared(path: readonly string[], fields: EventFields, optional: boolean): FieldFinding {
  const type = fields.typeOf(path)
  if (type !== undefined) return { type }
  const name = path.join('.')
  const like = likeOf(path, fields)
  // Asking whether a field is there is sensible where a schema does not promise it; a slip of the pen is not.
  if (optional && like === undefined) return { type: 'any' }
  const hint =
    like === undefined ? `declare it in a schema, or name one of ${beside(path, fields)}` : `did you mean ${like}?`
  const finding = unknown(`no schema of these events has a field "${name}"`, hint)
  if (!optional || finding.fault === undefined) return finding
  return { type: 'any', fault: { ...finding.fault, severity: 'warning' } }
}

/** A name like it in the same place, or the same name in another. */
function likeOf(path: readonly string[], fields: EventFields): string | undefined {
  const holder = `${path.slice(0, -1).join('.')}.`
  const last = path.at(-1) ?? ''
  const all = fields.paths()
  const siblings = all.flatMap((name) => (name.startsWith(holder) ? [name.slice(holder.length)] : []))
  const like = nearest(last, siblings)
  return like === undefined ? all.find((name) => name.endsWith(`.${last}`)) : holder + like
}

const NAMED_MAX = 8

function beside(path: readonly string[], fields: EventFields): string {
  const holder = `${path.slice(0, -1).join('.')}.`
  const all = fields.paths()
  const near = all.filter((name) => name.startsWith(holder))
  const names = near.length > 0 ? near : all
  return names.length <= NAMED_MAX ? names.join(', ') : `${names.slice(0, NAMED_MAX).join(', ')}, …`
}

function unknownRoot(path: readonly string[]): FieldFinding {
  const [root = '', ...rest] = path
  if (rest.length > 0 && (root === 'now' || root === 'ts')) {
    const like = nearest(rest.join('.'), NOW_PARTS)
    const hint = like === undefined ? `its parts are ${NOW_PARTS.join(', ')}` : `did you mean ${root}.${like}?`
    return unknown(`${root} is a time and has no part "${rest.join('.')}"`, hint)
  }
  if (rest.length === 0 && FUNCTION_NAMES.includes(root)) {
    return unknown(`${root} is a function and needs its arguments`, `write ${signatureOf(root)}`)
  }
  const like = nearest(root, rest.length > 0 ? Object.keys(FIELD_ROOTS) : ROOT_NAMES)
  const name = path.join('.')
  const hint =
    like === undefined
      ? `write payload.${name} for a field of the payload; others begin with user. or context.`
      : `did you mean ${[like, ...rest].join('.')}?`
  const roots = ROOT_NAMES.slice(0, 3).join(', ')
  return unknown(`there is no field "${name}"; fields are ${roots}, ts, user.…, context.… and payload.…`, hint)
}

function unknown(message: string, hint?: string): FieldFinding {
  const fault = { code: 'ONCEWARD_E_RULE_UNKNOWN_FIELD', message, ...(hint === undefined ? {} : { hint }) } as const
  return { type: 'any', fault }
}
