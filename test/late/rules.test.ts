import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../core/durations.ts'
import { forecastLate } from '../../operators/late-forecast.ts'
import { loadRules } from '../../rules/load.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import type { RuleSet } from '../../rules/compiled.ts'
import { eventLine, normalize, TestEngine, testRule } from '../support/engine.ts'
import { again, stepsOf, T0 } from './support.ts'

const NOW = T0 + 6 * HOUR_MS

function rulesOf(...texts: readonly string[]): RuleSet {
  const loaded = loadRules(texts.map((text, i) => ({ file: `${i}.yaml`, text })))
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return ruleSetOf(loaded.rules)
}

const rule = (id: string, rest = ''): string => `
rule_id: ${id}
when: { event_name: login }
score: { formula: "2", caps: { ${id.includes('minute') ? 'per_minute: 3' : 'per_day: 100'} } }
${rest}
`
const RULES = rulesOf(
  rule('r_any'),
  rule('r_minute'),
  rule('r_strict', 'ordering: strict'),
  `
rule_id: r_often
when: { event_name: login, filters: ["count(login, 2h) >= 1"] }
score: { formula: "1" }
`,
  `
rule_id: r_other
when: { event_name: login, filters: ['user.geo == "DE"'] }
score: { formula: "1" }
ordering: strict
`,
)

/** A player who has logged in twice in one minute before, and now. */
async function engineOf(rules: RuleSet = RULES): Promise<TestEngine> {
  const engine = new TestEngine(rules)
  await engine.feed([
    { value: eventLine({ id: 'a', ts: T0 }) },
    { value: eventLine({ id: 'b', ts: T0 + 1 }) },
    { value: eventLine({ id: 'now', ts: NOW }) },
  ])
  return engine
}

const outcomes = (engine: TestEngine, id: string): string[] =>
  engine.output.scores
    .filter(({ value }) => value.event_id === id)
    .map(({ value }) => `${value.rule_id} ${value.rule_version} ${value.points} ${value.reason ?? ''}`.trim())

describe('the rules of a late event', () => {
  test('say each what they make of it, in the order of their lanes', async () => {
    const engine = await engineOf()
    await engine.feed([{ value: eventLine({ id: 'late', ts: T0 + HOUR_MS }), again: again('late') }])
    expect(outcomes(engine, 'late')).toEqual([
      'r_any 1.0 2',
      // 3 of 3 were given in the first minute.
      'r_minute 1.0 0 late_window_forgotten',
      'r_often 1.0 0 late_strict',
      'r_strict 1.0 0 late_strict',
    ])
  })

  test('are those in effect at its own time', async () => {
    const later = new Date(T0 + 3 * HOUR_MS).toISOString()
    const rules = rulesOf(
      rule('r'),
      rule('r', `meta: { version: "2.0", effective_from: "${later}" }`).replace('"2"', '"7"'),
    )
    const engine = await engineOf(rules)
    await engine.feed([
      { value: eventLine({ id: 'first', ts: T0 + HOUR_MS }), again: again('late') },
      { value: eventLine({ id: 'second', ts: T0 + 3 * HOUR_MS }), again: again('late') },
    ])
    expect([outcomes(engine, 'first'), outcomes(engine, 'second')]).toEqual([['r 1.0 2'], ['r 2.0 7']])
  })

  test('of one group in the strict lane are all told, where recent events decide which of them matches', async () => {
    const group = 'exclusive_group: g'
    const often = (id: string): string => `
rule_id: ${id}
when: { event_name: login, filters: ["count(login, 2h) >= 1"] }
score: { formula: "1" }
${group}
`
    const engine = await engineOf(rulesOf(often('r_1'), often('r_2'), rule('r_3', group), rule('r_4', group)))
    await engine.feed([{ value: eventLine({ id: 'late', ts: T0 + HOUR_MS }), again: again('late') }])
    expect(outcomes(engine, 'late')).toEqual(['r_1', 'r_2', 'r_3'].map((id) => `${id} 1.0 0 late_strict`))
  })

  test('that look at recent events do not count it afterwards', async () => {
    const often = rulesOf('rule_id: r\nwhen: { event_name: login }\nscore: { formula: "count(login, 3h)" }\n')
    const engine = await engineOf(often)
    await engine.feed([{ value: eventLine({ id: 'late', ts: NOW - HOUR_MS }), again: again('late') }])
    await engine.finish()
    expect(outcomes(engine, 'now')).toEqual(['r 1.0 1'])
  })
})

describe('a forecast', () => {
  const event = (ts: number) => {
    const read = normalize(Buffer.from(eventLine({ id: 'e', ts })))
    if (read.kind !== 'event') throw new Error(read.detail)
    return read.event
  }

  test('says of each rule what the partition makes of the event, as far as the rules alone tell', async () => {
    const times = fc.oneof(
      fc.integer({ min: NOW - 30 * HOUR_MS, max: NOW }),
      fc.constantFrom(NOW - MINUTE_MS, NOW - MINUTE_MS - 1, NOW - DAY_MS, NOW - DAY_MS - 1),
    )
    await fc.assert(
      fc.asyncProperty(times, async (ts) => {
        const engine = await engineOf()
        await engine.feed([{ value: eventLine({ id: 'e', ts }), again: again('late') }])
        await engine.finish()
        const { event: what, rules } = forecastLate(event(ts), RULES, { watermark: NOW, dedupeWindowMs: DAY_MS })
        expect(engine.output.counts.late).toBe(what === 'too_old' ? 1 : 0)
        const found = engine.output.scores.map(({ value }) => value).filter((score) => score.event_id === 'e')
        for (const { ruleId, version, outcome } of rules) {
          const score = found.find((each) => each.rule_id === ruleId)
          if (outcome !== 'may_score') expect(score).toMatchObject({ rule_version: version })
          if (outcome === 'scores') expect(score?.reason).toBeUndefined()
          if (outcome === 'late_strict') expect(score?.reason).toBe('late_strict')
          if (outcome === 'late_strict' || what === 'in_time') continue
          expect(score?.reason === undefined || score.reason === 'late_window_forgotten').toBe(true)
        }
        const named = new Set(rules.map(({ ruleId }) => ruleId))
        for (const { rule_id: id } of found) expect(named.has(id)).toBe(true)
        expect(named.has('r_other')).toBe(false)
      }),
      { numRuns: 60 },
    )
  })

  test('takes an event for late, and not too old, where nobody knows the watermark', () => {
    const facts = { dedupeWindowMs: DAY_MS }
    expect(forecastLate(event(T0 - 99 * DAY_MS), RULES, facts)).toEqual(
      forecastLate(event(T0 - 99 * DAY_MS), RULES, { ...facts, watermark: T0 - 98.5 * DAY_MS }),
    )
    expect(forecastLate(event(T0), RULES, facts)).toMatchObject({
      event: 'late',
      rules: [
        { ruleId: 'r_any', outcome: 'scores', points: 2 },
        { ruleId: 'r_minute', outcome: 'may_score', points: 2 },
        { ruleId: 'r_often', outcome: 'late_strict' },
        { ruleId: 'r_strict', outcome: 'late_strict', points: 2 },
      ],
    })
  })
})

describe('protection', () => {
  const said = (id: string, ts: number, payload: object): string => eventLine({ id, ts, name: 'rg_event', payload })
  const told = (engine: TestEngine): string[] =>
    engine.output.rewards.flatMap(({ value }) =>
      value.type === 'player.changed' ? [value.restrictions.map(({ kind }) => kind).join()] : [],
    )

  test('that was heard when it came late changes nothing when it is sent again, and outdoes no newer word', async () => {
    const engine = new TestEngine([testRule({ ruleId: 'r', eventNames: ['rg_event'] })])
    const exclusion = said('x', T0 + HOUR_MS, { type: 'self_exclusion' })
    await engine.feed([{ value: eventLine({ id: 'now', ts: NOW }) }, { value: exclusion }])
    expect(told(engine)).toEqual(['self_exclusion'])
    await engine.feed([{ value: said('free', T0 + 2 * HOUR_MS, { type: 'all', action: 'lifted' }) }])
    expect(told(engine)).toEqual(['self_exclusion', ''])
    await engine.feed([
      { value: exclusion, again: again('late') },
      { value: exclusion, again: again('late') },
    ])
    expect(told(engine)).toEqual(['self_exclusion', ''])
    // As an event it counts now, once.
    expect(engine.points()).toEqual({ 'u|r': 1 })
  })

  test.each([
    ['as it was is not heard anew: it would outdo what was said since', 'reprocess', ['self_exclusion', '']],
    ['after it was changed is heard, for it may say something else', 'fix', ['self_exclusion', '', 'self_exclusion']],
  ] as const)('from the future that is sent again %s', async (_name, action, expected) => {
    const engine = new TestEngine([testRule({ ruleId: 'r' })])
    const ahead = { value: said('x', NOW + DAY_MS, { type: 'self_exclusion' }), ingestTs: NOW }
    await engine.feed([{ value: eventLine({ id: 'now', ts: NOW }) }, ahead])
    await engine.feed([{ value: said('free', NOW + 1, { type: 'all', action: 'lifted' }) }])
    await engine.feed([{ value: eventLine({ id: 'next', ts: NOW + 2 }) }])
    const history = stepsOf('future').map((step) => ({ ...step, action }))
    await engine.feed([{ ...ahead, again: JSON.stringify({ history }) }])
    expect(told(engine)).toEqual(expected)
    expect(engine.output.counts.future).toBe(2)
  })
})
