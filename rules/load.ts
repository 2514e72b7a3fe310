import { isPolicyFile, type PolicySource, readPolicy } from './policy-file.ts'
import type { RuleProblem } from './problem.ts'
import { readRule, type RuleReading, type RuleSource } from './rule-file.ts'
import type { Membership } from './segment.ts'
import { isSegmentFile, readSegment, type SegmentSource } from './segment-file.ts'
import type { RuleFile } from './yaml-source.ts'

export type Loaded =
  | {
      readonly ok: true
      /** Each with the policies that lie beside it. */
      readonly rules: readonly RuleSource[]
      readonly segments: readonly SegmentSource[]
      readonly policies: readonly PolicySource[]
    }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/**
 * Reads a whole directory of rule files, of the segments that they name, and of the policies that lie there: all, or all
 * problems. The rules come in the order of the files. Two files with the same rule id and version, the same segment id, or
 * the same version of the policy are a problem.
 */
export function loadRules(files: readonly RuleFile[]): Loaded {
  const { segments, problems } = loadSegments(files.filter(isSegmentFile))
  const { policies, problems: wrong } = loadPolicies(files.filter(isPolicyFile))
  problems.push(...wrong)
  const beside = policies.length === 0 ? {} : { policies }
  const rules: RuleSource[] = []
  const seen = new Map<string, string>()
  for (const file of files) {
    if (isSegmentFile(file) || isPolicyFile(file)) continue
    const reading = readRuleAmong(file, segments)
    if (!reading.ok) {
      problems.push(...reading.problems)
      continue
    }
    const { ruleId, version } = reading.rule.rule
    const key = versionKey(ruleId, version)
    const other = seen.get(key)
    if (other === undefined) seen.set(key, file.file)
    else problems.push(duplicate(file.file, `rule ${ruleId} version ${version}`, other))
    rules.push({ ...reading.rule, ...beside })
  }
  if (problems.length > 0) return { ok: false, problems }
  return { ok: true, rules, segments: [...segments.values()], policies }
}

/** The policies of `files`, and what is wrong with the others. */
export function loadPolicies(files: readonly RuleFile[]): {
  readonly policies: readonly PolicySource[]
  readonly problems: RuleProblem[]
} {
  const policies = new Map<string, PolicySource>()
  const problems: RuleProblem[] = []
  for (const file of files) {
    const reading = readPolicy(file)
    if (!reading.ok) {
      problems.push(...reading.problems)
      continue
    }
    const { version } = reading.policy.policy
    const other = policies.get(version)
    if (other === undefined) policies.set(version, reading.policy)
    else problems.push(duplicate(file.file, `policy ${version}`, other.file))
  }
  return { policies: [...policies.values()], problems }
}

/** The segments of `files` by name, and what is wrong with the others. */
export function loadSegments(files: readonly RuleFile[]): {
  readonly segments: ReadonlyMap<string, SegmentSource>
  readonly problems: RuleProblem[]
} {
  const segments = new Map<string, SegmentSource>()
  const problems: RuleProblem[] = []
  for (const file of files) {
    const reading = readSegment(file)
    if (!reading.ok) {
      problems.push(...reading.problems)
      continue
    }
    const { segmentId } = reading.segment
    const other = segments.get(segmentId)
    if (other === undefined) segments.set(segmentId, reading.segment)
    else problems.push(duplicate(file.file, `segment ${segmentId}`, other.file))
  }
  return { segments, problems }
}

/** A rule that may name `segments`, with those that it names. */
function readRuleAmong(file: RuleFile, segments: ReadonlyMap<string, SegmentSource>): RuleReading {
  const named = new Map<string, SegmentSource>()
  const get = (name: string): Membership | undefined => {
    const segment = segments.get(name)
    if (segment !== undefined) named.set(name, segment)
    return segment?.membership
  }
  const reading = readRule(file, { segments: { get }, knownSegments: segments })
  return reading.ok && named.size > 0 ? { ok: true, rule: { ...reading.rule, segments: [...named.values()] } } : reading
}

/** Names one version of one rule; neither part can hold a blank. */
export function versionKey(ruleId: string, version: string): string {
  return `${ruleId} ${version}`
}

/** Two files say what something is. */
export function duplicate(file: string, what: string, other: string): RuleProblem {
  return {
    code: 'ONCEWARD_E_RULE_DUPLICATE',
    file,
    line: 1,
    column: 1,
    message: `${what} stands in ${other} too`,
    hint: 'remove one of the two, or give one another id or version',
    snippet: '',
  }
}
