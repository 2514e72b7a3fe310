import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readRuleFiles } from '../../connectors/files/rule-files.ts'
import { KYC_DEFAULTS } from '../../core/model/policy.ts'
import { lintRules } from '../../rules/lint.ts'
import { POLICY_KEYS, POLICY_META_KEYS, readPolicy } from '../../rules/policy-file.ts'
import { POOL_KEYS } from '../../rules/policy-pools.ts'
import { formatProblem } from '../../rules/problem.ts'
import { policySource } from './policy-texts.ts'

const ROOT = join(import.meta.dirname, '../..')
const TEXT = readFileSync(join(ROOT, 'docs/POLICY.md'), 'utf8')
const blocks = (language: string): string[] =>
  [...TEXT.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, name, body = '']) => (name === language ? [body] : []))

describe('docs/POLICY.md', () => {
  it.each(blocks('yaml').map((text, i) => [i, text] as const))('example %d is a policy', (_, text) => {
    const reading = readPolicy({ file: 'example.yaml', text })
    expect(reading.ok ? [] : reading.problems.map(formatProblem)).toEqual([])
  })

  it('explains every key, with an example of each', () => {
    const examples = blocks('yaml').join('\n')
    const keys: readonly string[] = [...POLICY_KEYS, ...POLICY_META_KEYS, ...POOL_KEYS]
    expect(keys.filter((key) => !TEXT.includes(`\`${key}\``))).toEqual([])
    const shown = keys.filter((key) => !['name', 'owner'].includes(key))
    expect(shown.filter((key) => !new RegExp(`\\b${key}:`).test(examples))).toEqual([])
  })

  it('its levels of verification are the defaults', () => {
    const text = blocks('yaml').find((block) => block.includes('kyc:')) ?? ''
    expect(policySource(text).policy.kyc).toEqual(KYC_DEFAULTS)
  })

  it('its error is what such a file gives', () => {
    const text =
      'policy: payout\ncurrency: EUR\npools:\n  nov_season: { budget: 80000, soft_cpa: 60000 }\nmeta: { version: 1 }\n'
    const reading = readPolicy({ file: 'payout.policy.yaml', text })
    expect(reading.ok ? [] : reading.problems.map(formatProblem)).toEqual([blocks('text')[0]?.trimEnd()])
  })
})

describe('the example', () => {
  it('knows every pool and the cost of every reward of the example rules', async () => {
    const files = await readRuleFiles(join(ROOT, 'examples/rules'))
    expect(lintRules(files, {})).toMatchObject({ findings: [], rules: 3, policies: 1 })
  })
})
