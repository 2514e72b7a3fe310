import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadRules } from '../../rules/load.ts'
import { formatProblem } from '../../rules/problem.ts'
import { readRule } from '../../rules/rule-file.ts'
import { eventOf } from './expressions.ts'
import { noise } from './generators.ts'
import { problemsOf, ruleOf, ruleText } from './rule-texts.ts'

const ROOT = join(import.meta.dirname, '../..')
const SHARED = process.env['ONCEWARD_SHARED'] ?? join(ROOT, '../shared')

function filesIn(dir: string): { file: string; text: string }[] {
  return readdirSync(dir)
    .filter((file) => file.endsWith('.yaml') && !file.endsWith('.test.yaml'))
    .map((file) => ({ file, text: readFileSync(join(dir, file), 'utf8') }))
}

/** What a golden file expects: its lines of `# expect: …`. */
function expectations(text: string): string[] {
  return text.split('\n').flatMap((line) => (line.startsWith('# expect: ') ? [line.slice('# expect: '.length)] : []))
}

describe('good rule files', () => {
  it.each(filesIn(join(import.meta.dirname, 'good')))('$file reads as it expects', ({ text }) => {
    const rule = ruleOf(text)
    expect(JSON.parse(JSON.stringify(rule))).toEqual(JSON.parse(expectations(text)[0] ?? ''))
    expect(rule.matches(eventOf())).toBeTypeOf('boolean')
  })

  it('the examples load together', () => {
    const loaded = loadRules(filesIn(join(ROOT, 'examples/rules')))
    expect(loaded.ok ? loaded.rules.map(({ rule }) => rule.ruleId) : loaded.problems.map(formatProblem)).toEqual([
      'r_daily_rounds',
      'r_deposit_bonus',
      'r_points_winmult_v2',
    ])
  })

  it.each(['data/rules', 'peer/rules'])('the shared rules of %s load as they stand', (dir) => {
    const path = join(SHARED, dir)
    if (!existsSync(path)) {
      process.stderr.write(`SKIPPED: ${path} is not there; set ONCEWARD_SHARED to test the shared rules\n`)
      return
    }
    const loaded = loadRules(filesIn(path))
    expect(loaded.ok ? loaded.rules.length : loaded.problems.map(formatProblem)).toBe(filesIn(path).length)
  })
})

describe('bad rule files', () => {
  it.each(filesIn(join(import.meta.dirname, 'bad')))(
    'every problem of $file is found, at its place',
    ({ file, text }) => {
      const reading = readRule({ file, text })
      const problems = reading.ok ? [] : reading.problems
      const expected = expectations(text).map((line) => /^(\S+ \S+) ?(.*)$/.exec(line) ?? [])
      expect(problems.map(({ line, column, code }) => `${line}:${column} ${code}`)).toEqual(
        expected.map(([, place]) => place),
      )
      problems.forEach((problem, i) => {
        expect(`${problem.message} ${problem.hint ?? ''}`).toContain(expected[i]?.[2])
      })
    },
  )

  it('a problem shows its place, the line, a caret and what would be right', () => {
    const [problem] = problemsOf(ruleText({ formula: 'flor(payload.win)' }))
    expect(problem && formatProblem(problem)).toBe(
      [
        'rule.yaml:3:20: there is no function "flor" [ONCEWARD_E_RULE_UNKNOWN_FUNCTION]',
        '    score: { formula: "flor(payload.win)" }',
        '                       ^',
        '  did you mean floor?',
      ].join('\n'),
    )
  })

  it('problems of all files are answered together, and nothing loads', () => {
    const loaded = loadRules([
      { file: 'a.yaml', text: ruleText() },
      { file: 'b.yaml', text: ruleText({ formula: '1 +' }) },
      { file: 'c.yaml', text: 'rule_id: c' },
    ])
    expect(loaded.ok).toBe(false)
    if (!loaded.ok) expect(new Set(loaded.problems.map(({ file }) => file))).toEqual(new Set(['b.yaml', 'c.yaml']))
  })

  it('one version of a rule in two files is refused; two versions are not', () => {
    const files = (second: string) => [
      { file: 'a.yaml', text: ruleText() },
      { file: 'b.yaml', text: ruleText({ version: second }) },
    ]
    expect(loadRules(files('1.0'))).toMatchObject({
      ok: false,
      problems: [{ code: 'ONCEWARD_E_RULE_DUPLICATE', file: 'b.yaml', message: expect.stringContaining('a.yaml') }],
    })
    expect(loadRules(files('1.1')).ok).toBe(true)
  })

  it('tells a bounded number of problems of one file, and that there are more', () => {
    const problems = problemsOf(Array.from({ length: 500 }, (_, i) => `key${i}: 1`).join('\n'))
    expect(problems).toHaveLength(101)
    expect(problems.some(({ message }) => message.includes('more problems'))).toBe(true)
  })

  it('nests as deep as a reward may need, and no deeper', () => {
    const nested = (levels: number): string => `${'["x", '.repeat(levels)}1${']'.repeat(levels)}`
    const text = (levels: number): string =>
      ruleText({
        more: `reward_trigger: { on_progress: { threshold: 1, reward: { type: loot, tree: ${nested(levels)} } } }\n`,
      })
    expect(problemsOf(text(40))).toEqual([])
    expect(problemsOf(text(60)).map(({ message }) => message)).toEqual(['a rule file nests at most 50 levels deep'])
  })

  it.each([
    ['nested lists', '['.repeat(50_000)],
    ['nested maps', '{a: '.repeat(20_000)],
    ['nested blocks', Array.from({ length: 400 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['closed nested lists', `${'['.repeat(40_000)}${']'.repeat(40_000)}`],
    ['nested dashes', `${'- '.repeat(40_000)}a`],
    ['nested question marks', '? '.repeat(40_000)],
    ['an endless line', `rule_id: ${'x'.repeat(90_000)}`],
    ['a huge file', '#'.repeat(300_000)],
    ['many keys', Array.from({ length: 9_000 }, (_, i) => `k${i}: 1`).join('\n')],
    ['aliases of aliases', `a: &a [1]\n${Array.from({ length: 30 }, (_, i) => `b${i}: [*a, *a, *a]`).join('\n')}`],
    ['a tag', 'rule_id: !!js/function "x"'],
    ['a directive', '%YAML 1.1\n---\nrule_id: r'],
    ['an anchor on nothing', '&a'],
    ['only an alias', '*a'],
    ['a binary', '\u0000\u0001\ufffe'],
  ])('%s end in problems, soon', (_, text) => {
    const problems = problemsOf(text)
    expect(problems.length).toBeGreaterThan(0)
    for (const { line, column } of problems) expect([line > 0, column > 0]).toEqual([true, true])
  })
})

describe('any text', () => {
  const key = fc.constantFrom(
    'rule_id',
    'when',
    'event_name',
    'filters',
    'score',
    'formula',
    'caps',
    'per_day',
    'reward_trigger',
    'on_progress',
    'threshold',
    'reward',
    'type',
    'value',
    'guardrails',
    'meta',
    'version',
    'effective_from',
    '__proto__',
    'x',
  )
  const scalar = fc.oneof(
    noise,
    fc.integer().map(String),
    fc.constantFrom('bet', '"1"', '2025-11-01', '[1, 2]', '{ type: fs }', '>-', '|', '&a', '*a', '!x', 'null', '~', ''),
  )
  const yamlish = fc
    .array(fc.tuple(fc.nat(4), fc.constantFrom('', '- '), key, scalar), { maxLength: 12 })
    .map((lines) =>
      lines.map(([depth, dash, name, value]) => `${'  '.repeat(depth)}${dash}${name}: ${value}`).join('\n'),
    )

  it('gives a rule or located problems, never a crash', () => {
    fc.assert(
      fc.property(fc.oneof(yamlish, noise), (text) => {
        const reading = readRule({ file: 'f', text })
        if (reading.ok) return
        expect(reading.problems.length).toBeGreaterThan(0)
        const lines = text.split('\n')
        for (const { line, column } of reading.problems) {
          expect(line).toBeGreaterThan(0)
          expect(line).toBeLessThanOrEqual(lines.length)
          expect(column).toBeGreaterThan(0)
          expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 1)
        }
      }),
      { numRuns: 5_000 },
    )
  })

  it('as a filter and a formula of a rule gives a rule that runs or problems within that scalar', () => {
    fc.assert(
      fc.property(noise, noise, (filter, formula) => {
        const text = `rule_id: r\nwhen:\n  event_name: bet\n  filters:\n    - ${JSON.stringify(filter)}\nscore:\n  formula: ${JSON.stringify(formula)}\n`
        const reading = readRule({ file: 'f', text })
        if (reading.ok) {
          reading.rule.rule.matches(eventOf())
          const points = reading.rule.rule.points(eventOf())
          expect(points.ok ? Number.isSafeInteger(points.points) && points.points >= 0 : points.detail.length > 0).toBe(
            true,
          )
        } else for (const { line } of reading.problems) expect([5, 7]).toContain(line)
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('points', () => {
  const pointsOf = (formula: string, payload = {}) => ruleOf(ruleText({ formula })).points(eventOf(payload))

  it.each([
    ['2.9', 2],
    ['2.9999999999999', 3],
    ['-5', 0],
    ['-0.1', 0],
    ['1e300', Number.MAX_SAFE_INTEGER],
    ['(0.7 + 0.1) * 10', 8],
    ['payload.win / payload.bet', 2],
  ])('%s gives %d', (formula, points) => {
    expect(pointsOf(formula)).toEqual({ ok: true, points })
    expect(Object.is(pointsOf(formula).ok && points, -0)).toBe(false)
  })

  it('no finite number gives the reason', () => {
    expect(pointsOf('payload.win / payload.bet', { bet: 0 })).toEqual({
      ok: false,
      detail: 'division by zero: payload.bet is 0 in payload.win / payload.bet',
    })
    expect(pointsOf('payload.gone')).toEqual({ ok: false, detail: 'payload.gone is missing' })
  })

  it('filters are joined by and; each holds only where it is surely true', () => {
    const rule = ruleOf(
      `rule_id: r\nwhen:\n  event_name: bet\n  filters: [payload.bet > 0.2, 'user.geo == "TR"', payload.win < 100]\nscore: { formula: 1 }\n`,
    )
    expect(rule.matches(eventOf())).toBe(true)
    expect(rule.matches(eventOf({ bet: 0.1 }))).toBe(false)
    expect(rule.matches(eventOf({ win: 100 }))).toBe(false)
    expect(rule.matches(eventOf({ win: null }))).toBe(false)
  })
})
