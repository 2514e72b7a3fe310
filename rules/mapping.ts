import { isSeq, type Node } from 'yaml'
import type { Json, JsonObject } from '../core/model/event.ts'
import type { MappedEvent } from '../core/ports/gateway.ts'
import type { Condition } from './expression.ts'
import { COMMON_KEYS, type Draft, type EventForm, type EventGiven, readEventForm } from './mapping-event.ts'
import { readNames, type NamedFields } from './mapping-names.ts'
import { placeOf, readCondition, type Reading, type Remark, report } from './mapping-value.ts'
import { bodyRoots, type Sight, viewOf } from './mapping-view.ts'
import { parseExpression } from './parser.ts'
import type { RuleProblem } from './problem.ts'
import { isObject } from './yaml-json.ts'
import { type Entries, type Entry, nodeAt, readChoice, readList, readMap, readText, required } from './yaml-reader.ts'
import { type FileKind, type RuleFile, YamlSource } from './yaml-source.ts'

export const MAPPING_KEYS = [
  'provider',
  'each',
  'fields',
  'ignore',
  'common',
  'events',
  'otherwise',
  'description',
] as const

const MAPPING_KIND: FileKind = { noun: 'mapping', begins: 'provider: …', code: 'ONCEWARD_E_MAPPING_INVALID' }
const PROVIDER = { pattern: /^[A-Za-z0-9_-]{1,64}$/, hint: 'use up to 64 letters, digits, _ and -' }

/** Events of one body: what one request may bring. */
export const MAPPED_EVENTS_MAX = 500
const FORMS_MAX = 100
/** Problems of one item that its sentence tells. */
const TOLD_MAX = 3

/** What one item of a body came to. */
export type MappedItem = MappedEvent & {
  /** Where it stands in the body: `rounds[3]`, or `the body`. */
  readonly item: string
  /** What was left out of it because the body has nothing there, a sentence each. */
  readonly leftOut: readonly string[]
}

export type MappedBody =
  | { readonly ok: true; readonly events: readonly MappedItem[]; readonly ignored: number }
  | { readonly ok: false; readonly detail: string }

export interface RequestOfBody {
  /** Unix milliseconds. */
  readonly receivedAt: number
  readonly requestId: string
}

export interface CompiledMapping {
  /** What stands at `provider`: for people. */
  readonly provider: string
  /** The events that it makes; undefined where the body says their names. */
  readonly eventNames: ReadonlySet<string> | undefined
  /** It takes something of the request, so that the same body does not always give the same events. */
  readonly usesRequest: boolean
  /** Pure: the same body and request give the same events. Never throws, whatever the body is. */
  map(body: JsonObject, request: RequestOfBody): MappedBody
}

export type MappingReading =
  | { readonly ok: true; readonly mapping: CompiledMapping }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/**
 * Reads a mapping: how a provider's body becomes events (docs/PROVIDERS.md has its form). Answers every problem found
 * (ONCEWARD_E_MAPPING_INVALID), by place. Never throws on bad input.
 */
export function compileMapping(file: RuleFile): MappingReading {
  const source = new YamlSource(file, MAPPING_KIND)
  const root = source.parse()
  const mapping = root && readRoot(source, root)
  if (mapping !== undefined && source.problems.length === 0) return { ok: true, mapping }
  return { ok: false, problems: eachOnce(source.problems) }
}

/** What is wrong in `common` is found again for each event. */
function eachOnce(problems: readonly RuleProblem[]): readonly RuleProblem[] {
  const byPlace = new Map(problems.map((each) => [`${each.line}:${each.column}:${each.message}`, each]))
  return [...byPlace.values()].toSorted((a, b) => a.line - b.line || a.column - b.column)
}

function readRoot(source: YamlSource, root: Node): CompiledMapping | undefined {
  const top = readMap(source, root, 'a mapping', MAPPING_KEYS)
  if (top === undefined) return undefined
  const owner = (hint: string): { node: Node; hint: string } => ({ node: root, hint })
  const provider = readText(source, required(source, top, 'provider', owner('write provider: gameco')), PROVIDER)
  readText(source, top.get('description'))
  const each = readEach(source, top.get('each'))
  const named = readNames(source, top.get('fields'))
  const otherwise = readChoice(source, top.get('otherwise'), ['reject', 'ignore'] as const) ?? 'reject'
  const roots = bodyRoots({ each: top.has('each'), named: named.names })
  const events = required(
    source,
    top,
    'events',
    owner('write a list of them, each with event_name, event_id, ts and user'),
  )
  const reading = { source, roots }
  const ignore = readIgnore(reading, top.get('ignore'))
  const given = { each: top.has('each'), common: readCommon(source, top.get('common')) }
  const forms = events === undefined ? [] : readForms(reading, events, given)
  if (provider === undefined || source.problems.length > 0) return undefined
  const plan: Plan = { file: source.file, each, named, ignore, otherwise, forms }
  return {
    provider,
    eventNames: namesOf(forms),
    usesRequest: roots.usesRequest(),
    map: (body, request) => mapBody(plan, body, request),
  }
}

/** The path of the list whose items are events, and where the mapping says so. */
interface Each {
  readonly path: readonly string[]
  readonly at: string
}

function readEach(source: YamlSource, entry: Entry | undefined): Each | undefined {
  const text = readText(source, entry)
  if (entry === undefined || text === undefined) return undefined
  const parsed = parseExpression(text)
  const path = parsed.ok && parsed.expression.kind === 'field' ? parsed.expression.path : undefined
  if (path !== undefined)
    return { path: path[0] === 'body' && path.length > 1 ? path.slice(1) : path, at: placeOf(source, entry.value) }
  report(source, entry.value, 'each names the list of the body whose items are events', 'write each: rounds')
  return undefined
}

/** One condition or several: what is known to be no event. */
function readIgnore(reading: Reading, entry: Entry | undefined): readonly Condition[] {
  if (entry === undefined) return []
  const conditions = readList(entry).map((value) => readCondition(reading, { key: entry.key, value }))
  return conditions.filter((condition) => condition !== undefined)
}

function readCommon(source: YamlSource, entry: Entry | undefined): Entries {
  return (entry && readMap(source, entry.value, 'common', COMMON_KEYS)) ?? new Map()
}

function readForms(reading: Reading, { key, value }: Entry, given: EventGiven): readonly EventForm[] {
  const { source } = reading
  const nodes = isSeq<Node>(value) ? value.items : []
  if (nodes.length === 0 || nodes.length > FORMS_MAX) {
    report(
      source,
      value,
      `${key.value} is a list of 1 to ${FORMS_MAX} events`,
      'begin each with a dash: - event_name: bet',
    )
    return []
  }
  const forms = nodes.map((node) => readEventForm(reading, node, given))
  // What is wrong with one says nothing about the order of the others.
  const whole = nodes.findIndex((node, index) => !hasWhen(node) && index < nodes.length - 1)
  const next = nodes[whole + 1]
  if (whole >= 0 && next !== undefined) {
    report(
      source,
      next,
      'nothing comes to this event: the one above has no `when` and takes everything',
      'put it last, or give it a when',
    )
  }
  return forms.filter((form) => form !== undefined)
}

function hasWhen(node: Node): boolean {
  return nodeAt(node, ['when']) !== undefined
}

function namesOf(forms: readonly EventForm[]): ReadonlySet<string> | undefined {
  const names = forms.map(({ eventName }) => eventName).filter((name) => name !== undefined)
  return names.length === forms.length ? new Set(names) : undefined
}

interface Plan {
  readonly file: string
  readonly each: Each | undefined
  readonly named: NamedFields
  readonly ignore: readonly Condition[]
  readonly otherwise: 'reject' | 'ignore'
  readonly forms: readonly EventForm[]
}

function mapBody(plan: Plan, body: JsonObject, request: RequestOfBody): MappedBody {
  const items = itemsOf(plan, body)
  if (typeof items === 'string') return { ok: false, detail: items }
  const facts = { id: request.requestId, received_at: request.receivedAt }
  const events: MappedItem[] = []
  let ignored = 0
  for (const [index, item] of items.entries()) {
    const name = plan.each === undefined ? 'the body' : `${plan.each.path.join('.')}[${index}]`
    const mapped = mapItem(plan, { item, body, request: facts, index, named: plan.named.read(item, body) }, name)
    if (mapped === undefined) ignored++
    else events.push(mapped)
  }
  return { ok: true, events, ignored }
}

/** Those of the list that `each` names, or the body; or a sentence that says why there are none. */
function itemsOf({ each }: Plan, body: JsonObject): readonly Json[] | string {
  if (each === undefined) return [body]
  const name = each.path.join('.')
  const found = each.path.reduce<Json | undefined>(
    (holder, step) => (isObject(holder) && Object.hasOwn(holder, step) ? holder[step] : undefined),
    body,
  )
  if (!isList(found)) {
    return `${name} is ${found === undefined ? 'missing' : 'no list'} in the body; the mapping takes its items (${each.at})`
  }
  if (found.length <= MAPPED_EVENTS_MAX) return found
  return `${name} has ${found.length} items, at most ${MAPPED_EVENTS_MAX} are taken in one call; send several`
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

/** undefined: it fits no event, and what fits none is ignored. */
function mapItem(plan: Plan, sight: Sight, name: string): MappedItem | undefined {
  const { item } = sight
  if (!isObject(item)) {
    return { ok: false, item: name, detail: `${name} is no object`, event: { item }, leftOut: [] }
  }
  const view = viewOf(sight)
  if (plan.ignore.some((holds) => holds(view))) return undefined
  const form = plan.forms.find(({ when }) => when === undefined || when(view))
  if (form !== undefined) return itemOf(form.draft(view), name)
  if (plan.otherwise === 'ignore') return undefined
  const detail = `${name} fits none of the events of ${plan.file}; add one for it, or name it in ignore`
  return { ok: false, item: name, detail, event: item, leftOut: [] }
}

function itemOf({ event, problems, leftOut }: Draft, name: string): MappedItem {
  const told = ({ path, why, at }: Remark): string => `${path} cannot be made: ${why} (${at})`
  const gone = leftOut.map(({ path, why, at }) => `${path} is left out: ${why} (${at})`)
  if (problems.length === 0) return { ok: true, item: name, event, leftOut: gone }
  const detail = `${name}: ${problems.slice(0, TOLD_MAX).map(told).join('; ')}`
  return { ok: false, item: name, detail, event, leftOut: gone }
}
