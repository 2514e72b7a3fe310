import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { policyAsJson } from '../../cli/policy/description.ts'
import { decimalOf, formatMicros } from '../../rules/decimal.ts'
import { loadRules } from '../../rules/load.ts'
import { isPolicyFile, readPolicy } from '../../rules/policy-file.ts'
import { formatProblem } from '../../rules/problem.ts'
import { noise } from '../rules/generators.ts'
import { ruleText } from '../rules/rule-texts.ts'
import { policySource, policyText } from './policy-texts.ts'

function filesIn(dir: string): { file: string; text: string }[] {
  const path = join(import.meta.dirname, dir)
  return readdirSync(path).map((file) => ({ file, text: readFileSync(join(path, file), 'utf8') }))
}

function expectations(text: string): string[] {
  return text.split('\n').flatMap((line) => (line.startsWith('# expect: ') ? [line.slice('# expect: '.length)] : []))
}

const problemsOf = (text: string) => {
  const reading = readPolicy({ file: 'p.yaml', text })
  return reading.ok ? [] : reading.problems
}

describe('a policy file', () => {
  it.each(filesIn('good'))('$file reads as it expects', ({ text }) => {
    expect(policyAsJson(policySource(text).policy)).toEqual(JSON.parse(expectations(text)[0] ?? ''))
    expect(isPolicyFile({ file: 'f', text })).toBe(true)
  })

  it.each(filesIn('bad'))('every problem of $file is found, at its place', ({ text }) => {
    const problems = problemsOf(text)
    const expected = expectations(text).map((line) => /^(\S+) (.*)$/.exec(line) ?? [])
    expect(problems.map(({ line, column }) => `${line}:${column}`)).toEqual(expected.map(([, place]) => place))
    problems.forEach((problem, i) => {
      expect(`${problem.message} ${problem.hint ?? ''}`).toContain(expected[i]?.[2])
      expect(problem.code).toBe('ONCEWARD_E_POLICY_INVALID')
    })
  })

  it('a problem shows its place, the line, a caret and what would be right', () => {
    const [problem] = problemsOf(
      'policy: p\ncurrency: EUR\npools: { a: { budget: 100, when_closd: hold } }\nmeta: { version: 1 }\n',
    )
    expect(problem && formatProblem(problem)).toBe(
      [
        'p.yaml:3:28: pool a has no key "when_closd" [ONCEWARD_E_POLICY_INVALID]',
        '    pools: { a: { budget: 100, when_closd: hold } }',
        '                               ^',
        '  did you mean when_closed?',
      ].join('\n'),
    )
  })

  it('has bounds: pools, lines of the catalogue, rates', () => {
    const many = (count: number, one: (i: number) => string): string =>
      Array.from({ length: count }, (_, i) => one(i)).join('\n')
    const text = (more: string): string => `policy: p\ncurrency: EUR\n${more}\nmeta: { version: 1 }\n`
    const pools = (count: number): string => text(`pools:\n${many(count, (i) => `  p${i}: { budget: 1 }`)}`)
    const lines = (count: number): string =>
      text(`catalogue:\n${many(count, (i) => `  - { type: fs, game_id: ${i}, unit_cost: 1 }`)}`)
    expect([problemsOf(pools(1000)), problemsOf(lines(1000))]).toEqual([[], []])
    expect(problemsOf(pools(1001)).map(({ message }) => message)).toEqual([
      'a policy has at most 1000 pools, this one 1001',
    ])
    expect(problemsOf(lines(1001)).map(({ message }) => message)).toEqual([
      'a catalogue has at most 1000 lines, this one 1001',
    ])
    expect(problemsOf(text('#'.repeat(100_000)))[0]?.message).toContain('a policy file has at most 100000 characters')
  })

  it('whatever the text, gives a policy or located problems, never a crash', () => {
    const yamlish = fc
      .array(
        fc.tuple(
          fc.nat(3),
          fc.constantFrom(
            'policy',
            'currency',
            'pools',
            'budget',
            'rates',
            'catalogue',
            'kyc',
            'meta',
            'version',
            '- type',
            'unit_cost',
            '__proto__',
          ),
          fc.oneof(
            noise,
            fc.constantFrom('', 'EUR', '1', '-0', '1e400', '.nan', '{ a: { budget: 1 } }', '[1]', '&a', '2025-11-01'),
          ),
        ),
        { maxLength: 12 },
      )
      .map((lines) => lines.map(([depth, key, value]) => `${'  '.repeat(depth)}${key}: ${value}`).join('\n'))
    fc.assert(
      fc.property(fc.oneof(yamlish, noise), (text) => {
        const reading = readPolicy({ file: 'f', text })
        if (reading.ok) return
        expect(reading.problems.length).toBeGreaterThan(0)
        for (const { line, column } of reading.problems) expect([line > 0, column > 0]).toEqual([true, true])
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('amounts keep the digits that are written', () => {
  const budgetOf = (written: string): string | undefined =>
    policySource(policyText({ pools: `a: { budget: ${written} }` }))
      .policy.pools.get('a')
      ?.budget.toString()

  it.each([
    ['80000', '8000000'],
    ['"80000"', '8000000'],
    ['0.1', '10'],
    ['9007199254740993.01', '900719925474099301'],
    ['9999999999999999.99', '999999999999999999'],
    ['100.000', '10000'],
  ])('%s is %s cents', (written, cents) => {
    expect(budgetOf(written)).toBe(cents)
  })

  it('six decimals of a unit cost and of a rate', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 10n ** 12n }), (micros) => {
        const text = formatMicros(micros)
        expect(decimalOf(text, 6)).toBe(micros)
        const { policy } = policySource(
          policyText({ more: `catalogue: [{ type: fs, unit_cost: ${text} }]\nrates: { TRY: ${text} }` }),
        )
        expect([policy.catalogue[0]?.micros, policy.rates[0]?.micros]).toEqual([micros, micros])
      }),
      { numRuns: 300 },
    )
  })
})

describe('the hash of a policy', () => {
  const hashOf = (text: string): string => policySource(text).contentHash
  const text = policyText({ pools: 'a: { budget: 80000, soft_cap: 10 }' })

  it.each([
    ['comments and blanks', `# new\n${text}\n\n`],
    ['zeros behind the point', text.replace('80000', '80000.00')],
    ['the order of keys', policyText({ pools: 'a: { soft_cap: 10, budget: 80000 }' })],
    ['quotes around the version', text.replace('"1.0"', '1.0')],
  ])('%s are no change', (_, other) => {
    expect(hashOf(other)).toBe(hashOf(text))
  })

  it.each([
    ['an amount', text.replace('80000', '80000.01')],
    ['a version', text.replace('"1.0"', '"1.1"')],
    ['a pool', text.replace('a: {', 'b: {')],
  ])('%s is one', (_, other) => {
    expect(hashOf(other)).not.toBe(hashOf(text))
  })

  it('amounts that are one float are told apart', () => {
    const [a, b] = ['9999999999999999.98', '9999999999999999.99'].map((budget) =>
      policyText({ pools: `a: { budget: ${budget} }` }),
    )
    expect(Number('9999999999999999.98')).toBe(Number('9999999999999999.99'))
    expect(hashOf(a ?? '')).not.toBe(hashOf(b ?? ''))
  })

  it('a number and a text that looks like it match different rewards, and are told apart', () => {
    const line = (id: string): string => policyText({ more: `catalogue: [{ type: fs, game_id: ${id}, unit_cost: 1 }]` })
    expect(hashOf(line('5'))).not.toBe(hashOf(line('"5"')))
  })
})

describe('a policy beside rules', () => {
  const rule = { file: 'r.yaml', text: ruleText() }
  const policy = (version: string, file = `${version}.yaml`) => ({ file, text: policyText({ version }) })

  it('is loaded with them, and each rule carries it', () => {
    const loaded = loadRules([policy('1.0'), rule])
    expect(loaded.ok && loaded.rules.map(({ policies }) => policies?.map((each) => each.policy.version))).toEqual([
      ['1.0'],
    ])
    expect(loaded.ok && loaded.policies).toHaveLength(1)
  })

  it('may come in several versions, but each once', () => {
    expect(loadRules([policy('1.0'), policy('2.0'), rule]).ok).toBe(true)
    expect(loadRules([policy('1.0', 'a.yaml'), policy('1.0', 'b.yaml'), rule])).toMatchObject({
      ok: false,
      problems: [{ code: 'ONCEWARD_E_RULE_DUPLICATE', message: 'policy 1.0 stands in a.yaml too' }],
    })
  })

  it('and its problems are told together with those of the rules', () => {
    const loaded = loadRules([
      { file: 'p.yaml', text: 'policy: p\nmeta: { version: 1 }\n' },
      { file: 'r.yaml', text: ruleText({ formula: '1 +' }) },
    ])
    expect(!loaded.ok && loaded.problems.map(({ file }) => file)).toEqual(['p.yaml', 'r.yaml'])
  })
})
