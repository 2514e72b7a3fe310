import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadSchemas } from '../../connectors/files/schemas.ts'
import type { PlayerEvent } from '../../core/model/event.ts'
import { parseSchemas } from '../../operators/event-schema.ts'
import { fieldsOfSchemas } from '../../operators/schema-fields.ts'
import type { CompiledRule } from '../../rules/compiled.ts'
import { checkExpression } from '../../rules/checker.ts'
import { lintRules } from '../../rules/lint.ts'
import { loadRules } from '../../rules/load.ts'
import { parseExpression } from '../../rules/parser.ts'
import type { RuleProblem } from '../../rules/problem.ts'
import type { Expression } from '../../rules/syntax-tree.ts'
import { TestEngine } from '../support/engine.ts'
import { eventOf } from './expressions.ts'
import { events, noise, trees } from './generators.ts'
import { interpret } from './interpreter.ts'
import { ruleOf } from './rule-texts.ts'

/** How many texts are tried. A release is held to ONCEWARD_RULE_TEXTS=100000: some minutes. */
const TEXTS = Number(process.env['ONCEWARD_RULE_TEXTS'] ?? 2_000)
const TIMEOUT_MS = 60_000 + TEXTS * 20

const ROOT = join(import.meta.dirname, '../..')
const filesIn = (dir: string): string[] =>
  readdirSync(join(ROOT, dir))
    .filter((file) => !file.endsWith('.test.yaml'))
    .map((file) => readFileSync(join(ROOT, dir, file), 'utf8'))
const documented = [...readFileSync(join(ROOT, 'docs/RULES.md'), 'utf8').matchAll(/^```yaml\n(.*?)^```$/gms)]
const good = [...filesIn('examples/rules'), ...filesIn('test/rules/good'), ...documented.map(([, text = '']) => text)]
const bad = filesIn('test/rules/bad')
const words = [...new Set([...good, ...bad].flatMap((text) => text.match(/[\w.]+/g) ?? []))]
const numbers = words.filter((word) => /^\d/.test(word))
const names = words.filter((word) => !/^\d/.test(word))
const catalog = fieldsOfSchemas(parseSchemas(await loadSchemas()))

/** Swaps a word for another one, a number for another number: most of what comes out is still a rule, or nearly. */
const swap = fc
  .record({ at: fc.nat(), word: fc.constantFrom(...names), number: fc.constantFrom(...numbers) })
  .map(({ at, word, number }) => (text: string): string => {
    const found = [...text.matchAll(/[\w.]+/g)]
    const token = found[at % Math.max(1, found.length)]
    if (token === undefined) return text
    const put = /^\d/.test(token[0]) ? number : word
    return text.slice(0, token.index) + put + text.slice(token.index + token[0].length)
  })

const hostile = fc.constantFrom(
  '__proto__',
  'constructor',
  'prototype',
  'process.exit(1)',
  'import("x")',
  '!!js/function',
  '&a ',
  '*a',
  '<<: *a',
  '[[[[',
  '((((',
  '- - - ',
  '1e999',
  '\u0000',
  '\ufeff',
  '\r',
  '7d',
  'count(bet, 7d)',
  '"',
)

/** Puts something in the place of a piece of the text. */
const damage = fc
  .record({ at: fc.double({ min: 0, max: 1, noNaN: true }), length: fc.nat(12), piece: fc.oneof(hostile, noise) })
  .map(({ at, length, piece }) => (text: string): string => {
    const from = Math.floor(at * text.length)
    return text.slice(0, from) + piece + text.slice(from + length)
  })

const texts = fc
  .tuple(
    fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: fc.constantFrom(...bad) }),
    fc.array(fc.oneof({ weight: 3, arbitrary: swap }, { weight: 1, arbitrary: damage }), {
      minLength: 1,
      maxLength: 3,
    }),
  )
  .map(([seed, edits]) => edits.reduce((text, edit) => edit(text), seed))

function expectLocated(problems: readonly RuleProblem[], text: string): void {
  const lines = text.split('\n')
  for (const { line, column, message } of problems) {
    expect(message).not.toBe('')
    expect(line).toBeGreaterThan(0)
    expect(line).toBeLessThanOrEqual(lines.length)
    expect(column).toBeGreaterThan(0)
    expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 1)
  }
}

/** A rule that was taken does something sensible with any event. */
function expectSensible(rule: CompiledRule, event: PlayerEvent): void {
  const judged = { ...event, windows: { value: () => Number.NaN } }
  expect(rule.matches(judged)).toBeTypeOf('boolean')
  const points = rule.points(judged)
  if (points.ok) expect(Number.isSafeInteger(points.points) && points.points >= 0).toBe(true)
  else expect(points.detail).not.toBe('')
  for (const { amount, cost } of rule.trigger?.formulas?.values() ?? []) {
    for (const found of [amount?.(judged), cost?.(judged)]) {
      if (found?.ok === true) expect(found.amount > 0 && found.amount <= 1e12).toBe(true)
    }
  }
}

describe('any text of a rule', () => {
  it(
    'gives a rule that does something sensible, or problems with their places; never a crash or a hang',
    () => {
      let taken = 0
      fc.assert(
        fc.property(texts, events, (text, event) => {
          const files = [{ file: 'f.yaml', text, users: 'u1\nu2' }]
          const loaded = loadRules(files)
          if (loaded.ok) {
            taken++
            for (const { rule } of loaded.rules) expectSensible(rule, event)
          } else {
            expect(loaded.problems.length).toBeGreaterThan(0)
            expectLocated(loaded.problems, text)
          }
          expectLocated(lintRules(files, { catalog }).findings, text)
        }),
        { numRuns: TEXTS, endOnFailure: true },
      )
      // Otherwise it would be about YAML alone.
      expect(taken).toBeGreaterThan(TEXTS / 40)
    },
    TIMEOUT_MS,
  )
})

/** Filters and a formula that are valid. */
const valid = fc
  .record({ filters: fc.array(trees.condition, { maxLength: 3 }), formula: trees.numeric })
  .filter(
    ({ filters, formula }) =>
      filters.every((filter) => checkedTree(filter, 'condition') !== undefined) &&
      checkedTree(formula, 'number') !== undefined,
  )

function checkedTree(text: string, wanted: 'condition' | 'number'): Expression | undefined {
  const parsed = parseExpression(text)
  return parsed.ok && checkExpression(parsed.expression, wanted, 'UTC').length === 0 ? parsed.expression : undefined
}

const textOf = (filters: readonly string[], formula: string, more = ''): string =>
  `rule_id: r\nwhen: { event_name: bet, filters: ${JSON.stringify(filters)} }\nscore: { formula: ${JSON.stringify(formula)} }\n${more}`

/** As SPEC S19 has it: rounded down within a tolerance, nothing below zero, no more than is exact. */
function pointsOf(raw: unknown): number | undefined {
  if (typeof raw !== 'number' || !Number.isFinite(raw)) return undefined
  const near = Math.round(raw)
  const floor = Math.abs(raw - near) <= 1e-12 * Math.max(Math.abs(raw), Math.abs(near)) ? near : Math.floor(raw)
  return Math.max(0, Math.min(floor, Number.MAX_SAFE_INTEGER))
}

describe('a random rule', () => {
  it(
    'is what a plain interpreter of its expressions says',
    () => {
      fc.assert(
        fc.property(valid, events, ({ filters, formula }, event) => {
          const rule = ruleOf(textOf(filters, formula))
          const truths = filters.map((filter) => interpret(checkedTree(filter, 'condition') as Expression, event))
          expect(rule.matches(event)).toBe(truths.every((truth) => truth === true))
          const points = rule.points(event)
          const expected = pointsOf(interpret(checkedTree(formula, 'number') as Expression, event))
          expect(points.ok ? points.points : undefined).toEqual(expected)
        }),
        { numRuns: Math.ceil(TEXTS / 2), endOnFailure: true },
      )
    },
    TIMEOUT_MS,
  )

  it(
    'comes to the same totals and rewards in both lanes',
    async () => {
      const bets = fc.array(fc.record({ a: fc.integer({ min: 0, max: 9 }), b: fc.constantFrom(0, 0.5, 3) }), {
        minLength: 1,
        maxLength: 10,
      })
      const trigger = 'reward_trigger: { on_progress: { threshold: [1, 5, 50], reward: { type: fs }, reset: daily } }\n'
      const start = Date.parse('2025-11-03T23:59:55Z')
      await fc.assert(
        fc.asyncProperty(
          valid,
          bets,
          fc.infiniteStream(fc.integer({ min: 0, max: 20 })),
          async (parts, payloads, at) => {
            const lines = payloads.map((payload, i) => {
              const { data } = eventOf(
                { bet: 1, ...payload },
                new Date(start + Number(at.next().value) * 1_000).toISOString(),
              )
              return { value: JSON.stringify({ ...data, context: {}, event_id: `e${i}` }) }
            })
            // Sums beyond what a number holds exactly do depend on order.
            const formula = `min(${parts.formula}, 1000)`
            const totals = ['any', 'strict'].map(async (lane) => {
              const engine = new TestEngine([ruleOf(textOf(parts.filters, formula, `${trigger}ordering: ${lane}\n`))])
              for (const line of lines) await engine.feed([line])
              await engine.finish()
              return { points: engine.points(), rewards: engine.rewards() }
            })
            const [eager, strict] = await Promise.all(totals)
            expect(strict).toEqual(eager)
          },
        ),
        { numRuns: Math.ceil(TEXTS / 20), endOnFailure: true },
      )
    },
    TIMEOUT_MS,
  )
})
