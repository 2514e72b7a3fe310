import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { RuleIndex } from '../../rules/rule-index.ts'
import { eventOf } from './expressions.ts'
import { ruleOf } from './rule-texts.ts'

function rule(id: string, ...filters: readonly string[]) {
  return ruleOf(
    `rule_id: ${id}\nwhen: { event_name: bet, filters: ${JSON.stringify(filters)} }\nscore: { formula: 1 }\n`,
  )
}

const filter = fc.oneof(
  fc.constantFrom('payload.game', 'user.geo', 'payload.vip', 'payload.kind').chain((field) =>
    fc.oneof(
      fc.constantFrom('"a"', '"b"', '"TR"', 'true', '5').map((value) => `${field} == ${value}`),
      fc.constantFrom('"a"', '"b"').map((value) => `${value} == ${field}`),
      fc.constantFrom('not in ["a"]', 'not in ["b", true]').map((rest) => `${field} ${rest}`),
      fc.constantFrom('["a"]', '["a", "TR"]', '["b", true]', '["a", 5]').map((list) => `${field} in ${list}`),
      fc.constant(field),
      fc.constantFrom('== "a"', '!= "a"', 'in ["a"]').map((rest) => `not (${field} ${rest})`),
      fc.constant(`${field} == "a" and payload.bet > 0`),
      fc.constant(`${field} == "a" or payload.bet > 0`),
    ),
  ),
  fc.constant('payload.bet > 0'),
)
const value = fc.constantFrom<unknown>('a', 'b', 'TR', true, false, 5, null, ['a'], undefined)

it('no rule that matches is left out, and the others come in their order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(filter, { maxLength: 3 }), { minLength: 1, maxLength: 30 }),
      fc.array(fc.record({ game: value, vip: value, kind: value }), { maxLength: 5 }),
      (filters, payloads) => {
        const rules = filters.map((each, i) => rule(`r${i}`, ...each))
        const index = new RuleIndex(rules)
        for (const payload of payloads) {
          const event = eventOf(payload as never)
          const candidates = index.candidates(event)
          expect(candidates.filter((one) => one.matches(event))).toEqual(rules.filter((one) => one.matches(event)))
          expect(index.candidates(event)).toBe(candidates)
        }
      },
    ),
    { numRuns: 500 },
  )
})

it('of many rules for one game each, an event is judged by those for its game and those for any', () => {
  const rules = Array.from({ length: 200 }, (_, i) => rule(`r${i}`, `payload.game == "g${i % 100}"`))
  const index = new RuleIndex([...rules, rule('all', 'payload.bet > 0')])
  const names = (game?: string) => index.candidates(eventOf(game === undefined ? {} : { game })).map((r) => r.ruleId)
  expect(names('g7')).toEqual(['r7', 'r107', 'all'])
  expect(names('g100')).toEqual(['all'])
  expect(names()).toEqual(['all'])
})

it('rules for a game and rules for a country are both looked up', () => {
  const games = Array.from({ length: 50 }, (_, i) => rule(`g${i}`, `payload.game in ["g${i}", "x"]`))
  const countries = Array.from({ length: 50 }, (_, i) => rule(`c${i}`, `user.geo == "${i === 3 ? 'TR' : i}"`))
  const index = new RuleIndex([...games, ...countries])
  expect(index.candidates(eventOf({ game: 'g9' })).map((r) => r.ruleId)).toEqual(['g9', 'c3'])
})

it('values without end do not pile up', () => {
  const index = new RuleIndex(Array.from({ length: 9 }, (_, i) => rule(`r${i}`, `payload.game == "g${i}"`)))
  const none = index.candidates(eventOf({ game: 'x' }))
  for (let i = 0; i < 1_000; i++) expect(index.candidates(eventOf({ game: `x${i}` }))).toBe(none)
})
