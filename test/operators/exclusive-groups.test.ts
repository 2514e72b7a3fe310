import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CompiledRule, RuleVersion } from '../../rules/compiled.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { ruleOf, ruleText } from '../rules/rule-texts.ts'
import { eventLine, TestEngine } from '../support/engine.ts'

const NOW = Date.parse('2025-11-03T10:00:00Z')

interface Spec {
  readonly id: string
  readonly group?: string | undefined
  readonly priority?: number
  readonly least?: number
  readonly strict?: boolean
}

function rule({ id, group, priority = 0, least = 0, strict = false }: Spec): CompiledRule {
  const more = [
    `priority: ${priority}`,
    ...(group === undefined ? [] : [`exclusive_group: ${group}`]),
    `ordering: ${strict ? 'strict' : 'any'}`,
  ]
  const text = ruleText({ id, event: `bet, filters: [payload.bet >= ${least}]`, more: `${more.join('\n')}\n` })
  return ruleOf(text)
}

const versionsOf = (...specs: readonly Spec[]): RuleVersion[] =>
  specs.map((spec) => ({ rule: rule(spec), effectiveFrom: undefined }))

/** `event rule`, sorted, of what scored. */
async function scored(versions: readonly RuleVersion[], events: readonly { bet: number; ts?: number }[]) {
  const engine = new TestEngine(ruleSetOf(versions))
  for (const [i, { bet, ts = NOW + i }] of events.entries()) {
    await engine.feed([{ value: eventLine({ id: `e${i}`, name: 'bet', ts, payload: { bet } }) }])
  }
  await engine.finish()
  return engine.output.scores.map(({ value }) => `${value.event_id} ${value.rule_id}`).sort()
}

describe('an exclusive group', () => {
  it('lets only the first score that matches: by priority, then by rule id; others score as ever', async () => {
    const versions = versionsOf(
      { id: 'small', group: 'g' },
      { id: 'big', group: 'g', priority: 5, least: 100 },
      { id: 'also', group: 'g' },
      { id: 'other', group: 'h' },
      { id: 'free' },
    )
    expect(await scored(versions, [{ bet: 1 }, { bet: 100 }])).toEqual([
      'e0 also',
      'e0 free',
      'e0 other',
      'e1 big',
      'e1 free',
      'e1 other',
    ])
  })

  it('is decided by the versions in effect at the event’s own time', async () => {
    const versions = [
      ...versionsOf({ id: 'a', group: 'g' }, { id: 'b', group: 'g' }),
      { rule: rule({ id: 'b', group: 'g', priority: 1 }), effectiveFrom: NOW + 10_000 },
    ]
    const events = [
      { bet: 1, ts: NOW + 10_000 },
      { bet: 1, ts: NOW + 9_999 },
    ]
    expect(await scored(versions, events)).toEqual(['e0 b', 'e1 a'])
  })

  it('has one lane: where one of its rules is strict, an event still scores once', async () => {
    const versions = versionsOf(
      { id: 'eager', group: 'g', priority: 1, least: 50 },
      { id: 'slow', group: 'g', strict: true },
    )
    expect(await scored(versions, [{ bet: 1 }, { bet: 50 }])).toEqual(['e0 slow', 'e1 eager'])
  })

  it('waits for what a rule that looks at recent events says', async () => {
    const often = ruleOf(
      'rule_id: often\npriority: 1\nexclusive_group: g\nwhen: { event_name: bet, filters: ["count(bet, 7d) >= 2"] }\nscore: { formula: 1 }\n',
    )
    const versions = [{ rule: often, effectiveFrom: undefined }, ...versionsOf({ id: 'any', group: 'g' })]
    expect(await scored(versions, [{ bet: 1 }, { bet: 1 }])).toEqual(['e0 any', 'e1 often'])
  })

  it('is what going through the rules in order gives, whatever the rules', async () => {
    const spec = fc.record({
      group: fc.constantFrom(undefined, 'g', 'h'),
      priority: fc.integer({ min: -2, max: 2 }),
      least: fc.integer({ min: 0, max: 5 }),
      strict: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(spec, { minLength: 1, maxLength: 6 }),
        fc.array(fc.record({ bet: fc.integer({ min: 0, max: 5 }) }), { maxLength: 4 }),
        async (specs, events) => {
          const rules = specs.map((one, i) => ({ ...one, id: `r${i}` }))
          const inOrder = rules.toSorted((a, b) => b.priority - a.priority)
          const expected = events.flatMap(({ bet }, i) => {
            const taken = new Set<string>()
            return inOrder.flatMap(({ id, group, least }) => {
              if (bet < least || (group !== undefined && taken.has(group))) return []
              if (group !== undefined) taken.add(group)
              return [`e${i} ${id}`]
            })
          })
          expect(await scored(versionsOf(...rules), events)).toEqual(expected.sort())
        },
      ),
      { numRuns: 100 },
    )
  })
})
