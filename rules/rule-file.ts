import { createHash } from 'node:crypto'
import { isScalar, isSeq, type Node, type Scalar } from 'yaml'
import { isValidZone } from './calendar.ts'
import { checkExpression } from './checker.ts'
import type { Caps, CompiledRule, Points } from './compiled.ts'
import { readDate } from './dates.ts'
import { compileCondition, compileNumber, type CompileContext, type Condition } from './expression.ts'
import type { NumberCode } from './number-code.ts'
import { parseExpression } from './parser.ts'
import { nearest, type RuleProblem } from './problem.ts'
import { readGuardrails, readTrigger } from './reward-section.ts'
import { tolerantFloor } from './tolerance.ts'
import { canonicalJson, isObject, jsonOf } from './yaml-json.ts'
import {
  type Entries,
  type Entry,
  readChoice,
  readList,
  readMap,
  readNumber,
  readText,
  required,
} from './yaml-reader.ts'
import { isTextScalar, type RuleFile, YamlSource } from './yaml-source.ts'

/** A rule as it was read from a file. */
export interface RuleSource extends RuleFile {
  readonly rule: CompiledRule
  /** `meta.effective_from` in ms of event time; undefined where the file has none. */
  readonly effectiveFrom: number | undefined
  /** SHA-256, hex, over what the file says; comments, blanks and the order of keys don't count. */
  readonly contentHash: string
}

export type RuleReading =
  | { readonly ok: true; readonly rule: RuleSource }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/** The version of a rule whose file names none. */
export const DEFAULT_VERSION = '1.0'
const DEFAULT_ZONE = 'UTC'
const FILTERS_MAX = 100
const EVENT_NAMES_MAX = 100

const TOP_KEYS = ['rule_id', 'when', 'ordering', 'score', 'reward_trigger', 'guardrails', 'meta']
const META_KEYS = ['version', 'experiment', 'effective_from', 'name', 'description', 'owner', 'ticket']
const CAP_KEYS = ['per_bet', 'per_event', 'per_minute', 'per_hour', 'per_day']

const RULE_ID = {
  pattern: /^[A-Za-z0-9][\w.:-]{0,127}$/,
  hint: 'a rule id has letters, digits, _, ., : and -, at most 128',
}
const VERSION = {
  pattern: /^[A-Za-z0-9][\w.+-]{0,63}$/,
  hint: 'a version has letters, digits, _, ., + and -, such as "2.0"',
}
const EVENT_NAME = { pattern: /^[A-Za-z0-9][\w.:-]{0,127}$/, hint: 'an event name has letters, digits, _, ., : and -' }

/** Reads and compiles one rule file; answers every problem found. Never throws on bad input. */
export function readRule(file: RuleFile): RuleReading {
  const source = new YamlSource(file)
  const root = source.parse()
  const rule = root && readRoot(source, root)
  if (rule === undefined || source.problems.length > 0) return { ok: false, problems: inOrder(source.problems) }
  return { ok: true, rule: { ...file, ...rule } }
}

function inOrder(problems: readonly RuleProblem[]): readonly RuleProblem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
}

type Read = Pick<RuleSource, 'rule' | 'effectiveFrom' | 'contentHash'>

function readRoot(source: YamlSource, root: Node): Read | undefined {
  const top = readMap(source, root, 'a rule', TOP_KEYS)
  if (top === undefined) return undefined
  const owner = (hint: string): { node: Node; hint: string } => ({ node: root, hint })
  const ruleId = readText(source, required(source, top, 'rule_id', owner('write rule_id: r_points')), RULE_ID)
  const scoreEntry = required(source, top, 'score', owner('write score: { formula: "1" }'))
  const score = scoreEntry && readMap(source, scoreEntry.value, 'score', ['formula', 'caps', 'time_zone'])
  const timeZone = readZone(source, score?.get('time_zone'))
  const when = readWhen(source, required(source, top, 'when', owner('write when: { event_name: bet }')), timeZone)
  const formula =
    scoreEntry &&
    score &&
    readFormula(
      source,
      required(source, score, 'formula', { node: scoreEntry.key, hint: 'write formula: "1"' }),
      timeZone,
    )
  const caps = readCaps(source, score?.get('caps'))
  const ordering = readChoice(source, top.get('ordering'), ['any', 'strict'] as const) ?? 'any'
  const triggerEntry = top.get('reward_trigger')
  const trigger = triggerEntry && readTrigger(source, triggerEntry)
  const guardrails = readGuardrails(source, top.get('guardrails'))
  const { version, experiment, effectiveFrom } = readMeta(source, top.get('meta'), timeZone)
  if (ruleId === undefined || when === undefined || formula === undefined || source.problems.length > 0)
    return undefined
  const rule: CompiledRule = {
    ruleId,
    version,
    ...(experiment === undefined ? {} : { experiment }),
    eventNames: when.eventNames,
    ordering,
    timeZone,
    matches: allOf(when.filters),
    points: pointsOf(formula),
    caps,
    ...(trigger === undefined ? {} : { trigger }),
    guardrails,
  }
  return { rule, effectiveFrom, contentHash: hashOf(source, root, version) }
}

/** A version is the same with and without quotes, so the text it stands for is what counts. */
function hashOf(source: YamlSource, root: Node, version: string): string {
  const content = jsonOf(root)
  if (!isObject(content)) {
    source.report(root, { code: 'ONCEWARD_E_RULE_WRONG_TYPE', message: 'the file holds values that JSON cannot' })
    return ''
  }
  const meta = isObject(content['meta']) ? content['meta'] : {}
  const canonical = canonicalJson({ ...content, meta: { ...meta, version } })
  return createHash('sha256').update(canonical).digest('hex')
}

function readZone(source: YamlSource, entry: Entry | undefined): string {
  const zone = readText(source, entry)
  if (zone === undefined || entry === undefined) return DEFAULT_ZONE
  if (isValidZone(zone)) return zone
  const like = nearest(zone, Intl.supportedValuesOf('timeZone'))
  const hint =
    like === undefined
      ? 'write a name of the IANA time zone database, such as Europe/Istanbul'
      : `did you mean ${like}?`
  source.report(entry.value, { code: 'ONCEWARD_E_RULE_WRONG_VALUE', message: `there is no time zone "${zone}"`, hint })
  return DEFAULT_ZONE
}

function readWhen(
  source: YamlSource,
  entry: Entry | undefined,
  zone: string,
): { eventNames: string[]; filters: Condition[] } | undefined {
  const when = entry && readMap(source, entry.value, 'when', ['event_name', 'filters'])
  if (entry === undefined || when === undefined) return undefined
  const names = required(source, when, 'event_name', { node: entry.key, hint: 'write event_name: bet' })
  const filters = when.get('filters')
  const eventNames = names && readEventNames(source, names)
  const conditions = filters === undefined ? [] : readFilters(source, filters, zone)
  return eventNames && { eventNames, filters: conditions }
}

function readEventNames(source: YamlSource, entry: Entry): string[] | undefined {
  const nodes = readList(entry)
  if (nodes.length === 0 || nodes.length > EVENT_NAMES_MAX) {
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: `event_name is a name or a list of 1 to ${EVENT_NAMES_MAX} names`,
    })
    return undefined
  }
  const names = nodes.map((value) => readText(source, { key: entry.key, value }, EVENT_NAME))
  return [...new Set(names.filter((name) => name !== undefined))]
}

function readFilters(source: YamlSource, entry: Entry, zone: string): Condition[] {
  if (!isSeq(entry.value)) {
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_WRONG_TYPE',
      message: 'filters is a list of conditions',
      hint: 'begin each with a dash: - payload.bet >= 0.2',
    })
    return []
  }
  const nodes = readList(entry)
  if (nodes.length > FILTERS_MAX) {
    source.report(entry.value, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: `a rule has at most ${FILTERS_MAX} filters`,
      hint: 'join conditions with and',
    })
  }
  return nodes.slice(0, FILTERS_MAX).flatMap((node) => {
    const context = isTextScalar(node) ? { zone, text: node.value } : undefined
    if (context === undefined || !isTextScalar(node)) {
      source.report(node, {
        code: 'ONCEWARD_E_RULE_WRONG_TYPE',
        message: 'a filter is a text',
        hint: 'write it in quotes: - "payload.bet >= 0.2"',
      })
      return []
    }
    const expression = readExpression(source, node, { ...context, wanted: 'condition' })
    return expression === undefined ? [] : [compileCondition(expression, true, context)]
  })
}

function readFormula(source: YamlSource, entry: Entry | undefined, zone: string): NumberCode | undefined {
  if (entry === undefined) return undefined
  const { value: node } = entry
  if (isScalar(node) && typeof node.value === 'number' && Number.isFinite(node.value)) {
    const number = node.value
    return { value: () => number, explain: () => undefined }
  }
  if (!isTextScalar(node)) {
    source.report(node, {
      code: 'ONCEWARD_E_RULE_WRONG_TYPE',
      message: 'formula is a text or a number',
      hint: 'write formula: "floor(payload.win * 3)"',
    })
    return undefined
  }
  const context = { zone, text: node.value }
  const expression = readExpression(source, node, { ...context, wanted: 'number' })
  return expression && compileNumber(expression, context)
}

/** The checked expression that `scalar` holds; undefined, with problems reported, where it is wrong. */
function readExpression(
  source: YamlSource,
  scalar: Scalar<string>,
  { wanted, zone, text }: CompileContext & { wanted: 'condition' | 'number' },
) {
  const parsed = parseExpression(text)
  const faults = parsed.ok ? checkExpression(parsed.expression, wanted, zone) : [parsed.fault]
  for (const fault of faults) source.reportFault(scalar, fault)
  return parsed.ok && faults.length === 0 ? parsed.expression : undefined
}

function readCaps(source: YamlSource, entry: Entry | undefined): Caps {
  const keys = entry && readMap(source, entry.value, 'caps', CAP_KEYS)
  if (keys === undefined) return {}
  const alias = keys.get('per_event')
  if (alias !== undefined && keys.has('per_bet')) {
    source.report(alias.key, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: 'per_event and per_bet are the same cap',
      hint: 'write one of them',
    })
  }
  const cap = (name: string): number | undefined =>
    readNumber(source, keys.get(name), { min: 0, max: Number.MAX_SAFE_INTEGER, decimals: 0 })
  const perBet = cap('per_bet') ?? cap('per_event')
  const [perMinute, perHour, perDay] = [cap('per_minute'), cap('per_hour'), cap('per_day')]
  return {
    ...(perBet === undefined ? {} : { perBet }),
    ...(perMinute === undefined ? {} : { perMinute }),
    ...(perHour === undefined ? {} : { perHour }),
    ...(perDay === undefined ? {} : { perDay }),
  }
}

interface Meta {
  readonly version: string
  readonly experiment: string | undefined
  readonly effectiveFrom: number | undefined
}

function readMeta(source: YamlSource, entry: Entry | undefined, zone: string): Meta {
  const meta: Entries = (entry && readMap(source, entry.value, 'meta', META_KEYS)) ?? new Map()
  for (const name of ['name', 'description', 'owner', 'ticket']) readText(source, meta.get(name))
  const effective = meta.get('effective_from')
  const text = readText(source, effective)
  const date = text === undefined ? undefined : readDate(text, zone)
  if (effective !== undefined && date?.ok === false) {
    source.report(effective.value, {
      code: 'ONCEWARD_E_RULE_WRONG_VALUE',
      message: `effective_from: ${date.message}`,
      hint: date.hint,
    })
  }
  return {
    version: readText(source, meta.get('version'), VERSION) ?? DEFAULT_VERSION,
    experiment: readText(source, meta.get('experiment')),
    effectiveFrom: date?.ok === true ? date.range.from : undefined,
  }
}

function allOf(conditions: readonly Condition[]): Condition {
  const [first, second, third] = conditions
  if (first === undefined) return () => true
  if (second === undefined) return first
  if (third === undefined) return (event) => first(event) && second(event)
  return (event) => {
    for (const condition of conditions) if (!condition(event)) return false
    return true
  }
}

function pointsOf(formula: NumberCode): CompiledRule['points'] {
  return (event): Points => {
    const raw = formula.value(event)
    if (!Number.isFinite(raw)) {
      return { ok: false, detail: formula.explain(event) ?? 'the formula gave no finite number' }
    }
    const points = tolerantFloor(raw)
    return { ok: true, points: points > 0 ? Math.min(points, Number.MAX_SAFE_INTEGER) : 0 }
  }
}
