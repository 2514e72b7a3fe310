import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../connectors/observe/metrics.ts'
import { emptyOutput } from '../../operators/operator.ts'
import { reportBatch } from '../../pipeline/worker-metrics.ts'
import { foldControl, planPublication, RULE_VERSIONS_MAX } from '../../rules/control.ts'
import { loadRules } from '../../rules/load.ts'
import { isThere, textOf } from '../deploy/project.ts'
import { eventLine, TestEngine, testRule } from '../support/engine.ts'
import { fastClock } from '../support/clocks.ts'
import { RULE_FILES } from '../support/generated-bets.ts'

describe('the table of limits', () => {
  const section = textOf('docs/OPERATIONS.md').split('## Limits and memory')[1]?.split('\n## ')[0] ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| What'))
  const named = rows.flatMap((row) => {
    const cell = row.split(' | ')[2] ?? ''
    return cell.split(/, (?=`[^`]+`(?:, `[^`]+`)* in `)/).flatMap((part) => {
      const codes = [...part.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
      const paths = codes.filter((code) => code.includes('/'))
      const names = codes.filter((code) => !code.includes('/') && !code.startsWith('--'))
      return paths.flatMap((path) => names.map((name) => [name, path] as const))
    })
  })

  test('has a row for each buffer', () => expect(named.length).toBeGreaterThan(20))

  test.each(named)('%s is named in %s', (name, path) => {
    expect(isThere(path)).toBe(true)
    expect(textOf(path)).toMatch(new RegExp(`(const|readonly|function) ${name}\\b`))
  })
})

test('versions of rules: as many as may be, and none more', () => {
  const loaded = loadRules(Object.entries(RULE_FILES).map(([file, text]) => ({ file, text })))
  if (!loaded.ok) throw new Error('the rules of the test are wrong')
  const [one, two] = loaded.rules
  if (one === undefined || two === undefined) throw new Error('the test has two rules')
  const [record] = planPublication(foldControl([]), [one], { nowMs: 0 }).publish
  if (record === undefined) throw new Error('the first rule is published')
  const published = (count: number) =>
    new Map(
      Array.from({ length: count }, (_, n) => [`other ${n}`, { record: { ...record, rule_id: 'other' }, source: one }]),
    )
  const planWith = (count: number) =>
    planPublication({ ...foldControl([]), published: published(count) }, [one, two], { nowMs: 0 })
  expect(planWith(RULE_VERSIONS_MAX - 2)).toMatchObject({ publish: [{}, {}], refused: [] })
  const beyond = planWith(RULE_VERSIONS_MAX - 1)
  expect([beyond.publish.length, beyond.refused.length]).toEqual([1, 1])
  expect(beyond.refused[0]?.message).toMatch(/one more than the 10000 versions/)
})

test('nothing that a sender writes becomes a label: the metrics of many users have as many series as those of one', async () => {
  const series = async (users: number): Promise<number> => {
    const engine = new TestEngine([testRule({ ruleId: 'r' })])
    const metrics = createMetrics({ role: 'worker' })
    const lines = Array.from({ length: users }, (_, n) => [
      { value: eventLine({ id: `e${n}`, user: `user-${n}`, ts: Date.UTC(2025, 10, 3) + n }) },
      { value: eventLine({ id: `e${n}`, user: `user-${n}`, ts: Date.UTC(2025, 10, 3) + n }) },
      { value: eventLine({ id: `f${n}`, user: `user-${n}`, name: `name-${n}`, ts: 0 }) },
    ])
    await engine.feed(lines.flat())
    const report = {
      output: { ...emptyOutput(), ...engine.output },
      records: users,
      oldestIngestTs: 0,
      batchMs: 1,
      commitMs: 1,
    }
    reportBatch({ metrics, clock: fastClock() }, { partition: 0, report, batch: undefined })
    const { body } = await metrics.page()
    expect(body).toMatch(/onceward_duplicates_total\{[^}]*\} \d/)
    return body.split('\n').filter((line) => line.startsWith('onceward_')).length
  }
  expect(await series(500)).toBe(await series(1))
})
