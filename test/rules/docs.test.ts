import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { JsonObject, PlayerEvent } from '../../core/model/event.ts'
import { loadRules } from '../../rules/load.ts'
import { formatProblem } from '../../rules/problem.ts'
import { numberOf, truthOf } from './expressions.ts'
import { problemsOf } from './rule-texts.ts'

const TEXT = readFileSync(join(import.meta.dirname, '../../docs/RULES.md'), 'utf8')

function blocks(language: string): string[] {
  return [...TEXT.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, name, body]) =>
    name === language && body !== undefined ? [body] : [],
  )
}

/** The rows of the tables under a heading: the expression of the first column, and the second. */
function rows(heading: string): [string, string][] {
  const section = TEXT.split(/^#{2,3} /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  return [...section.matchAll(/^\| `(.+)` \| (.+) \|$/gm)].map(([, expression = '', value = '']) => [expression, value])
}

const data = JSON.parse(blocks('json')[0] ?? '{}') as JsonObject
const event: PlayerEvent = {
  eventId: 'e1',
  eventName: 'bet',
  userId: 'u_123',
  ts: Date.parse('2025-11-10T12:00:00Z'),
  data,
}

describe('docs/RULES.md', () => {
  it('its rules and segments load together', () => {
    const loaded = loadRules(blocks('yaml').map((text, i) => ({ file: `example-${i}.yaml`, text })))
    expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([])
  })

  it.each(rows('Numbers'))('%s gives %s', (expression, value) => {
    expect(numberOf(expression, event)).toBeCloseTo(Number(value), 12)
  })

  it.each([...rows('Conditions'), ...rows('Dates')])('%s is %s', (expression, value) => {
    expect(String(truthOf(expression, event) ?? 'unknown')).toBe(value)
  })

  it('has examples at all', () => {
    expect(blocks('yaml').length).toBeGreaterThan(7)
    expect([rows('Numbers').length, rows('Conditions').length, rows('Dates').length].every((count) => count > 8)).toBe(
      true,
    )
  })

  it('its error is what such a file gives', () => {
    const shown = blocks('text').find((text) => text.includes('flor')) ?? ''
    const file = 'rule_id: r\nwhen: { event_name: bet }\n\n\n\n\nscore:\n  formula: "flor(payload.win)"\n'
    expect(problemsOf(file).map(formatProblem)).toEqual([shown.trimEnd().replace('rules/r_points.yaml', 'rule.yaml')])
  })
})
