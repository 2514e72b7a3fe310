import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { DISTINCT_VALUES_MAX, slicesOf, WINDOWS_PER_RULE_MAX } from '../../rules/window-lengths.ts'
import { ruleOf } from '../rules/rule-texts.ts'
import { eventLine, TestEngine } from '../support/engine.ts'

const TEXT = readFileSync(join(import.meta.dirname, '../../docs/RULES.md'), 'utf8')
const SECTION = TEXT.split(/^### /m).find((part) => part.startsWith('Recent events\n')) ?? ''

const history = [...SECTION.matchAll(/^\| (2025-\S+) \| (\w+) \| (.+) \|$/gm)].map(
  ([, time, name = '', payload], i) => ({
    id: `e${i}`,
    name,
    ts: Date.parse(`${time}:00Z`),
    payload: JSON.parse(payload ?? '') as object,
  }),
)
const examples = [...SECTION.matchAll(/^\| `(.+)` \| (.+) \|$/gm)].map(
  ([, text = '', value = '']) => [text, value] as const,
)

/** The score of the last event of the history under such a rule; undefined where it does not match. */
async function judged(rule: { readonly filter?: string; readonly formula: string }) {
  const filters = rule.filter === undefined ? '' : `, filters: ['${rule.filter}']`
  const text = `rule_id: r\nwhen: { event_name: bet${filters} }\nscore: { formula: '${rule.formula}' }`
  const engine = new TestEngine(ruleSetOf([{ rule: ruleOf(text), effectiveFrom: undefined }]))
  await engine.feed(history.map((event) => ({ value: eventLine(event) })))
  await engine.finish()
  expect(engine.output.dlq).toEqual([])
  return engine.output.scores.find(({ value }) => value.event_id === `e${history.length - 1}`)?.value
}

it.each(examples)('%s is %s', async (expression, value) => {
  if (Number.isFinite(Number(value))) {
    expect((await judged({ formula: `1000 * (${expression})` }))?.points).toBe(1000 * Number(value))
    return
  }
  const holds = (await judged({ filter: expression, formula: '1' })) !== undefined
  const fails = (await judged({ filter: `not (${expression})`, formula: '1' })) !== undefined
  expect(holds ? 'true' : fails ? 'false' : 'unknown').toBe(value)
})

it('has an example for each function, on a history', () => {
  for (const name of ['count', 'sum', 'avg', 'min', 'max', 'distinct', 'last', 'streak', 'sequence']) {
    expect(examples.some(([text]) => text.startsWith(`${name}(`))).toBe(true)
  }
  expect(history).toHaveLength(9)
})

it('names the steps and bounds that hold', () => {
  const [lengths = [], steps = []] = ['length', 'step'].map((name) =>
    (SECTION.split('\n').find((line) => line.startsWith(`| ${name} |`)) ?? '').split(' | ').slice(1),
  )
  const seconds: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 }
  const ms = (text: string): number => {
    const [, count, unit = ''] = /(\d+) ?([smhd])/.exec(text) ?? []
    return Number(count) * (seconds[unit] ?? Number.NaN) * 1_000
  }
  expect(lengths.map((text) => slicesOf(ms(text)).sizeMs)).toEqual(steps.map(ms))
  expect(lengths.slice(0, -1).map((text) => slicesOf(ms(text) + 1).sizeMs)).toEqual(steps.slice(1).map(ms))
  expect(SECTION).toContain(`counts up to ${DISTINCT_VALUES_MAX} and`)
  expect(SECTION.replaceAll('\n', ' ')).toContain(`in at most ${WINDOWS_PER_RULE_MAX} different ways`)
})
