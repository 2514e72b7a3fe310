import { isMap, isScalar, isSeq, type Node, type Pair, type Scalar } from 'yaml'
import type { Json, JsonObject } from '../core/model/event.ts'
import {
  missing,
  present,
  readExpressionValue,
  rounded,
  type Value,
  type ValueCode,
  wrong,
} from './mapping-expression.ts'
import { asText, readTemplate, writtenAs } from './mapping-template.ts'
import { TIME_UNITS, timeValue } from './mapping-time.ts'
import type { Roots, View } from './mapping-view.ts'
import { nearest } from './problem.ts'
import { readZone } from './score-section.ts'
import { jsonOf } from './yaml-json.ts'
import { type Entries, type Entry, readChoice, readMap, readNumber, required } from './yaml-reader.ts'
import { isTextScalar, type YamlSource } from './yaml-source.ts'

/** The forms of a value that is neither a text nor a number: each is a map, told by its first key. */
export const VALUE_FORMS = {
  value: ['value'],
  time: ['time', 'unit', 'zone'],
  number: ['number', 'divide_by'],
  text: ['text', 'case'],
  lookup: ['lookup', 'table', 'else'],
  first_of: ['first_of'],
  object: ['object'],
} as const
type FormName = keyof typeof VALUE_FORMS

const FORM_NAMES = Object.keys(VALUE_FORMS) as readonly FormName[]
const FORMS_HINT = `the forms are ${FORM_NAMES.map((name) => `{ ${name}: … }`).join(', ')}`

/** Where values are read. */
export interface Reading {
  readonly source: YamlSource
  readonly roots: Roots
}

/**
 * A value: a number or true as they stand; a text with braces is a template; another text an expression; a map one of
 * VALUE_FORMS. undefined, with problems reported, where it is wrong.
 */
export function readValue(reading: Reading, node: Node): ValueCode | undefined {
  const { source, roots } = reading
  if (isTextScalar(node)) {
    if (node.value.includes('{')) return readTemplate(source, node, roots)?.code
    return readExpressionValue(source, node, roots)?.code
  }
  if (isMap(node)) return readForm(reading, node)
  const json = isScalar(node) ? jsonOf(node) : undefined
  if (json !== undefined) return constant(json)
  report(
    source,
    node,
    isSeq(node) ? 'a list cannot stand here' : 'this is no value',
    isSeq(node) ? 'to take the first that is there, write { first_of: [a, b] }' : 'write a field, or a formula',
  )
  return undefined
}

function readForm(reading: Reading, node: Node): ValueCode | undefined {
  const { source } = reading
  const written = isMap(node) ? node.items.map(({ key }) => (isScalar(key) ? String(key.value) : '')) : []
  const name = FORM_NAMES.find((form) => written.includes(form))
  if (name === undefined) {
    const like = written.flatMap((each) => nearest(each, FORM_NAMES) ?? [])[0]
    const isTemplate = isMap(node) && node.flow === true && written.length === 1
    const hint = like !== undefined ? `did you mean ${like}?` : isTemplate ? 'a text with braces stands in quotes' : ''
    report(
      source,
      node,
      `this map is none of the forms of a value`,
      hint === '' ? FORMS_HINT : `${hint}; ${FORMS_HINT}`,
    )
    return undefined
  }
  const entries = readMap(source, node, `{ ${name}: … }`, VALUE_FORMS[name])
  const entry = entries?.get(name)
  return entries && entry && FORMS[name](reading, entry, entries)
}

type Form = (reading: Reading, entry: Entry, entries: Entries) => ValueCode | undefined

const FORMS: Readonly<Record<FormName, Form>> = {
  value: readConstant,
  time: readTime,
  number: readNumberForm,
  text: readTextForm,
  lookup: readLookup,
  first_of: readFirst,
  object: (reading, entry) => readObject(reading, entry)?.code,
}

function readConstant({ source }: Reading, { value: node }: Entry): ValueCode | undefined {
  const json = jsonOf(node)
  if (json !== undefined) return constant(json)
  report(source, node, 'this is nothing that JSON can hold', 'write a text, a number, true or a list of them')
  return undefined
}

function readTime(reading: Reading, entry: Entry, entries: Entries): ValueCode | undefined {
  const { source } = reading
  const unit = readChoice(source, entries.get('unit'), TIME_UNITS) ?? 'rfc3339'
  const given = entries.get('zone')
  const zone = given === undefined ? undefined : readZone(source, given)
  if (given !== undefined && unit !== 'rfc3339') {
    report(source, given.key, `a time in ${unit} is the same in every zone`, 'leave out zone')
  }
  const code = readValue(reading, entry.value)
  return code && timeValue(code, { unit, zone, name: nameOf(entry.value) })
}

/** Digits as they are written in texts: what is more than this, or written otherwise, is no number that can be trusted. */
const NUMBER_TEXT = /^[+-]?(?:\d{1,15}|\d{0,15}\.\d{1,12})$/

function readNumberForm(reading: Reading, entry: Entry, entries: Entries): ValueCode | undefined {
  const { source } = reading
  const by = readNumber(source, entries.get('divide_by'), { min: 0.000_001, max: 1_000_000_000_000 }) ?? 1
  const code = readValue(reading, entry.value)
  const name = nameOf(entry.value)
  return code && ((view) => mapped(code(view), (value) => numberOf(value, by, name)))
}

function numberOf(value: Json, by: number, name: string): Value {
  if (value === '') return missing(`${name} is an empty text`)
  const number = typeof value === 'string' && NUMBER_TEXT.test(value) ? Number(value) : value
  if (typeof number === 'number') return present(rounded(number / by))
  return wrong(`${name} is no number; it may be one in quotes, with digits and a point: "12.50"`)
}

function readTextForm(reading: Reading, entry: Entry, entries: Entries): ValueCode | undefined {
  const letters = readChoice(reading.source, entries.get('case'), ['upper', 'lower'] as const)
  const code = readValue(reading, entry.value)
  if (code === undefined) return undefined
  const text = asText(code, nameOf(entry.value))
  if (letters === undefined) return text
  const change = (value: string): string => (letters === 'upper' ? value.toUpperCase() : value.toLowerCase())
  return (view) => mapped(text(view), (value) => present(change(writtenAs(value))))
}

function readLookup(reading: Reading, entry: Entry, entries: Entries): ValueCode | undefined {
  const { source } = reading
  const owner = { node: entry.key, hint: 'write table: { COMPLETED: completed }' }
  const written = required(source, entries, 'table', owner)
  const table = written && readTable(source, written)
  const other = entries.get('else')
  const otherwise = other && readConstant(reading, other)
  const code = readValue(reading, entry.value)
  if (table === undefined || code === undefined || (other !== undefined && otherwise === undefined)) return undefined
  const name = nameOf(entry.value)
  return (view) => {
    const value = code(view)
    if (value.kind === 'wrong') return value
    const key = value.kind === 'value' ? keyOf(value.value) : undefined
    const found = key === undefined ? undefined : table.get(key)
    if (found !== undefined) return present(found)
    if (otherwise !== undefined) return otherwise(view)
    return value.kind === 'missing' ? value : wrong(`${name} is ${shown(value.value)}, which is not in the table`)
  }
}

/** Keys may be texts, numbers and true or false, with or without quotes. */
function readTable(source: YamlSource, { key, value: node }: Entry): ReadonlyMap<string, Json> | undefined {
  if (!isMap<Node, Node | null>(node) || node.items.length === 0) {
    report(source, node, `${key.value} is a map of what may come and what it becomes`, 'write { COMPLETED: completed }')
    return undefined
  }
  const table = new Map<string, Json>()
  for (const pair of node.items) readPair(source, pair, table)
  return table.size === node.items.length ? table : undefined
}

function readPair(source: YamlSource, { key, value }: Pair<Node, Node | null>, table: Map<string, Json>): void {
  const from = isScalar(key) ? keyOf(key.value) : undefined
  const to = isScalar(value) && value.value !== null ? jsonOf(value) : undefined
  if (from === undefined || to === undefined) {
    report(source, key, 'a row of a table is a value and what it becomes', 'write COMPLETED: completed')
  } else if (table.has(from)) {
    report(source, key, `${JSON.stringify(from)} stands in this table twice`, 'leave one')
  } else table.set(from, to)
}

/** Undefined for lists and objects, which are in no table. */
function keyOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

function readFirst(reading: Reading, { key, value: node }: Entry): ValueCode | undefined {
  const nodes = isSeq<Node>(node) ? node.items : []
  if (nodes.length < 2) {
    report(reading.source, node, `${key.value} is a list of at least two values`, 'write { first_of: [a, b] }')
    return undefined
  }
  const codes = nodes.map((each) => readValue(reading, each))
  const good = codes.filter((code) => code !== undefined)
  return good.length === codes.length ? firstOf(good) : undefined
}

function firstOf(codes: readonly ValueCode[]): ValueCode {
  return (view) => {
    const why: string[] = []
    for (const code of codes) {
      const value = code(view)
      if (value.kind !== 'missing') return value
      why.push(value.why)
    }
    return missing(why.join(', and '))
  }
}

/** What became of the keys of an object. */
export interface Built {
  readonly value: JsonObject
  /** Keys that were left out, and why. */
  readonly leftOut: readonly Remark[]
  /** What cannot be used: the object is not to be trusted. */
  readonly wrong: readonly Remark[]
}

/** What is to be said of one key. */
export interface Remark {
  readonly path: string
  readonly why: string
  /** Where the file asks for it: `file:line:column`. */
  readonly at: string
}

export interface ObjectCode {
  readonly code: ValueCode
  readonly keys: ReadonlyMap<string, Entry>
  build(view: View): Built
}

/** A map of keys and values; of a key whose value is missing nothing is left. `keys`: those that there may be. */
export function readObject(reading: Reading, entry: Entry, keys?: readonly string[]): ObjectCode | undefined {
  const entries = readMap(reading.source, entry.value, entry.key.value, keys)
  if (entries === undefined) return undefined
  const parts: { name: string; code: ValueCode; at: string }[] = []
  for (const [name, each] of entries) {
    const code = readValue(reading, each.value)
    if (code !== undefined) parts.push({ name, code, at: placeOf(reading.source, each.value) })
  }
  const build = (view: View): Built => {
    const value: Record<string, Json> = {}
    const leftOut: Remark[] = []
    const bad: Remark[] = []
    for (const { name, code, at } of parts) {
      const one = code(view)
      if (one.kind === 'value') value[name] = one.value
      else (one.kind === 'missing' ? leftOut : bad).push({ path: name, why: one.why, at })
    }
    return { value, leftOut, wrong: bad }
  }
  const code: ValueCode = (view) => {
    const built = build(view)
    const [first] = built.wrong
    return first === undefined ? present(built.value) : wrong(`${first.path}: ${first.why}`)
  }
  return { code, keys: entries, build }
}

function constant(value: Json): ValueCode {
  const found = present(value)
  return () => found
}

function mapped(value: Value, then: (value: Json) => Value): Value {
  return value.kind === 'value' ? then(value.value) : value
}

/** What a value is called in messages. */
export function nameOf(node: Node): string {
  return isTextScalar(node) ? node.value.slice(0, 80) : 'this value'
}

function shown(value: Json): string {
  const text = JSON.stringify(value)
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`
}

/** `file:line:column` of a node, as sentences about single events name it. */
export function placeOf({ file, text }: YamlSource, node: Node): string {
  const before = text.slice(0, node.range?.[0] ?? 0)
  const lines = before.split('\n')
  return `${file}:${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`
}

export function report(source: YamlSource, place: Node | Scalar, message: string, hint: string): void {
  source.report(place, { code: 'ONCEWARD_E_RULE_WRONG_VALUE', message, hint })
}
