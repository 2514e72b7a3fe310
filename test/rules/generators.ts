import * as fc from 'fast-check'
import type { JsonObject, PlayerEvent } from '../../core/model/event.ts'
import { eventOf } from './expressions.ts'

const FIELDS = ['payload.a', 'payload.b', 'payload.c', 'payload.d.e', 'user.geo', 'context.gone'] as const
const TEXTS = ['TR', 'BR', '', 'a', '😀', '\uff5e', '5'] as const

/** Events whose fields are of any kind, or missing: expressions must bear them all. */
export const events: fc.Arbitrary<PlayerEvent> = fc
  .record({ a: value(), b: value(), c: value(), d: fc.oneof(value(), fc.record({ e: value() })) }, { requiredKeys: [] })
  .map((payload) => eventOf(payload as JsonObject))

function value(): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 6, arbitrary: number() },
    { weight: 2, arbitrary: fc.constantFrom(...TEXTS) },
    { weight: 1, arbitrary: fc.boolean() },
    { weight: 1, arbitrary: fc.constantFrom(null, [], [1], ['TR', 5, true], {}) },
  )
}

function number(): fc.Arbitrary<number> {
  return fc.oneof(fc.integer({ min: -5, max: 20 }), fc.constantFrom(0.1, 0.2, 0.3, 0.5, 1.25, 2.9999999999999, 1e300))
}

function written(n: number): string {
  return n < 0 ? `(${n})` : String(n)
}

interface Trees {
  numeric: string
  condition: string
}

/** Texts of valid expressions, each part in parentheses now and then. */
export const trees = fc.letrec<Trees>((tie) => {
  const numeric = tie('numeric') as fc.Arbitrary<string>
  const condition = tie('condition') as fc.Arbitrary<string>
  const field = fc.constantFrom(...FIELDS)
  const literal = fc.oneof(
    number().map(written),
    fc.constantFrom(...TEXTS).map((text) => JSON.stringify(text)),
    fc.constantFrom('true', 'false'),
  )
  const numbers = number().map(written)
  const relation = fc.constantFrom('==', '!=', '<', '<=', '>', '>=')
  return {
    numeric: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'tree' },
      numbers,
      field,
      fc.constantFrom('year', 'month', 'day', 'weekday', 'hour', 'minute').map((part) => `now.${part}`),
      fc
        .tuple(numeric, fc.constantFrom('+', '-', '*', '/', '%', '^'), numeric)
        .map(([a, o, b]) => `(${a}) ${o} (${b})`),
      fc.tuple(numeric, fc.constantFrom('+', '*'), numeric).map(([a, o, b]) => `${a} ${o} ${b}`),
      numeric.map((a) => `-(${a})`),
      fc.tuple(fc.constantFrom('abs', 'floor', 'ceil', 'round', 'sqrt', 'log'), numeric).map(([f, a]) => `${f}(${a})`),
      fc
        .tuple(fc.constantFrom('min', 'max'), fc.array(numeric, { minLength: 1, maxLength: 3 }))
        .map(([f, a]) => `${f}(${a.join(', ')})`),
      fc.tuple(condition, numeric, numeric).map(([c, a, b]) => `if(${c}, ${a}, ${b})`),
    ),
    condition: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'tree' },
      fc.tuple(numeric, relation, numeric).map(([a, o, b]) => `${a} ${o} ${b}`),
      fc.tuple(field, relation, field).map(([a, o, b]) => `${a} ${o} ${b}`),
      fc.tuple(field, fc.constantFrom('==', '!='), literal).map(([a, o, b]) => `${a} ${o} ${b}`),
      fc.tuple(field, relation, fc.constantFrom('"TR"', '"\uff5e"')).map(([a, o, b]) => `${a} ${o} ${b}`),
      fc
        .tuple(field, fc.constantFrom('in', 'not in'), fc.array(literal, { minLength: 1, maxLength: 4 }))
        .map(([a, o, list]) => `${a} ${o} [${list.join(', ')}]`),
      fc
        .tuple(fc.oneof(numeric, field), fc.constantFrom('between', 'not between'), field, field)
        .map(([a, o, low, high]) => `(${a}) ${o} ${low} and ${high}`),
      fc
        .tuple(field, fc.constantFrom('contains', 'not contains'), fc.oneof(literal, field))
        .map(([a, o, b]) => `${a} ${o} ${b}`),
      fc
        .tuple(field, fc.constantFrom('starts_with', 'not starts_with'), fc.constantFrom('"T"', '""', 'payload.a'))
        .map(([a, o, b]) => `${a} ${o} ${b}`),
      fc.tuple(field, fc.constantFrom('"A" and "Z"', '0.1 and 3')).map(([a, range]) => `${a} between ${range}`),
      field.map((name) => `exists(${name})`),
      field,
      fc.constantFrom('true', 'false'),
      condition.map((c) => `not (${c})`),
      fc.tuple(condition, fc.constantFrom('and', 'or', '&&', '||'), condition).map(([a, o, b]) => `(${a}) ${o} (${b})`),
      fc.tuple(condition, fc.constantFrom('and', 'or'), condition).map(([a, o, b]) => `${a} ${o} ${b}`),
    ),
  }
})

/** Arithmetic that mathjs understands as well: no fields but those of `scope`, nothing that leaves the real numbers. */
export const arithmeticTexts: fc.Arbitrary<string> = fc.letrec<{ sum: string }>((tie) => {
  const sum = tie('sum')
  const leaf = fc.oneof(
    fc.integer({ min: 0, max: 20 }).map(String),
    fc.constantFrom('0.1', '2.5', '.5', '1e2', 'payload.win', 'payload.bet'),
  )
  return {
    sum: fc.oneof(
      { maxDepth: 5, depthIdentifier: 'sum' },
      leaf,
      fc
        .tuple(sum, fc.constantFrom(' + ', ' - ', ' * ', ' / ', '/', '*', '^', ' % '), sum)
        .map(([a, o, b]) => `${a}${o}${b}`),
      fc.tuple(sum, sum).map(([a, b]) => `(${a}) (${b})`),
      fc.tuple(sum, fc.constantFrom('payload.win', 'payload.bet')).map(([a, b]) => `${a} ${b}`),
      fc.tuple(sum, fc.integer({ min: 0, max: 9 })).map(([a, b]) => `(${a}) ${b}`),
      sum.map((a) => `(${a})`),
      sum.map((a) => `-${a}`),
      sum.map((a) => `+${a}`),
      fc.tuple(fc.constantFrom('abs', 'floor', 'ceil', 'round'), sum).map(([f, a]) => `${f}(${a})`),
      fc.tuple(fc.constantFrom('min', 'max'), sum, sum).map(([f, a, b]) => `${f}(${a}, ${b})`),
    ),
  }
}).sum

/** Text that looks like an expression, a rule, or nothing at all. */
export const noise: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc
    .array(
      fc.constantFrom(
        '(',
        ')',
        '[',
        ']',
        ',',
        '+',
        '-',
        '*',
        '/',
        '^',
        '%',
        '==',
        '!=',
        '<',
        '>=',
        '=',
        '!',
        'and',
        'or',
        'not',
        'in',
        'between',
        'contains',
        'starts_with',
        'segment',
        'user',
        'now',
        'now.hour',
        'true',
        'null',
        'exists',
        'if',
        'floor',
        'payload.bet',
        'user.geo',
        'ts',
        '1',
        '2.5',
        '"TR"',
        "'",
        '"',
        '"2025-11-01"',
        '__proto__',
        'constructor',
        '.',
        '\\',
        '\n',
        '\u00a0',
        '“',
        '{',
        '?',
      ),
      { maxLength: 25 },
    )
    .map((parts) => parts.join(' ')),
)
