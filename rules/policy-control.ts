import { messageOf } from '../core/errors.ts'
import type { PolicyTimeline, PolicyVersion } from '../core/model/policy.ts'
import { EFFECTIVE_LEAD_MS, rfc3339, tooSoon } from './control-instant.ts'
import { type PolicySource, readPolicy } from './policy-file.ts'
import { policyTimelineOf } from './policy-timeline.ts'
import { ignoredRecord, type RuleProblem } from './problem.ts'
import { problemAtMeta } from './rule-file.ts'
import { compareVersions } from './version-order.ts'

/**
 * Payout policies on the control topic, beside the rules. There is one policy in an installation, in versions: the first
 * record of a version decides what it is, for ever, on every worker and sink.
 */
export interface PolicyRecord {
  readonly type: 'policy.published'
  /** What stands at `policy` in the file. */
  readonly policy: string
  readonly version: string
  /** RFC 3339; null: in effect since ever. */
  readonly effective_from: string | null
  /** The policy file, as it was. */
  readonly content: string
  /** SHA-256, hex, over what the file says. */
  readonly content_hash: string
  readonly file: string
  /** RFC 3339. */
  readonly published_at: string
  readonly published_by?: string
  readonly reason?: string
}

/** Versions in one installation: every worker and sink has all of them in memory, and none is ever taken back. */
export const POLICY_VERSIONS_MAX = 1_000

/** As with rules (I2): keys differ wherever records do, so compaction never removes one that decides anything. */
export function policyKey(record: PolicyRecord): string {
  return `policy:${record.version}#${record.content_hash.slice(0, 12)}@${record.published_at}`
}

export function encodePolicyRecord(record: PolicyRecord): string {
  return JSON.stringify(record)
}

/** True where a value is, by how it begins, a record of a policy. */
export function isPolicyValue(value: string | Buffer): boolean {
  const beginning = '{"type":"policy.'
  return (typeof value === 'string' ? value : value.subarray(0, beginning.length).toString()).startsWith(beginning)
}

export interface PublishedPolicy {
  readonly record: PolicyRecord
  readonly source: PolicySource
  /** Event time in ms; undefined: since ever. */
  readonly effectiveFrom: number | undefined
}

export interface PolicyState {
  /** By version, in the order of publication. */
  readonly published: ReadonlyMap<string, PublishedPolicy>
  readonly timeline: PolicyTimeline
  readonly problems: readonly RuleProblem[]
}

interface PolicyEntry {
  readonly value: string | Buffer
  readonly place: string
}

/** Folds the records of policies, in the order of the log. Never throws on what a record holds. */
export function foldPolicies(entries: readonly PolicyEntry[]): PolicyState {
  const published = new Map<string, PublishedPolicy>()
  const problems: RuleProblem[] = []
  for (const { value, place } of entries) {
    const reading = readOnce(value)
    if (!reading.ok) {
      problems.push(...reading.problemsAt(place))
      continue
    }
    const { version } = reading.policy.record
    const first = published.get(version)
    if (first === undefined) published.set(version, reading.policy)
    else if (first.source.contentHash !== reading.policy.source.contentHash) problems.push(republished(version, place))
  }
  return { published, timeline: timelineOf([...published.values()]), problems }
}

function timelineOf(published: readonly PublishedPolicy[]): PolicyTimeline {
  return policyTimelineOf(
    published.map(({ source, effectiveFrom }): PolicyVersion => ({ policy: source.policy, effectiveFrom })),
  )
}

type EntryReading =
  | { readonly ok: true; readonly policy: PublishedPolicy }
  | { readonly ok: false; readonly problemsAt: (place: string) => readonly RuleProblem[] }

/** The fold runs anew with each record that comes, and what a record holds does not change. */
const readings = new WeakMap<Buffer, EntryReading>()

function readOnce(value: string | Buffer): EntryReading {
  if (typeof value === 'string') return readEntry(value)
  const known = readings.get(value)
  if (known !== undefined) return known
  const reading = readEntry(value.toString())
  readings.set(value, reading)
  return reading
}

function readEntry(value: string): EntryReading {
  const ignored = (why: string): EntryReading => ({ ok: false, problemsAt: (place) => [ignoredRecord(place, why)] })
  const record = decode(value)
  if (typeof record === 'string') return ignored(record)
  const reading = readPolicy({ file: record.file, text: record.content })
  if (!reading.ok) {
    const { problems } = reading
    const at = (place: string) => problems.map((problem) => ({ ...problem, file: `${place} ${problem.file}` }))
    return { ok: false, problemsAt: at }
  }
  const { version } = reading.policy.policy
  if (version !== record.version) return ignored(`it is named policy ${record.version} but holds ${version}`)
  if (reading.policy.contentHash !== record.content_hash) return ignored(`policy ${version} is not what its hash says`)
  const from = record.effective_from
  return {
    ok: true,
    policy: { record, source: reading.policy, effectiveFrom: from === null ? undefined : Date.parse(from) },
  }
}

/** A record, or what is wrong with it. */
function decode(value: string): PolicyRecord | string {
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch (error) {
    return `the value is no JSON: ${messageOf(error)}`
  }
  const record = parsed as Record<string, unknown>
  const type = record['type']
  if (type !== 'policy.published') {
    return `records of type ${JSON.stringify(type)} are unknown to this version of Onceward`
  }
  for (const name of ['policy', 'version', 'content', 'content_hash', 'file', 'published_at']) {
    if (typeof record[name] !== 'string') return `${name} is no text`
  }
  const from = record['effective_from']
  if (from === null || (typeof from === 'string' && !Number.isNaN(Date.parse(from)))) return parsed as PolicyRecord
  return 'effective_from is neither null nor a time'
}

function republished(version: string, place: string): RuleProblem {
  return {
    ...ignoredRecord(place, `policy ${version} was published before with other content`),
    code: 'ONCEWARD_E_POLICY_VERSION_CHANGED',
    hint: 'publish the change under a new meta.version',
  }
}

export interface PolicyPlan {
  /** In the order in which to write them. */
  readonly publish: readonly PolicyRecord[]
  readonly unchanged: readonly PolicySource[]
  readonly refused: readonly RuleProblem[]
  /** Of those refused: what stands under their version already. */
  readonly edited: readonly EditedPolicy[]
}

/** A file that says something else than what was published under its version. */
export interface EditedPolicy {
  readonly source: PolicySource
  readonly before: PolicyRecord
  readonly name: string
}

export interface PolicyMoment {
  readonly nowMs: number
  /** Events may have been judged already: rules were published before. */
  readonly begun: boolean
  readonly publishedBy?: string | undefined
  readonly reason?: string | undefined
}

/**
 * What of `policies` is to be published. Where no rules were published yet no event was judged either: then a policy is in
 * effect from its `meta.effective_from` on, whenever that is, and the first one that says nothing since ever. Later, a
 * policy takes effect EFFECTIVE_LEAD_MS after `nowMs`, or at its `meta.effective_from`, which is refused where it is
 * earlier: workers and sinks would decide before they know of it, and a replay would decide otherwise. A published
 * version never changes: other content under it is refused.
 */
export function planPolicies(known: PolicyState, policies: Iterable<PolicySource>, moment: PolicyMoment): PolicyPlan {
  const publish: PolicyRecord[] = []
  const unchanged: PolicySource[] = []
  const refused: RuleProblem[] = []
  const edited: EditedPolicy[] = []
  const all = [...policies]
  for (const source of all.toSorted((a, b) => compareVersions(a.policy.version, b.policy.version))) {
    const { version } = source.policy
    const before = known.published.get(version)
    const problem =
      before === undefined
        ? (untimely(source, moment) ?? otherCurrency(source, known, all) ?? tooMany(source, known, publish))
        : changed(source, before.record)
    if (before?.source.contentHash === source.contentHash) unchanged.push(source)
    else if (problem === undefined) {
      const first = !moment.begun && known.published.size + publish.length === 0
      publish.push(recordOf(source, moment, first ? undefined : moment.nowMs + EFFECTIVE_LEAD_MS))
    } else {
      refused.push(problem)
      if (before !== undefined) edited.push({ source, before: before.record, name: `policy ${version}` })
    }
  }
  return { publish, unchanged, refused, edited }
}

/** `defaultFrom`: from when a policy that says nothing itself is in effect; undefined: since ever. */
function recordOf(
  source: PolicySource,
  { nowMs, publishedBy, reason }: PolicyMoment,
  defaultFrom: number | undefined,
): PolicyRecord {
  const from = source.effectiveFrom ?? defaultFrom
  return {
    type: 'policy.published',
    policy: source.name,
    version: source.policy.version,
    effective_from: from === undefined ? null : rfc3339(from),
    content: source.text,
    content_hash: source.contentHash,
    file: source.file,
    published_at: rfc3339(nowMs),
    ...(publishedBy === undefined ? {} : { published_by: publishedBy }),
    ...(reason === undefined ? {} : { reason }),
  }
}

function untimely(source: PolicySource, { begun, nowMs }: PolicyMoment): RuleProblem | undefined {
  const fault = begun && source.effectiveFrom !== undefined ? tooSoon(source.effectiveFrom, nowMs) : undefined
  return fault && problemAtMeta(source, 'effective_from', { code: 'ONCEWARD_E_RULE_TOO_SOON', ...fault })
}

/** What was reserved and spent of a pool is in the ledger as amounts alone: in two currencies their sum would mean nothing. */
function otherCurrency(
  source: PolicySource,
  known: PolicyState,
  policies: readonly PolicySource[],
): RuleProblem | undefined {
  const { version, currency } = source.policy
  const others = [...[...known.published.values()].map((published) => published.source), ...policies]
  const other = others.find(({ policy }) => policy.currency !== currency)?.policy
  if (other === undefined) return undefined
  return problemAtMeta(source, 'version', {
    code: 'ONCEWARD_E_POLICY_INVALID',
    message: `policy ${version} is in ${currency}, and policy ${other.version} in ${other.currency}: what a pool has spent would be a sum of both`,
    hint: 'keep the currency, and write rates for others; a new currency needs a new installation (--prefix, and a ledger of its own)',
  })
}

function tooMany(source: PolicySource, known: PolicyState, publish: readonly unknown[]): RuleProblem | undefined {
  if (known.published.size + publish.length < POLICY_VERSIONS_MAX) return undefined
  return problemAtMeta(source, 'version', {
    code: 'ONCEWARD_E_POLICY_INVALID',
    message: `policy ${source.policy.version} would be one more than the ${POLICY_VERSIONS_MAX} versions that may be published`,
    hint: 'start a new installation (--prefix) with the policy that counts now',
  })
}

function changed(source: PolicySource, before: PolicyRecord): RuleProblem {
  const { version } = source.policy
  return problemAtMeta(source, 'version', {
    code: 'ONCEWARD_E_POLICY_VERSION_CHANGED',
    message: `policy ${version} was published on ${before.published_at} with other content, and a published version never changes`,
    hint: 'raise meta.version to publish the change, or restore the file as it was',
  })
}

/** The policies of files that never were on a control topic, by their own dates: for tests of rules. */
export function policiesOf(policies: readonly PolicySource[]): PolicyTimeline {
  const inOrder = policies.toSorted((a, b) => compareVersions(a.policy.version, b.policy.version))
  return policyTimelineOf(inOrder.map(({ policy, effectiveFrom }) => ({ policy, effectiveFrom })))
}
