import { unreachable } from '../core/assert.ts'
import { messageOf } from '../core/errors.ts'
import type { RuleSet, RuleVersion } from './compiled.ts'
import { EFFECTIVE_LEAD_MS, rfc3339, tooSoon } from './control-instant.ts'
import { foldSwitches, isSwitchValue, type SwitchRecord } from './control-switch.ts'
import { versionKey } from './load.ts'
import {
  encodePolicyRecord,
  foldPolicies,
  isPolicyValue,
  planPolicies,
  policyKey,
  type PolicyPlan,
  type PolicyState,
} from './policy-control.ts'
import { ignoredRecord, type RuleProblem } from './problem.ts'
import { problemAtMeta, readRule, type RuleSource } from './rule-file.ts'
import { ruleSetOf, timelinesOf } from './rule-set.ts'
import type { RuleTimeline } from './rule-timeline.ts'
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
import { compareVersions } from './version-order.ts'
import type { RuleFile } from './yaml-source.ts'

export { EFFECTIVE_LEAD_MS, EFFECTIVE_MARGIN_MS } from './control-instant.ts'

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
  readonly reason?: string
}

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
  readonly policies: PolicyState
  /** By versionKey, in the order of publication. */
  readonly published: ReadonlyMap<string, PublishedRule>
  /** What was said of published rules since, in the order of the log. */
  readonly switches: readonly SwitchRecord[]
  /** Every rule through event time, by its id. */
  readonly timelines: ReadonlyMap<string, RuleTimeline>
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
  const policies = foldPolicies(said.filter(({ value }) => isPolicyValue(value)))
  const problems: RuleProblem[] = [...segments.problems, ...policies.problems]
  for (const { value, place } of said) {
    if (isSegmentValue(value) || isSwitchValue(value) || isPolicyValue(value)) continue
    const entry = readEntry(value.toString(), place, segments.segments)
    if (!entry.ok) {
      problems.push(...entry.problems)
      continue
    }
    const { record, source } = entry.rule
    const key = versionKey(record.rule_id, record.version)
    const first = published.get(key)
    if (first === undefined) published.set(key, entry.rule)
    else if (first.source.contentHash !== source.contentHash) problems.push(republished(entry.rule, place))
  }
  const versions = [...published.values()].map(({ record, source }): RuleVersion => {
    if (record.effective_from === null) return { rule: source.rule, effectiveFrom: undefined }
    const effectiveFrom = Date.parse(record.effective_from)
    // Its windows fill from when every worker knows it, so that a rule published ahead of time finds them full.
    const known = Date.parse(record.published_at) + EFFECTIVE_LEAD_MS
    return { rule: source.rule, effectiveFrom, countsFrom: Math.min(effectiveFrom, known) }
  })
  const ids = new Set(versions.map(({ rule }) => rule.ruleId))
  const knows = (id: string, version?: string): boolean =>
    version === undefined ? ids.has(id) : published.has(versionKey(id, version))
  const changes = said.filter(({ value }) => isSwitchValue(value))
  const { records, switches, problems: mistaken } = foldSwitches(changes, knows)
  return {
    set: ruleSetOf(versions, switches, policies.timeline),
    segments,
    policies,
    published,
    switches: records,
    timelines: timelinesOf(versions, switches),
    problems: [...problems, ...mistaken],
  }
}

type EntryReading =
  | { readonly ok: true; readonly rule: PublishedRule }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

function readEntry(value: string, place: string, segments: Segments): EntryReading {
  const decoded = decodeControlRecord(value)
  if (!decoded.ok) return { ok: false, problems: [ignoredRecord(place, decoded.message)] }
  const { record } = decoded
  const reading = readRule({ file: record.file, text: record.content }, { segments })
  if (!reading.ok)
    return {
      ok: false,
      problems: reading.problems.map((problem) => ({ ...problem, file: `${place} ${problem.file}` })),
    }
  const { ruleId, version } = reading.rule.rule
  if (ruleId !== record.rule_id || version !== record.version) {
    const why = `it is named ${record.rule_id} ${record.version} but holds ${ruleId} ${version}`
    return { ok: false, problems: [ignoredRecord(place, why)] }
  }
  return { ok: true, rule: { record, source: reading.rule } }
}

function republished({ record }: PublishedRule, place: string): RuleProblem {
  return {
    ...ignoredRecord(place, `rule ${record.rule_id} version ${record.version} was published before with other content`),
    code: 'ONCEWARD_E_RULE_VERSION_CHANGED',
    hint: 'publish the change under a new meta.version',
  }
}

/** Versions of all rules together: every worker has all of them in memory, and none is ever taken back. */
export const RULE_VERSIONS_MAX = 10_000

export interface PublicationPlan {
  /** Segments that the rules name and that say something new; each is written before the rules. */
  readonly segments: readonly SegmentRecords[]
  /** Of the policies that lie beside the rules; written before them. What is refused of it stands in `refused`, too. */
  readonly policies: PolicyPlan
  /** In the order in which to write them. */
  readonly publish: readonly ControlRecord[]
  readonly unchanged: readonly RuleSource[]
  readonly refused: readonly RuleProblem[]
  /** Of those refused: what stands under their version already. */
  readonly edited: readonly EditedFile[]
}

/** A file that says something else than what was published under its version. */
export interface EditedFile {
  readonly source: RuleFile
  readonly before: { readonly version: string; readonly content: string }
  /** What it is, such as `r_points 2.0`. */
  readonly name: string
}

/** Who publishes, when and why. */
export interface Publication {
  readonly nowMs: number
  readonly publishedBy?: string | undefined
  readonly reason?: string | undefined
}

/** All that a plan writes on the control topic, in order. */
export function recordsOf({ segments, policies, publish }: PublicationPlan): readonly { key: string; value: string }[] {
  return [
    ...segments.flat().map((record) => ({ key: segmentKey(record), value: encodeSegmentRecord(record) })),
    ...policies.publish.map((record) => ({ key: policyKey(record), value: encodePolicyRecord(record) })),
    ...publish.map((record) => ({ key: controlKey(record), value: encodeControlRecord(record) })),
  ]
}

type Decision =
  | { readonly kind: 'publish'; readonly record: ControlRecord }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly problem: RuleProblem; readonly edited?: EditedFile }

/**
 * What of `rules` is to be published, given what the control topic says already. Where it says nothing yet, nothing was
 * judged either (workers wait for the first rules): the first version of a rule is in effect since ever, and any other
 * from its `meta.effective_from` on, whenever that is. Later, a version takes effect EFFECTIVE_LEAD_MS after `nowMs`, or at
 * its `meta.effective_from`, which is refused where it is earlier: workers would judge events before they know of it, and a
 * replay would judge them otherwise. Where several versions of one rule are new they are published in the order of their
 * versions. A published version never changes: other content under it is refused.
 */
export function planPublication(
  known: ControlState,
  rules: readonly RuleSource[],
  publication: Publication,
): PublicationPlan {
  const publish: ControlRecord[] = []
  const unchanged: RuleSource[] = []
  const refused: RuleProblem[] = []
  const edited: EditedFile[] = []
  const begun = known.published.size > 0
  const met = new Set<string>()
  for (const source of inVersionOrder(rules)) {
    const { ruleId } = source.rule
    const earliest = publication.nowMs + EFFECTIVE_LEAD_MS
    const defaultFrom = begun || met.has(ruleId) ? earliest : undefined
    const decision = decide(source, known, { ...publication, begun, defaultFrom })
    switch (decision.kind) {
      case 'publish':
        if (known.published.size + publish.length >= RULE_VERSIONS_MAX) refused.push(tooMany(source))
        else publish.push(decision.record)
        met.add(ruleId)
        break
      case 'unchanged':
        unchanged.push(source)
        break
      case 'refused':
        refused.push(decision.problem)
        if (decision.edited !== undefined) edited.push(decision.edited)
        break
      default:
        unreachable(decision)
    }
  }
  const named = new Map(rules.flatMap((rule) => (rule.segments ?? []).map((each) => [each.segmentId, each] as const)))
  const moment = { nowMs: publication.nowMs, marginMs: EFFECTIVE_LEAD_MS, publishedBy: publication.publishedBy }
  const beside = new Map(
    rules.flatMap((rule) => (rule.policies ?? []).map((each) => [each.policy.version, each] as const)),
  )
  const policies = planPolicies(known.policies, beside.values(), { ...publication, begun })
  return {
    segments: planSegments(known.segments, named.values(), moment),
    policies,
    publish,
    unchanged,
    refused: [...refused, ...policies.refused],
    edited: [...edited, ...policies.edited],
  }
}

interface Moment extends Publication {
  /** Events may have been judged already. */
  readonly begun: boolean
  /** From when a version that says nothing itself is in effect. */
  readonly defaultFrom: number | undefined
}

function decide(source: RuleSource, known: ControlState, moment: Moment): Decision {
  const { ruleId, version } = source.rule
  const { nowMs, publishedBy, reason } = moment
  const before = known.published.get(versionKey(ruleId, version))
  if (before?.source.contentHash === source.contentHash) return { kind: 'unchanged' }
  if (before !== undefined) {
    return {
      kind: 'refused',
      problem: changed(source, before.record),
      edited: { source, before: before.record, name: `${ruleId} ${version}` },
    }
  }
  const problem = retired(source, known) ?? untimely(source, moment)
  if (problem !== undefined) return { kind: 'refused', problem }
  const from = source.effectiveFrom ?? moment.defaultFrom
  const record: ControlRecord = {
    type: 'rule.published',
    rule_id: ruleId,
    version,
    effective_from: from === undefined ? null : rfc3339(from),
    content: source.text,
    content_hash: source.contentHash,
    file: source.file,
    published_at: rfc3339(nowMs),
    ...(publishedBy === undefined ? {} : { published_by: publishedBy }),
    ...(reason === undefined ? {} : { reason }),
  }
  return { kind: 'publish', record }
}

function retired(source: RuleSource, { switches }: ControlState): RuleProblem | undefined {
  const { ruleId } = source.rule
  const end = switches.find(({ type, rule_id }) => type === 'rule.retired' && rule_id === ruleId)
  if (end === undefined) return undefined
  return problemAtMeta(source, 'version', {
    code: 'ONCEWARD_E_RULE_RETIRED',
    message: `rule ${ruleId} is retired from ${end.effective_from} on, and a retired rule gets no new versions`,
    hint: 'give the new rule a rule_id of its own; progress is kept by rule_id',
  })
}

function untimely(source: RuleSource, { begun, nowMs }: Moment): RuleProblem | undefined {
  const fault = begun && source.effectiveFrom !== undefined ? tooSoon(source.effectiveFrom, nowMs) : undefined
  return fault && problemAtMeta(source, 'effective_from', { code: 'ONCEWARD_E_RULE_TOO_SOON', ...fault })
}

function tooMany(source: RuleSource): RuleProblem {
  const { ruleId, version } = source.rule
  return problemAtMeta(source, 'version', {
    code: 'ONCEWARD_E_RULE_WRONG_VALUE',
    message: `rule ${ruleId} version ${version} would be one more than the ${RULE_VERSIONS_MAX} versions that may be published`,
    hint: 'start a new installation (--prefix) with the versions that still matter',
  })
}

function changed(source: RuleSource, before: ControlRecord): RuleProblem {
  const { ruleId, version } = source.rule
  return problemAtMeta(source, 'version', {
    code: 'ONCEWARD_E_RULE_VERSION_CHANGED',
    message: `rule ${ruleId} version ${version} was published on ${before.published_at} with other content, and a published version never changes`,
    hint: 'raise meta.version to publish the change, or restore the file as it was',
  })
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

/** The rules of files that never were on a control topic, as versions: for `run` and tests. */
export function versionsOf(rules: readonly RuleSource[]): readonly RuleVersion[] {
  return inVersionOrder(rules).map(({ rule, effectiveFrom }) => ({ rule, effectiveFrom }))
}
