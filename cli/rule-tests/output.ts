import type { FileResult } from './session.ts'

/** Colours of a terminal, or none. */
export interface Paint {
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly faint: (text: string) => string
}

export const PLAIN: Paint = { good: String, bad: String, faint: String }
const coloured =
  (code: number) =>
  (text: string): string =>
    `\u001B[${code}m${text}\u001B[0m`
export const COLOURED: Paint = { good: coloured(32), bad: coloured(31), faint: coloured(2) }

/** One file: each test with ✓ or ✗, what was expected and received, and what no test exercised. */
export function fileText({ file, tests, problem, coverage }: FileResult, paint: Paint): string {
  const lines = [file]
  if (problem !== undefined) lines.push(paint.bad(`  ✗ ${problem.trimEnd().replaceAll('\n', '\n    ')}`))
  for (const { name, differences } of tests) {
    lines.push(differences.length === 0 ? `  ${paint.good('✓')} ${name}` : paint.bad(`  ✗ ${name}`))
    for (const { what, expected, received } of differences) {
      lines.push(`      ${what}`)
      lines.push(
        paint.good(`        - expected ${valueText(expected)}`),
        paint.bad(`        + received ${valueText(received)}`),
      )
    }
  }
  for (const { ruleId, done, all, missing } of coverage) {
    lines.push(
      paint.faint(`  coverage of ${ruleId}: ${done} of ${all}`),
      ...missing.map((each) => paint.faint(`    ${each}`)),
    )
  }
  return `${lines.join('\n')}\n`
}

export function summaryText(results: readonly FileResult[], seconds: number, paint: Paint): string {
  const files = count(results.map(hasPassed))
  const tests = count(results.flatMap((result) => result.tests.map(({ differences }) => differences.length === 0)))
  const line = (name: string, { good, bad }: { good: number; bad: number }): string =>
    `${name}${bad === 0 ? '' : `${paint.bad(`${bad} failed`)} | `}${paint.good(`${good} passed`)} (${good + bad})`
  const [done, all] = [sum(results, 'done'), sum(results, 'all')]
  const covered = all === 0 ? '100%' : `${Math.floor((done / all) * 100)}%`
  return `\n${[
    line(' Test files  ', files),
    line('      Tests  ', tests),
    `   Coverage  ${covered} of filters (held and failed), caps and thresholds (${done} of ${all})`,
    `   Duration  ${seconds.toFixed(2)} s`,
  ].join('\n')}\n`
}

export function hasPassed({ problem, tests }: FileResult): boolean {
  return problem === undefined && tests.every(({ differences }) => differences.length === 0)
}

function sum(results: readonly FileResult[], name: 'done' | 'all'): number {
  return results.flatMap(({ coverage }) => coverage).reduce((total, each) => total + each[name], 0)
}

function count(outcomes: readonly boolean[]): { good: number; bad: number } {
  const good = outcomes.filter(Boolean).length
  return { good, bad: outcomes.length - good }
}

function valueText(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value)
}
