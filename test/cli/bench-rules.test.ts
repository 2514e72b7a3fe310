import { expect, test } from 'vitest'
import { rulesReport } from '../../cli/bench/rules-command.ts'
import { runCli } from './process.ts'

test('bench rules measures one rule and many', async () => {
  const { code, stdout } = await runCli(['bench', 'rules', '--for', '10ms', '--rule-count', '20'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/the seed's rule: [\d,]+ evaluations a second \([1-9]\d? % of the events match\)/)
  expect(stdout).toMatch(/each for a game of its own +20 +\d+ +[\d.]+ ×/)
  expect(stdout).toMatch(/all for every bet +20 +\d+ +[\d.]+ ×/)
})

test('its report says what many rules cost against one', () => {
  const sets = [
    { name: 'one rule', rules: 1, nsPerEvent: 50 },
    { name: 'many', rules: 200, nsPerEvent: 75 },
  ]
  const report = rulesReport({ perSecond: 5_000_000, matched: 0.5, sets })
  expect(report).toContain('5,000,000 evaluations a second (50 % of the events match)')
  expect(report).toMatch(/^many +200 +75 +1\.5 ×$/m)
})
