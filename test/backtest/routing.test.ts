import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { userIdBytes } from '../../cli/backtest/routing.ts'
import { seededRandom } from '../../core/random.ts'
import { generatedBets } from '../support/generated-bets.ts'
import { normalize } from '../support/engine.ts'
import { withBroken } from '../support/workload.ts'

const name = fc.constantFrom(
  'user',
  'id',
  'event_id',
  'payload',
  'a',
  'b',
  'c',
  'geo',
  'ts',
  'game_id',
  'u\\u0073er',
  '"user"',
  'us\\er',
)
const { value: json } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('user', 'id', 'u_1', 'ü', '"id"', '\\', ''),
    fc.integer(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(name, tie('value')), { maxLength: 4 }).map((pairs) => ({ pairs })),
  ),
}))

/** Writes objects with names that may repeat, be escaped or lie in any order, with blanks around. */
function written(value: unknown, gap: string): string {
  if (Array.isArray(value)) return `[${value.map((each) => written(each, gap)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const { pairs } = value as { pairs: [string, unknown][] }
  const key = (text: string): string => (text === 'u\\u0073er' ? '"u\\u0073er"' : JSON.stringify(text))
  return `{${pairs.map(([k, v]) => `${gap}${key(k)}${gap}:${gap}${written(v, gap)}`).join(',')}}`
}

test('an id found without parsing is the one that parsing finds, whatever the line', () => {
  const user = fc.array(fc.tuple(name, json), { maxLength: 3 }).map((pairs) => ({ pairs: [['id', 'u_7'], ...pairs] }))
  const line = fc
    .tuple(fc.array(fc.tuple(name, json), { maxLength: 3 }), user, fc.array(fc.tuple(name, json), { maxLength: 3 }))
    .map(([before, own, after]) => ({ pairs: [...before, ['user', own], ...after] }))
  let found = 0
  fc.assert(
    fc.property(fc.oneof(json, line), fc.constantFrom('', ' ', '\t '), (value, gap) => {
      const text = written(value, gap)
      const id = userIdBytes(Buffer.from(text))?.toString()
      if (id === undefined) return
      found++
      const parsed = JSON.parse(text) as { user?: { id?: unknown } } | null
      const top = parsed?.user
      // A user further inside is no user: such a line is rejected wherever it goes.
      if (typeof top === 'object' && top !== null && top.id !== undefined) expect(top.id).toBe(id)
    }),
    { numRuns: 5_000 },
  )
  expect(found).toBeGreaterThan(100)
})

test.each([
  '{"user":{"id":"a","id":"b"}}',
  '{"user":{"id":"a"},"user":{"id":"b"}}',
  '{"user":{"id":"a"},"us\\u0065r":{"id":"b"}}',
  '{"user":{"id":"a","i\\u0064":"b"}}',
  '{"user":{"geo":"TR","id":"b"}}',
  '{"user":{"x":{"id":"a"}}}',
  '{"a":"user","user":{"id":"b"}}',
])('an id that is not certain is left to parsing: %s', (line) => {
  expect(userIdBytes(Buffer.from(line))).toBeUndefined()
})

test('nearly every event is routed without parsing, and none elsewhere than by its parsed id', () => {
  const lines = withBroken(generatedBets(500, 3), 200, seededRandom(3))
  let found = 0
  for (const line of lines) {
    const bytes = Buffer.from(line)
    const id = userIdBytes(bytes)?.toString()
    const parsed = normalize(bytes)
    if (parsed.kind !== 'event') continue
    if (id !== undefined) expect(id).toBe(parsed.event.userId)
    if (id !== undefined) found++
  }
  expect(found).toBe(500)
})
