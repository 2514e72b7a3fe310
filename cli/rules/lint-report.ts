import { unreachable } from '../../core/assert.ts'
import type { LintReport } from '../../rules/lint.ts'
import type { RuleProblem } from '../../rules/problem.ts'

export const LINT_FORMATS = ['text', 'json', 'github'] as const
export type LintFormat = (typeof LINT_FORMATS)[number]

export interface Severities {
  readonly errors: number
  readonly warnings: number
}

export function severitiesOf({ findings }: LintReport): Severities {
  const warnings = findings.filter(({ severity }) => severity === 'warning').length
  return { errors: findings.length - warnings, warnings }
}

/** What the command prints, closed by a line break. */
export function lintText(report: LintReport, format: LintFormat): string {
  switch (format) {
    case 'json':
      return `${JSON.stringify(jsonOf(report), null, 2)}\n`
    case 'github':
      return report.findings.map(githubLine).join('')
    case 'text':
      return [...report.findings.map(findingText), `${summaryOf(report)}\n`].join('\n')
    default:
      return unreachable(format)
  }
}

function findingText(finding: RuleProblem): string {
  const { file, line, column, message, code, snippet, hint } = finding
  const lines = [`${file}:${line}:${column}: ${severityOf(finding)}: ${message} [${code}]`]
  if (snippet !== '') lines.push(...snippet.split('\n').map((each) => `    ${each}`))
  if (hint !== undefined) lines.push(`  ${hint}`)
  return `${lines.join('\n')}\n`
}

function severityOf({ severity }: RuleProblem): 'error' | 'warning' {
  return severity ?? 'error'
}

function summaryOf(report: LintReport): string {
  const { errors, warnings } = severitiesOf(report)
  const policies =
    report.policies === 0 ? '' : report.policies === 1 ? ', and a policy' : `, and ${report.policies} policies`
  const looked = `${counted(report.rules, 'rule')} and ${counted(report.segments, 'segment')}${policies}`
  if (errors + warnings === 0) return `${looked}: nothing to find`
  return `${looked}: ${counted(errors, 'error')}, ${counted(warnings, 'warning')}`
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function jsonOf(report: LintReport): object {
  const { rules, segments, findings } = report
  const place = (finding: RuleProblem): object => ({
    severity: severityOf(finding),
    code: finding.code,
    file: finding.file,
    line: finding.line,
    column: finding.column,
    message: finding.message,
    hint: finding.hint ?? null,
    snippet: finding.snippet,
  })
  return { rules, segments, ...severitiesOf(report), findings: findings.map(place) }
}

/** A command of GitHub's workflows: shown beside the line in the pull request. */
function githubLine(finding: RuleProblem): string {
  const { file, line, column, code, message, hint } = finding
  const text = hint === undefined ? message : `${message}; ${hint}`
  const properties = `file=${property(file)},line=${line},col=${column},title=${property(code)}`
  return `::${severityOf(finding)} ${properties}::${escaped(text)}\n`
}

function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function property(text: string): string {
  return escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}
