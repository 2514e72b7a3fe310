import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runTestFile } from '../../cli/rule-tests/session.ts'
import { normalize } from '../support/engine.ts'

const dir = mkdtempSync(join(tmpdir(), 'onceward-rule-docs-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

test('the rule test of docs/RULES.md passes on the whole rule that it is about', async () => {
  const text = readFileSync('docs/RULES.md', 'utf8')
  const block = (language: string): string =>
    new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(text)?.[1] ?? ''
  writeFileSync(join(dir, 'r_points_winmult_v2.yaml'), block('yaml'))
  writeFileSync(join(dir, 'points.test.yaml'), block('yml'))
  const { tests, problem } = await runTestFile(join(dir, 'points.test.yaml'), normalize)
  expect(problem).toBeUndefined()
  expect(tests).toEqual([
    { name: 'three points for each time the stake came back', differences: [] },
    { name: '100 points bring free spins, once', differences: [] },
  ])
})
