import { unreachable } from '../core/assert.ts'
import { SECOND_MS } from '../core/durations.ts'
import { messageOf } from '../core/errors.ts'
import type { RuleSet, RuleVersion } from './compiled.ts'
import { versionKey } from './load.ts'
import type { RuleProblem } from './problem.ts'
import { readRule, type RuleSource } from './rule-file.ts'
import { ruleSetOf } from './rule-set.ts'
import type { Segments } from './segment.ts'
import {
  encodeSegmentRecord,
  foldSegments,
  isSegmentValue,
  planSegments,
  segmentKey,
  type SegmentRecords,
  type SegmentState,
} from './segment-control.ts'

/**
 * The rules.control topic: who published which version of which rule, from when on. Pure: records in, decisions out.
 *
 * I1  The first record of a (rule id, version) decides what that version is, for ever, on every worker.
 * I2  Compaction never removes a record that decides anything: keys differ wherever records do.
 */
export interface ControlRecord {
  readonly type: 'rule.published'
  readonly rule_id: string
  readonly version: string
  /** RFC 3339; null: in effect since ever. */
  readonly effective_from: string | null
  /** The rule file, as it was. */
  readonly content: string
  /** SHA-256, hex, over what the file says. */
  readonly content_hash: string
  readonly file: string
  /** RFC 3339. */
  readonly published_at: string
  readonly published_by?: string
}

/** How far ahead a new version takes effect that says nothing itself: every worker has read it by then. */
export const EFFECTIVE_MARGIN_MS = 10 * SECOND_MS

/**
 * The record's key on the compacted topic. The same version published twice, by two workers that start at once, may
 * differ in its instant even where the content is the same: so the time of publication is part of the key (I2).
 */
export function controlKey(record: ControlRecord): string {
  return `${record.rule_id}@${record.version}#${record.content_hash.slice(0, 12)}@${record.published_at}`
}

export function encodeControlRecord(record: ControlRecord): string {
  return JSON.stringify(record)
}

export type ControlDecoding =
  | { readonly ok: true; readonly record: ControlRecord }
  | { readonly ok: false; readonly message: string }

/** Reads the value of a record; answers what is wrong with it where it is none of ours. */
export function decodeControlRecord(value: string): ControlDecoding {
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch (error) {
    return { ok: false, message: `the value is no JSON: ${messageOf(error)}` }
  }
  if (typeof parsed !== 'object' || parsed === null) return { ok: false, message: 'the value is no JSON object' }
  const record = parsed as Record<string, unknown>
  if (record['type'] !== 'rule.published') {
    return {
      ok: false,
      message: `records of type ${JSON.stringify(record['type'])} are unknown to this version of Onceward`,
    }
  }
  for (const name of ['rule_id', 'version', 'content', 'content_hash', 'file', 'published_at']) {
    if (typeof record[name] !== 'string') return { ok: false, message: `${name} is no text` }
  }
  const from = record['effective_from']
  if (from !== null && (typeof from !== 'string' || Number.isNaN(Date.parse(from)))) {
    return { ok: false, message: 'effective_from is neither null nor a time' }
  }
  return { ok: true, record: parsed as ControlRecord }
}

/** One version as it was published, and the rule it holds. */
export interface PublishedRule {
  readonly record: ControlRecord
  readonly source: RuleSource
}

/** What the control topic says, read from its beginning up to some position. */
export interface ControlState {
  readonly set: RuleSet
  readonly segments: SegmentState
  /** By versionKey, in the order of publication. */
  readonly published: ReadonlyMap<string, PublishedRule>
  /** Records that were ignored, and why; the rest is in force. */
  readonly problems: readonly RuleProblem[]
}

/** The value of a control record and how to name it in problems, such as `rules.control[0]@17`. */
export interface ControlEntry {
  /** null is a tombstone, which says nothing here: what was published stays published. */
  readonly value: string | Buffer | null
  readonly place: string
}

/** Folds the records of the control topic, in the order of the log. Never throws on what a record holds. */
export function foldControl(entries: readonly ControlEntry[]): ControlState {
  const published = new Map<string, PublishedRule>()
  const said = entries.flatMap(({ value, place }) => (value === null ? [] : [{ value, place }]))
  const segments = foldSegments(said.filter(({ value }) => isSegmentValue(value)))
  const problems: RuleProblem[] = [...segments.problems]
  for (const { value, place } of said) {
    if (isSegmentValue(value)) continue
    const entry = readEntry(value.toString(), place, segments.segments)
    if (!entry.ok) {
      problems.push(...entry.problems)
      continue
    }
    const { record, source } = entry.rule
    const key = versionKey(record.rule_id, record.version)
    const first = published.get(key)
    if (first === undefined) published.set(key, entry.rule)
    else if (first.source.contentHash !== source.contentHash) problems.push(ignored(entry.rule, place))
  }
  const versions = [...published.values()].map(({ record, source }): RuleVersion => {
    if (record.effective_from === null) return { rule: source.rule, effectiveFrom: undefined }
    const effectiveFrom = Date.parse(record.effective_from)
    // Its windows fill from when every worker knows it, so that a rule published ahead of time finds them full.
    const known = Date.parse(record.published_at) + EFFECTIVE_MARGIN_MS
    return { rule: source.rule, effectiveFrom, countsFrom: Math.min(effectiveFrom, known) }
  })
  return { set: ruleSetOf(versions), segments, published, problems }
}

type EntryReading =
  | { readonly ok: true; readonly rule: PublishedRule }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

function readEntry(value: string, place: string, segments: Segments): EntryReading {
  const decoded = decodeControlRecord(value)
  if (!decoded.ok) return { ok: false, problems: [atPlace(place, `this record is ignored: ${decoded.message}`)] }
  const { record } = decoded
  const reading = readRule({ file: record.file, text: record.content }, { segments })
  if (!reading.ok)
    return {
      ok: false,
      problems: reading.problems.map((problem) => ({ ...problem, file: `${place} ${problem.file}` })),
    }
  const { ruleId, version } = reading.rule.rule
  if (ruleId !== record.rule_id || version !== record.version) {
    const message = `this record is ignored: it is named ${record.rule_id} ${record.version} but holds ${ruleId} ${version}`
    return { ok: false, problems: [atPlace(place, message)] }
  }
  return { ok: true, rule: { record, source: reading.rule } }
}

function ignored({ record }: PublishedRule, place: string): RuleProblem {
  const message = `this record is ignored: rule ${record.rule_id} version ${record.version} was published before with other content`
  return {
    ...atPlace(place, message),
    code: 'ONCEWARD_E_RULE_VERSION_CHANGED',
    hint: 'publish the change under a new meta.version',
  }
}

function atPlace(place: string, message: string): RuleProblem {
  return { code: 'ONCEWARD_E_RULE_WRONG_VALUE', file: place, line: 0, column: 0, message, snippet: '' }
}

export interface PublicationPlan {
  /** Segments that the rules name and that say something new; each is written before the rules. */
  readonly segments: readonly SegmentRecords[]
  /** In the order in which to write them. */
  readonly publish: readonly ControlRecord[]
  readonly unchanged: readonly RuleSource[]
  readonly refused: readonly RuleProblem[]
}

/** All that a plan writes on the control topic, in order. */
export function recordsOf({ segments, publish }: PublicationPlan): readonly { key: string; value: string }[] {
  return [
    ...segments.flat().map((record) => ({ key: segmentKey(record), value: encodeSegmentRecord(record) })),
    ...publish.map((record) => ({ key: controlKey(record), value: encodeControlRecord(record) })),
  ]
}

type Decision =
  | { readonly kind: 'publish'; readonly record: ControlRecord }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly problem: RuleProblem }

/**
 * What of `rules` is to be published, given what the control topic says already. A version takes effect at its
 * `meta.effective_from`; where it has none, the first of a rule since ever, and any later one EFFECTIVE_MARGIN_MS after
 * `nowMs`. Where several versions of one rule are new they are published in the order of their versions. A published
 * version never changes: other content under it is refused.
 */
export function planPublication(
  known: ControlState,
  rules: readonly RuleSource[],
  { nowMs, publishedBy }: { readonly nowMs: number; readonly publishedBy?: string },
): PublicationPlan {
  const publish: ControlRecord[] = []
  const unchanged: RuleSource[] = []
  const refused: RuleProblem[] = []
  const knownIds = new Set([...known.published.values()].map(({ record }) => record.rule_id))
  for (const source of inVersionOrder(rules)) {
    const first = knownIds.has(source.rule.ruleId) ? nowMs + EFFECTIVE_MARGIN_MS : undefined
    const decision = decide(source, known, { nowMs, defaultFrom: first, publishedBy })
    switch (decision.kind) {
      case 'publish':
        publish.push(decision.record)
        knownIds.add(source.rule.ruleId)
        break
      case 'unchanged':
        unchanged.push(source)
        break
      case 'refused':
        refused.push(decision.problem)
        break
      default:
        unreachable(decision)
    }
  }
  const named = new Map(rules.flatMap((rule) => (rule.segments ?? []).map((each) => [each.segmentId, each] as const)))
  const moment = { nowMs, marginMs: EFFECTIVE_MARGIN_MS, publishedBy }
  return { segments: planSegments(known.segments, named.values(), moment), publish, unchanged, refused }
}

interface Moment {
  readonly nowMs: number
  /** From when a version that says nothing itself is in effect. */
  readonly defaultFrom: number | undefined
  readonly publishedBy: string | undefined
}

function decide(source: RuleSource, known: ControlState, { nowMs, defaultFrom, publishedBy }: Moment): Decision {
  const { ruleId, version } = source.rule
  const before = known.published.get(versionKey(ruleId, version))
  if (before?.source.contentHash === source.contentHash) return { kind: 'unchanged' }
  if (before !== undefined) return { kind: 'refused', problem: changed(source, before.record) }
  const from = source.effectiveFrom ?? defaultFrom
  const record: ControlRecord = {
    type: 'rule.published',
    rule_id: ruleId,
    version,
    effective_from: from === undefined ? null : new Date(from).toISOString(),
    content: source.text,
    content_hash: source.contentHash,
    file: source.file,
    published_at: new Date(nowMs).toISOString(),
    ...(publishedBy === undefined ? {} : { published_by: publishedBy }),
  }
  return { kind: 'publish', record }
}

function changed({ file, rule }: RuleSource, before: ControlRecord): RuleProblem {
  return {
    code: 'ONCEWARD_E_RULE_VERSION_CHANGED',
    file,
    line: 1,
    column: 1,
    message: `rule ${rule.ruleId} version ${rule.version} was published on ${before.published_at} with other content, and a published version never changes`,
    hint: 'raise meta.version to publish the change, or restore the file as it was',
    snippet: '',
  }
}

/** By version within a rule (2.0 before 10.0); rules keep the order of their files. */
function inVersionOrder(rules: readonly RuleSource[]): readonly RuleSource[] {
  const position = new Map<string, number>()
  for (const { rule } of rules) if (!position.has(rule.ruleId)) position.set(rule.ruleId, position.size)
  return rules.toSorted(
    (a, b) =>
      (position.get(a.rule.ruleId) ?? 0) - (position.get(b.rule.ruleId) ?? 0) ||
      compareVersions(a.rule.version, b.rule.version),
  )
}

/** Numbers by value, the rest by letters: 2.0 < 2.1-beta < 10.0. */
export function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true }) || (a === b ? 0 : a < b ? -1 : 1)
}

/** The rules of files that never were on a control topic, as versions: for `run` and tests. */
export function versionsOf(rules: readonly RuleSource[]): readonly RuleVersion[] {
  return inVersionOrder(rules).map(({ rule, effectiveFrom }) => ({ rule, effectiveFrom }))
}
