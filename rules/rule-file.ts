import { createHash } from 'node:crypto'
import { isMap, isNode, type Node } from 'yaml'
import { assert } from '../core/assert.ts'
import type { SegmentNames } from './checker.ts'
import type { CompiledRule } from './compiled.ts'
import { readDate } from './dates.ts'
import type { Notes, Scope } from './expression-text.ts'
import type { EventFields } from './field-check.ts'
import { readGuardrails } from './guardrails-section.ts'
import type { PolicySource } from './policy-file.ts'
import type { RuleProblem } from './problem.ts'
import { readTrigger } from './reward-section.ts'
import { PERCENT, readExperiment, withArms } from './rollout-section.ts'
import { DEFAULT_ZONE, readCaps, readScore, readScoreEntries, type Score } from './score-section.ts'
import type { Segments } from './segment.ts'
import type { SegmentSource } from './segment-file.ts'
import { readWhen, type When } from './when-section.ts'
import { canonicalJson, isObject, jsonOf } from './yaml-json.ts'
import { readOrdering } from './window-section.ts'
import { WindowUses } from './window-spec.ts'
import { type Entries, type Entry, readMap, readNumber, readText, required } from './yaml-reader.ts'
import { type Finding, type RuleFile, YamlSource } from './yaml-source.ts'

/** A rule as it was read from a file. */
export interface RuleSource extends RuleFile {
  readonly rule: CompiledRule
  /** `meta.effective_from` in ms of event time; undefined where the file has none. */
  readonly effectiveFrom: number | undefined
  /** SHA-256, hex, over what the file says; comments, blanks and the order of keys don't count. */
  readonly contentHash: string
  /** The segments that it names, where they are at hand; they are published with it. */
  readonly segments?: readonly SegmentSource[]
  /** The policies that lie beside it; they are published with it. */
  readonly policies?: readonly PolicySource[]
}

export type RuleReading =
  | { readonly ok: true; readonly rule: RuleSource }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/** The version of a rule whose file names none. */
export const DEFAULT_VERSION = '1.0'

export const TOP_KEYS = [
  'rule_id',
  'when',
  'ordering',
  'priority',
  'exclusive_group',
  'score',
  'reward_trigger',
  'guardrails',
  'meta',
] as const
export const META_KEYS = [
  'version',
  'effective_from',
  'rollout',
  'experiment',
  'name',
  'description',
  'owner',
  'ticket',
] as const
export const PRIORITY_MAX = 1_000_000

const RULE_ID = {
  pattern: /^[A-Za-z0-9][\w.:-]{0,127}$/,
  hint: 'a rule id has letters, digits, _, ., : and -, at most 128',
}
const VERSION = {
  pattern: /^[A-Za-z0-9][\w.+-]{0,63}$/,
  hint: 'a version has letters, digits, _, ., + and -, such as "2.0"',
}
const GROUP = {
  pattern: /^[A-Za-z0-9][\w.:-]{0,127}$/,
  hint: 'the name of a group has letters, digits, _, ., : and -',
}

/** What is known outside of the file. */
export interface ReadOptions {
  /** What conditions ask; a segment that is not there has unknown members. */
  readonly segments?: Pick<Segments, 'get'> | undefined
  /** Where given, a segment that is not among them is an error. */
  readonly knownSegments?: SegmentNames | undefined
  /** Where given, fields and their types are checked. */
  readonly fieldsOf?: ((eventNames: readonly string[]) => EventFields | undefined) | undefined
}

/** What a file was made of, for those who look closer at it than the engine does. */
export interface RuleParts {
  readonly source: YamlSource
  readonly top: Entries
  readonly when: When
  readonly score: Score
  readonly notes: Notes
}

/** Reads and compiles one rule file; answers every problem found. Never throws on bad input. */
export function readRule(file: RuleFile, options: ReadOptions = {}): RuleReading {
  const reading = readRuleParts(file, options)
  return reading.ok ? { ok: true, rule: reading.rule } : reading
}

export type PartsReading =
  | { readonly ok: true; readonly rule: RuleSource; readonly parts: RuleParts }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

export function readRuleParts(file: RuleFile, options: ReadOptions): PartsReading {
  const source = new YamlSource(file)
  const root = source.parse()
  const read = root && readRoot(source, root, options)
  if (read === undefined || source.problems.length > 0)
    return { ok: false, problems: inOrder([...source.problems, ...source.warnings]) }
  const { parts, ...rule } = read
  return { ok: true, rule: { ...file, ...rule }, parts }
}

/** A problem of a file that can be read, at the value of a key of `meta`, or at the beginning where there is none. */
export function problemAtMeta(file: RuleFile, key: (typeof META_KEYS)[number], finding: Finding): RuleProblem {
  const source = new YamlSource(file)
  const root = source.parse()
  const node = isMap(root) ? root.getIn(['meta', key], true) : undefined
  source.report(isNode(node) ? node : 0, finding)
  const [problem] = source.problems
  assert(problem !== undefined, 'what is reported is told')
  return problem
}

/** By place. */
export function inOrder(problems: readonly RuleProblem[]): readonly RuleProblem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
}

type Read = Pick<RuleSource, 'rule' | 'effectiveFrom' | 'contentHash'> & { readonly parts: RuleParts }

function readRoot(source: YamlSource, root: Node, options: ReadOptions): Read | undefined {
  const top = readMap(source, root, 'a rule', TOP_KEYS)
  if (top === undefined) return undefined
  const owner = (hint: string): { node: Node; hint: string } => ({ node: root, hint })
  const ruleId = readText(source, required(source, top, 'rule_id', owner('write rule_id: r_points')), RULE_ID)
  const entries = readScoreEntries(source, required(source, top, 'score', owner('write score: { formula: "1" }')))
  const timeZone = entries?.zone ?? DEFAULT_ZONE
  const { segments, knownSegments, fieldsOf } = options
  const windows = new WindowUses()
  const notes: Notes = { all: [], amounts: [] }
  const scopeOf = (names: readonly string[]): Scope => ({
    zone: timeZone,
    segments,
    knownSegments,
    fields: names.length === 0 ? undefined : fieldsOf?.(names),
    fieldsOf,
    windows,
    notes,
  })
  const when = readWhen(source, required(source, top, 'when', owner('write when: { event_name: bet }')), scopeOf)
  const scope = scopeOf(when?.eventNames ?? [])
  const score = entries && readScore(source, entries, scope)
  const caps = readCaps(source, entries?.keys.get('caps'))
  const turn = readTurn(source, top)
  const triggerEntry = top.get('reward_trigger')
  const trigger = triggerEntry && readTrigger(source, triggerEntry, scope)
  const guardrails = readGuardrails(source, top.get('guardrails'))
  const meta = readMeta(source, top.get('meta'), timeZone)
  const experiment = readExperiment(source, meta.entries.get('experiment'), scope)
  const triggers = [trigger, ...(experiment?.arms ?? []).map(({ changes }) => changes.trigger)]
  const limited = triggers.some((each) => each?.limits !== undefined)
  const asked = when && { node: when.names.key, mayMatch: when.mayMatch, limited }
  const lane = readOrdering(source, top.get('ordering'), asked, windows)
  if (ruleId === undefined || when === undefined || score === undefined || source.problems.length > 0) return undefined
  const { version, rollout, effectiveFrom } = meta
  const rule: CompiledRule = {
    ruleId,
    version,
    ...(experiment === undefined ? {} : { experiment: experiment.id }),
    ...(rollout === undefined ? {} : { rollout }),
    eventNames: when.eventNames,
    ...lane,
    ...turn,
    timeZone,
    matches: when.matches,
    ...(when.equalities.length === 0 ? {} : { equalities: when.equalities }),
    points: score.points,
    caps,
    ...(trigger === undefined ? {} : { trigger }),
    ...guardrails,
  }
  return {
    rule: withArms(rule, experiment),
    effectiveFrom,
    contentHash: hashOf(source, root, version),
    parts: { source, top, when, score, notes },
  }
}

/** Whose turn it is among several rules. */
function readTurn(source: YamlSource, top: Entries): Pick<CompiledRule, 'priority' | 'exclusiveGroup'> {
  const priority = readNumber(source, top.get('priority'), { min: -PRIORITY_MAX, max: PRIORITY_MAX, decimals: 0 })
  const group = readText(source, top.get('exclusive_group'), GROUP)
  return {
    ...(priority === undefined ? {} : { priority }),
    ...(group === undefined ? {} : { exclusiveGroup: group }),
  }
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

interface Meta {
  readonly entries: Entries
  readonly version: string
  readonly rollout: number | undefined
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
    entries: meta,
    version: readText(source, meta.get('version'), VERSION) ?? DEFAULT_VERSION,
    rollout: readNumber(source, meta.get('rollout'), PERCENT),
    effectiveFrom: date?.ok === true ? date.range.from : undefined,
  }
}
