import type { RuleProblem } from './problem.ts'
import { readRule, type RuleReading, type RuleSource } from './rule-file.ts'
import type { Membership } from './segment.ts'
import { isSegmentFile, readSegment, type SegmentSource } from './segment-file.ts'
import type { RuleFile } from './yaml-source.ts'

export type Loaded =
  | { readonly ok: true; readonly rules: readonly RuleSource[]; readonly segments: readonly SegmentSource[] }
  | { readonly ok: false; readonly problems: readonly RuleProblem[] }

/**
 * Reads a whole directory of rule files, and of the segments that they name: all, or all problems. The rules come in the
 * order of the files. Two files with the same rule id and version, or the same segment id, are a problem.
 */
export function loadRules(files: readonly RuleFile[]): Loaded {
  const { segments, problems } = loadSegments(files.filter(isSegmentFile))
  const rules: RuleSource[] = []
  const seen = new Map<string, string>()
  for (const file of files) {
    if (isSegmentFile(file)) continue
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
    rules.push(reading.rule)
  }
  return problems.length === 0 ? { ok: true, rules, segments: [...segments.values()] } : { ok: false, problems }
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
