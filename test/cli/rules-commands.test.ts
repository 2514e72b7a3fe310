import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from './process.ts'

let dir = ''
const write = (name: string, text: string): Promise<void> => writeFile(join(dir, name), text)
const rule = (filter: string, formula = '1'): string =>
  `rule_id: r\nwhen: { event_name: bet, filters: [${JSON.stringify(filter)}] }\nscore: { formula: ${JSON.stringify(formula)} }\n`

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'onceward-rules-'))
  await write('good.yaml', rule('payload.bet > 0'))
  await write('warned.yaml', rule('payload.bet >= 0', '1 / payload.bet'))
  await write('bad.yaml', rule('payload.bte > 0'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

describe('rules lint', () => {
  test.each([
    ['good.yaml', 0, '1 rule and 0 segments: nothing to find'],
    ['warned.yaml', 0, 'warned.yaml:3:24: warning: payload.bet can be zero'],
    ['bad.yaml', 1, 'did you mean payload.bet?'],
  ])('%s ends with %d', async (file, code, says) => {
    const ended = await runCli(['rules', 'lint', join(dir, file)])
    expect([ended.code, ended.stderr]).toEqual([code, ''])
    expect(ended.stdout).toContain(says)
  })

  test('wrong usage ends with 2, a folder without rules with 1', async () => {
    const [bare, wrong, gone] = await Promise.all([
      runCli(['rules', 'lint']),
      runCli(['rules', 'lint', dir, '--format', 'xml']),
      runCli(['rules', 'lint', join(dir, 'gone')]),
    ])
    expect([bare.code, wrong.code, gone.code]).toEqual([2, 2, 1])
  })

  test('a folder is looked at whole, and --pools is held against it', async () => {
    await write(
      'pool.yaml',
      `${rule('payload.bet > 0').replace('_id: r', '_id: p')}guardrails: { budget_pool: sesaon }\n`,
    )
    const ended = await runCli(['rules', 'lint', dir, '--format', 'json', '--pools', 'season'])
    const { findings } = JSON.parse(ended.stdout) as { findings: { code: string }[] }
    expect(findings.map(({ code }) => code.replace('ONCEWARD_E_RULE_', '')).sort()).toEqual([
      'DIVISION',
      'DUPLICATE',
      'UNKNOWN_FIELD',
      'UNKNOWN_POOL',
    ])
  })
})

test('rules schema prints the JSON Schema', async () => {
  const { code, stdout } = await runCli(['rules', 'schema'])
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema' })
})
