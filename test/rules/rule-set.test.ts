import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import type { RuleVersion } from '../../rules/compiled.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { ruleOf, ruleText } from './rule-texts.ts'

function version(
  id: string,
  name: string,
  effectiveFrom?: number,
  more: { event?: string; more?: string } = {},
): RuleVersion {
  return { rule: ruleOf(ruleText({ id, version: name, ...more })), effectiveFrom }
}

const names = (rules: readonly { ruleId: string; version: string }[]): string[] =>
  rules.map((rule) => `${rule.ruleId}@${rule.version}`)

it('an event is judged by the newest version in effect at its own time, rules in order of their id', () => {
  const set = ruleSetOf([
    version('b', '1'),
    version('a', '1'),
    version('a', '3', 200),
    version('a', '2', 100),
    version('c', '1', 150),
  ])
  expect(names(set.at('bet', -1))).toEqual(['a@1', 'b@1'])
  expect(names(set.at('bet', 99))).toEqual(['a@1', 'b@1'])
  expect(names(set.at('bet', 100))).toEqual(['a@2', 'b@1'])
  expect(names(set.at('bet', 150))).toEqual(['a@2', 'b@1', 'c@1'])
  expect(names(set.at('bet', 200))).toEqual(['a@3', 'b@1', 'c@1'])
  expect(names(set.at('bet', 0))).toEqual(['a@1', 'b@1'])
})

it('of two versions from the same instant the later published one counts', () => {
  expect(names(ruleSetOf([version('a', '2'), version('a', '1')]).at('bet', 0))).toEqual(['a@1'])
  expect(names(ruleSetOf([version('a', '2', 5), version('a', '1', 5)]).at('bet', 5))).toEqual(['a@1'])
})

it('a version that looks at other events takes the rule away from the old ones', () => {
  const set = ruleSetOf([version('a', '1'), version('a', '2', 100, { event: '[spin, win]' })])
  expect(names(set.at('bet', 99))).toEqual(['a@1'])
  expect(names(set.at('bet', 100))).toEqual([])
  expect(names(set.at('spin', 99))).toEqual([])
  expect(names(set.at('win', 100))).toEqual(['a@2'])
})

it('no rule looks at an unknown event', () => {
  const set = ruleSetOf([version('a', '1')])
  expect(set.at('constructor', 0)).toEqual([])
  expect(set.hasStrict('spin')).toBe(false)
})

it('an event has a strict lane where any version of any rule asks for it', () => {
  const set = ruleSetOf([version('a', '1'), version('a', '2', 100, { more: 'ordering: strict\n' })])
  expect(set.hasStrict('bet')).toBe(true)
  expect(ruleSetOf([version('a', '1')]).hasStrict('bet')).toBe(false)
})

it('the answer for an event does not allocate and is the same array each time', () => {
  const set = ruleSetOf([version('a', '1'), version('b', '1', 10)])
  expect(set.at('bet', 3)).toBe(set.at('bet', 5))
  expect(set.at('bet', 10)).toBe(set.at('bet', 1_000))
  expect(Object.isFrozen(set.at('bet', 3))).toBe(true)
})

it('whatever was asked before, the answer is what looking through all versions gives', () => {
  const a = Array.from({ length: 4 }, (_, i) => version('a', String(i)).rule)
  const b = Array.from(
    { length: 4 },
    (_, i) => version('b', String(i), undefined, { event: i % 2 === 0 ? 'bet' : 'spin' }).rule,
  )
  const instant = fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined })
  fc.assert(
    fc.property(
      fc.array(instant, { maxLength: 8 }),
      fc.array(fc.integer({ min: -1, max: 9 }), { maxLength: 30 }),
      (instants, asked) => {
        const versions = instants.flatMap((effectiveFrom, i): RuleVersion[] => {
          const rule = (i % 2 === 0 ? a : b)[i >> 1]
          return rule === undefined ? [] : [{ rule, effectiveFrom }]
        })
        const set = ruleSetOf(versions)
        for (const ts of asked) {
          const expected = ['a', 'b'].flatMap((id) => {
            let newest: RuleVersion | undefined
            for (const candidate of versions) {
              const from = candidate.effectiveFrom ?? -Infinity
              if (candidate.rule.ruleId === id && from <= ts && from >= (newest?.effectiveFrom ?? -Infinity))
                newest = candidate
            }
            return newest?.rule.eventNames.includes('bet') === true ? [newest.rule] : []
          })
          expect(names(set.at('bet', ts))).toEqual(names(expected))
        }
      },
    ),
  )
})
