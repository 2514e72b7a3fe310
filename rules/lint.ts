import { isScalar, isSeq, type Node } from 'yaml'
import { doubtfulDivisors } from './divisors.ts'
import type { LocatedExpression } from './expression-text.ts'
import type { EventCatalog } from './field-check.ts'
import { type KnownPools, lintGuardrails } from './guardrail-lint.ts'
import { duplicate, loadPolicies, loadSegments, versionKey } from './load.ts'
import { isPolicyFile } from './policy-file.ts'
import { nearest, type RuleProblem } from './problem.ts'
import { overlap, type Period, periodOfConditions, progressMax } from './reach.ts'
import { inOrder, readRuleParts, type RuleParts, type RuleSource } from './rule-file.ts'
import { isSegmentFile } from './segment-file.ts'
import type { Membership } from './segment.ts'
import type { Expression } from './syntax-tree.ts'
import { windowFaults } from './window-lint.ts'
import { compareVersions } from './version-order.ts'
import { nodeAt, readList } from './yaml-reader.ts'
import type { RuleFile } from './yaml-source.ts'

/** What rules are held against; what is undefined is not. */
export interface LintOptions extends KnownPools {
  readonly catalog?: EventCatalog | undefined
}

export interface LintReport {
  /** In the order of files, within a file by place. */
  readonly findings: readonly RuleProblem[]
  readonly rules: number
  readonly segments: number
  readonly policies: number
}

/**
 * Looks at all rules, segments and policies as hard as can be done without an event. Where a policy lies beside the rules
 * their pools are held against it, as against those of `options`.
 */
export function lintRules(files: readonly RuleFile[], options: LintOptions): LintReport {
  const { segments, problems } = loadSegments(files.filter(isSegmentFile))
  const { policies, problems: wrong } = loadPolicies(files.filter(isPolicyFile))
  const findings: RuleProblem[] = [...problems, ...wrong]
  const beside = policies.map(({ policy }) => policy).sort((a, b) => compareVersions(a.version, b.version))
  const known = beside.length === 0 ? options : { ...options, policies: [...(options.policies ?? []), ...beside] }
  const named = new Set<string>()
  const seen = new Map<string, string>()
  const rules = files.filter((file) => !isSegmentFile(file) && !isPolicyFile(file))
  for (const file of rules) {
    const get = (name: string): Membership | undefined => {
      named.add(name)
      return segments.get(name)?.membership
    }
    const { catalog } = options
    const fieldsOf = catalog && ((names: readonly string[]) => catalog.fieldsOf(names))
    const reading = readRuleParts(file, { segments: { get }, knownSegments: segments, fieldsOf })
    if (!reading.ok) {
      findings.push(...reading.problems)
      continue
    }
    const { source } = reading.parts
    lintRule(reading.rule, reading.parts, known)
    findings.push(...inOrder([...source.problems, ...source.warnings]))
    const { ruleId, version } = reading.rule.rule
    const other = seen.get(versionKey(ruleId, version))
    if (other === undefined) seen.set(versionKey(ruleId, version), file.file)
    else findings.push(duplicate(file.file, `rule ${ruleId} version ${version}`, other))
  }
  for (const { segmentId, file } of segments.values()) if (!named.has(segmentId)) findings.push(unused(segmentId, file))
  const position = new Map(files.map(({ file }, i) => [file, i]))
  findings.sort((a, b) => (position.get(a.file) ?? 0) - (position.get(b.file) ?? 0))
  return { findings, rules: rules.length, segments: segments.size, policies: policies.length }
}

function unused(segmentId: string, file: string): RuleProblem {
  return {
    code: 'ONCEWARD_E_RULE_UNUSED',
    severity: 'warning',
    file,
    line: 1,
    column: 1,
    message: `no rule asks for segment ${segmentId}`,
    hint: 'write user in segment("…") in a filter, or remove the file',
    snippet: '',
  }
}

/** Reports on the rule's source. */
function lintRule(source: RuleSource, parts: RuleParts, options: LintOptions): void {
  lintEventNames(parts, options.catalog)
  const period = lintPeriod(source, parts)
  lintGuardrails(source, parts, options, period)
  if (period.from < period.until) lintThresholds(source, parts, period)
  const conditions = parts.when.filters.map(({ expression }) => expression)
  for (const located of parts.notes.all) {
    lintDivisors(parts, located, conditions)
    for (const fault of windowFaults(located.expression, options.catalog)) {
      parts.source.reportFault(located.scalar, fault)
    }
  }
  for (const amount of parts.notes.amounts) lintAmount(parts, amount)
}

function lintEventNames({ source, when }: RuleParts, catalog: EventCatalog | undefined): void {
  if (catalog === undefined) return
  for (const node of readList(when.names)) {
    const name = isScalar(node) ? String(node.value) : ''
    if (catalog.eventNames.includes(name)) continue
    const like = nearest(name, catalog.eventNames)
    source.report(node, {
      code: 'ONCEWARD_E_RULE_UNKNOWN_EVENT',
      message: `no schema declares the event "${name}", so none is ever accepted`,
      hint: like === undefined ? 'give the folder of its schema with --schemas' : `did you mean ${like}?`,
    })
  }
}

/** When the rule can match; reported where that is never. */
function lintPeriod({ rule, effectiveFrom }: RuleSource, parts: RuleParts): Period {
  let period: Period = { from: effectiveFrom ?? -Infinity, until: Infinity }
  for (const { scalar, expression } of parts.when.filters) {
    const next = overlap(period, periodOfConditions([expression], rule.timeZone))
    if (next.from >= next.until && period.from < period.until) {
      const from = Number.isFinite(next.from) ? new Date(next.from).toISOString() : 'ever'
      parts.source.report(scalar, {
        code: 'ONCEWARD_E_RULE_UNREACHABLE',
        message: `this ends at ${new Date(next.until).toISOString()}, but the rule begins at ${from}: it never matches`,
        hint: 'move the end behind the beginning, in the filters or in meta.effective_from',
      })
    }
    period = next
  }
  return period
}

function lintThresholds({ rule }: RuleSource, parts: RuleParts, period: Period): void {
  const { trigger, caps } = rule
  if (trigger === undefined) return
  const most = progressMax({ caps, reset: trigger.reset, period }, constantPoints(parts))
  const node = nodeAt(parts.top.get('reward_trigger')?.value, ['on_progress', 'threshold'])
  const nodes = isSeq<Node>(node) ? node.items : [node]
  trigger.thresholds.forEach((threshold, i) => {
    if (threshold <= most) return
    const when = { never: '', daily: ' in a day', weekly: ' in a week', monthly: ' in a month' }[trigger.reset]
    parts.source.report(nodes[i] ?? 0, {
      code: 'ONCEWARD_E_RULE_UNREACHABLE',
      message: `nobody comes to ${threshold}: the rule gives at most ${most} points${when}`,
      hint: 'raise the caps, or lower the threshold',
    })
  })
}

/** Most points of an event, where the formula is a plain number. */
function constantPoints({ score }: RuleParts): number {
  const { located, code } = score.formula
  const constant = located === undefined || located.expression.kind === 'number'
  return constant ? Math.floor(code.value(NO_EVENT)) : Infinity
}

const NO_EVENT = { eventId: '', eventName: '', userId: '', ts: 0, data: {} }

function lintDivisors(
  { source }: RuleParts,
  { scalar, expression }: LocatedExpression,
  conditions: readonly Expression[],
): void {
  for (const divisor of doubtfulDivisors(expression, conditions)) {
    const text = scalar.value.slice(divisor.start, divisor.end)
    source.reportFault(scalar, {
      code: 'ONCEWARD_E_RULE_DIVISION',
      severity: 'warning',
      start: divisor.start,
      message: `${text} can be zero, and what is divided by zero gives nothing`,
      hint: `add the filter ${text} > 0, or write if(${text} > 0, …, 0)`,
    })
  }
}

/** An amount that grows with what a player does should end somewhere. */
function lintAmount({ source }: RuleParts, { scalar, expression }: LocatedExpression): void {
  if (isBounded(expression)) return
  source.reportFault(scalar, {
    code: 'ONCEWARD_E_RULE_UNBOUNDED',
    severity: 'warning',
    start: 0,
    message: 'nothing bounds this amount',
    hint: `write min(${scalar.value}, 50)`,
  })
}

function isBounded(node: Expression): boolean {
  if (node.kind === 'number') return true
  if (node.kind !== 'call') return false
  if (node.name === 'min') return node.args.some(isBounded)
  if (node.name === 'if') return node.args.slice(1).every(isBounded)
  return ['max', 'floor', 'ceil', 'round'].includes(node.name) && node.args.every(isBounded)
}
