import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { RULE_SCHEMA } from '../../rules/json-schema.ts'
import type { Schema } from '../../rules/schema-parts.ts'

/** As much of JSON Schema as the schema uses; an unknown keyword is an error, so that none is skipped unseen. */
function fits(schema: Schema, value: unknown): boolean {
  return Object.entries(schema).every(([keyword, wanted]) => {
    const check = KEYWORDS[keyword]
    if (check === undefined) throw new Error(`the test does not know the keyword ${keyword}`)
    return check(wanted as never, value, schema)
  })
}

type Check = (wanted: never, value: unknown, schema: Schema) => boolean
const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const kindOf = (value: unknown): string => (Array.isArray(value) ? 'array' : isMap(value) ? 'object' : typeof value)
const typeFits = (type: string, value: unknown): boolean =>
  type === 'integer' ? Number.isInteger(value) : kindOf(value) === type
const always: Check = () => true

const KEYWORDS: Readonly<Record<string, Check>> = {
  $schema: always,
  $defs: always,
  title: always,
  description: always,
  $ref: (name: string, value) =>
    fits((RULE_SCHEMA['$defs'] as Record<string, Schema>)[name.replace('#/$defs/', '')] as Schema, value),
  type: (types: string | string[], value) => [types].flat().some((type) => typeFits(type, value)),
  enum: (values: unknown[], value) => values.includes(value),
  required: (names: string[], value) => !isMap(value) || names.every((name) => name in value),
  properties: (schemas: Record<string, Schema>, value) =>
    !isMap(value) || Object.entries(schemas).every(([name, schema]) => !(name in value) || fits(schema, value[name])),
  additionalProperties: (more: false | Schema, value, schema) =>
    !isMap(value) ||
    Object.entries(value).every(
      ([name, each]) => Object.hasOwn(schema['properties'] ?? {}, name) || (more !== false && fits(more, each)),
    ),
  propertyNames: (names: Schema, value) => !isMap(value) || Object.keys(value).every((name) => fits(names, name)),
  minProperties: (least: number, value) => !isMap(value) || Object.keys(value).length >= least,
  items: (schema: Schema, value) => !Array.isArray(value) || value.every((item) => fits(schema, item)),
  minItems: (least: number, value) => !Array.isArray(value) || value.length >= least,
  maxItems: (most: number, value) => !Array.isArray(value) || value.length <= most,
  minimum: (least: number, value) => typeof value !== 'number' || value >= least,
  exclusiveMinimum: (least: number, value) => typeof value !== 'number' || value > least,
  maximum: (most: number, value) => typeof value !== 'number' || value <= most,
  multipleOf: (step: number, value) =>
    typeof value !== 'number' || Math.abs(value / step - Math.round(value / step)) < 1e-6,
  pattern: (pattern: string, value) => typeof value !== 'string' || new RegExp(pattern).test(value),
  anyOf: (schemas: Schema[], value) => schemas.some((schema) => fits(schema, value)),
  oneOf: (schemas: Schema[], value) => schemas.filter((schema) => fits(schema, value)).length === 1,
}

const ROOT = join(import.meta.dirname, '../..')
const textsIn = (dir: string): [string, string][] =>
  readdirSync(join(ROOT, dir))
    .filter((file) => !file.endsWith('.test.yaml'))
    .map((file) => [file, readFileSync(join(ROOT, dir, file), 'utf8')])
const documented = ['RULES', 'POLICY'].flatMap((name) => [
  ...readFileSync(join(ROOT, `docs/${name}.md`), 'utf8').matchAll(/^```yaml\n(.*?)^```$/gms),
])

describe('the JSON Schema', () => {
  it.each([
    ...textsIn('examples/rules'),
    ...textsIn('test/rules/good'),
    ...textsIn('test/policy/good'),
    ...documented.map(([, text = ''], i): [string, string] => [`example ${i} of the docs`, text]),
  ])('takes %s', (_, text) => {
    expect(fits(RULE_SCHEMA, parse(text))).toBe(true)
  })

  it.each([
    'rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\npiority: 1\n',
    'rule_id: r\nwhen: { event_name: bet }\n',
    'rule_id: r\nwhen: { event: bet }\nscore: { formula: 1 }\n',
    'rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1, caps: { per_day: 1.5 } }\n',
    'rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\nordering: stricct\n',
    'rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\nguardrails: { budget_soft_cap: 1.005 }\n',
    'rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\nreward_trigger: { limits: { cool_down: 5 } }\n',
    'rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\nguardrails: { budget_pool: {} }\n',
    'rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\nguardrails: { budget_pool: { tr: a } }\n',
    'rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\nguardrails: { geo: [] }\n',
    'rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\nguardrails: { sharp_rise: { share: 1 } }\n',
    'policy: p\ncurrency: EUR\n',
    'policy: p\ncurrency: EUR\npools: { a: { soft_cap: 5 } }\nmeta: { version: 1 }\n',
    'policy: p\ncurrency: EUR\npools: { a: { budget: -5 } }\nmeta: { version: 1 }\n',
    'policy: p\ncurrency: EUR\nrates: { TRY: { 2025-11-01: 0 } }\nmeta: { version: 1 }\n',
    'policy: p\ncurrency: EUR\npool: {}\nmeta: { version: 1 }\n',
    'segment_id: s\nuser: [u]\n',
    'segment_id: s\nrule_id: r\n',
  ])('refuses %j', (text) => {
    expect(fits(RULE_SCHEMA, parse(text))).toBe(false)
  })
})
