import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { unreadable } from '../../connectors/files/errors.ts'
import { readRuleFiles } from '../../connectors/files/rule-files.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { Normalized } from '../../operators/normalize.ts'
import { versionsOf } from '../../rules/control.ts'
import { policiesOf } from '../../rules/policy-control.ts'
import { isPolicyFile } from '../../rules/policy-file.ts'
import { loadRules } from '../../rules/load.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { isSegmentFile } from '../../rules/segment-file.ts'
import { problemsError } from '../load-rules.ts'
import { RuleCoverage } from './coverage.ts'
import { type Difference, earnedOf, runTest } from './run-test.ts'
import { readTestFile } from './test-file.ts'

export interface FileResult {
  readonly file: string
  readonly tests: readonly { readonly name: string; readonly differences: readonly Difference[] }[]
  /** Why nothing could be run, or not all of it. */
  readonly problem: string | undefined
  readonly coverage: readonly ReturnType<RuleCoverage['report']>[]
}

/** The `*.test.yaml` below `dir`, or `dir` itself, in order of path. Throws where there is none. */
export async function testFilesIn(dir: string): Promise<readonly string[]> {
  const stats = await stat(dir).catch(unreadable(dir))
  if (!stats.isDirectory()) return [dir]
  const names = await readdir(dir, { recursive: true }).catch(unreadable(dir))
  const files = names.filter((name) => /\.test\.ya?ml$/i.test(name) && !/(^|[/\\])\./.test(name)).sort()
  if (files.length > 0) return files.map((name) => join(dir, name))
  throw new OncewardError(
    'ONCEWARD_E_FILE_UNREADABLE',
    `there are no rule tests in ${dir}; the test of my_rule.yaml is my_rule.test.yaml, beside it`,
  )
}

/** Runs one file. What is wrong with it, or with the rules, is part of the result: the other files go on. */
export async function runTestFile(file: string, normalize: (raw: Buffer | null) => Normalized): Promise<FileResult> {
  try {
    const { rules: names, tests } = readTestFile(basename(file), await readFile(file, 'utf8').catch(unreadable(file)))
    const beside = await readRuleFiles(dirname(file))
    const wanted = beside.filter(
      (rule) =>
        isSegmentFile(rule) || isPolicyFile(rule) || names.some((name) => rule.file === join(dirname(file), name)),
    )
    const missing = names.find((name) => !wanted.some((rule) => rule.file === join(dirname(file), name)))
    if (missing !== undefined) throw new Error(`there is no rule file ${missing} beside it`)
    const loaded = loadRules(wanted)
    if (!loaded.ok) throw problemsError(loaded.problems)
    const segments = new Map(loaded.segments.map(({ segmentId, membership }) => [segmentId, membership] as const))
    const coverage = loaded.rules.map((rule) => new RuleCoverage(rule, segments))
    const set = ruleSetOf(versionsOf(coverage.map(({ watched }) => watched)), [], policiesOf(loaded.policies))
    const results: { name: string; differences: readonly Difference[] }[] = []
    for (const test of tests) {
      const { differences, output } = await runTest(test, set, normalize)
      const [scores, rewards] = [output.scores.map(({ value }) => value), earnedOf(output)]
      for (const each of coverage) each.add(scores, rewards)
      results.push({ name: test.name, differences })
    }
    return { file, tests: results, problem: undefined, coverage: coverage.map((each) => each.report()) }
  } catch (error) {
    return { file, tests: [], problem: messageOf(error), coverage: [] }
  }
}
