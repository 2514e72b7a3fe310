import type { CompiledRule } from '../../rules/compiled.ts'
import { formatProblem, type RuleProblem } from '../../rules/problem.ts'
import { readRule, type RuleSource } from '../../rules/rule-file.ts'

export function ruleText(
  parts: { id?: string; version?: string; effective?: string; event?: string; formula?: string; more?: string } = {},
): string {
  const { id = 'r', version = '1.0', effective, event = 'bet', formula = '1', more = '' } = parts
  const from = effective === undefined ? '' : `, effective_from: ${effective}`
  return `rule_id: ${id}\nwhen: { event_name: ${event} }\nscore: { formula: "${formula}" }\nmeta: { version: "${version}"${from} }\n${more}`
}

export function sourceOf(text: string, file = 'rule.yaml'): RuleSource {
  const reading = readRule({ file, text })
  if (!reading.ok) throw new Error(reading.problems.map(formatProblem).join('\n'))
  return reading.rule
}

export function ruleOf(text: string): CompiledRule {
  return sourceOf(text).rule
}

export function problemsOf(text: string): readonly RuleProblem[] {
  const reading = readRule({ file: 'rule.yaml', text })
  return reading.ok ? [] : reading.problems
}
