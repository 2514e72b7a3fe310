import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { readRule } from '../../rules/rule-file.ts'
import { problemsOf, ruleOf } from '../rules/rule-texts.ts'
import { eventLine, TestEngine } from '../support/engine.ts'

const T0 = Date.parse('2025-11-01T12:00:00Z')

function ruleText(filter: string, { formula = '1', more = '' } = {}): string {
  return `rule_id: r\nwhen:\n  event_name: bet\n  filters:\n    - ${JSON.stringify(filter)}\nscore: { formula: ${JSON.stringify(formula)} }\n${more}`
}

describe('a wrong question about recent events', () => {
  const longName = `count(${JSON.stringify('a b')}, 7d) > 1`
  test.each([
    ['count(deposit) >= 3', 'count needs a length of time after a comma', /count\(deposit, 7d\)/],
    ['count(deposit, 7 days) >= 3', 'count needs a length of time here', /30m or 7d/],
    ['count(deposit, 7) >= 3', 'count needs a length of time here', /30m or 7d/],
    ['count(deposit, payload.days) >= 3', 'count needs a length of time here', /30m or 7d/],
    ['count(deposit, 7d >= 3', 'a ) is needed here', /count\(deposit, 7d\)/],
    ['count(deposit payload.amount > 5, 7d) > 1', 'a comma is needed here', /`where`/],
    ['count(payload.amount, 7d) >= 3', 'count needs the name of an event first', /count\(deposit, 7d\)/],
    [
      'count(deposit.payload.amount, 7d) > 3',
      'count looks at events, not at one of their fields',
      /exists\(payload.amount\)/,
    ],
    ['sum(deposit, 7d) >= 3', 'sum needs a field of the event', /sum\(bet.payload.bet, 1d\)/],
    ['count(3, 7d) >= 3', 'the name of an event is needed here', /count\(deposit, 7d\)/],
    [longName, '"a b" is no name of an event', /letters, digits/],
    ['streak(login, hour) > 3', 'a streak is of days or weeks', /streak\(login, day\)/],
    ['last(login, 7d) > 3d', 'a ) is needed here', /last\(login\)/],
    ['last(login) >= 30', 'a length of time is never compared with a number', /30m or 7d/],
    ['last(login) + 1d > 3d', 'a number is needed here, this is a length of time', /last\(login\) \/ 1d/],
    ['last(login) between 7d and 1d', 'this range ends before it begins, so nothing is in it', /lower bound first/],
    ['last(login)', 'a condition is needed here, this is a length of time', /comparison/],
    ['sequence(login, bet, 1h) == true', 'a condition cannot be compared', /and, or, not/],
    ['streak(login) > 3', 'streak needs day or week after a comma', /streak\(login, day\)/],
    ['sequence(login, bet)', 'sequence needs a length of time after a comma', /sequence\(/],
    [
      'count(deposit where count(bet, 1d) > 1, 1d) > 1',
      'recent events can be looked at in filters and formulas of rules only, and not after `where`',
      /filter of its own/,
    ],
    [
      'count(deposit where amount > 1, 1d) > 1',
      'there is no field "amount"; fields are event_id, event_name, version, ts, user.…, context.… and payload.…',
      /payload.amount/,
    ],
    ['sum(bet.payload.__proto__, 1d) > 1', '"__proto__" is no field of an event', /.*/],
    ['cuont(deposit, 7d) >= 3', 'there is no function "cuont"', /did you mean count/],
    ['streak > 3', 'streak is a function and needs its arguments', /streak\(login, day\)/],
  ])('%s: %s', (filter, message, hint) => {
    const [problem] = problemsOf(ruleText(filter))
    expect(problem?.message).toBe(message)
    expect(problem?.hint ?? '').toMatch(hint)
    expect(problem?.line).toBe(5)
  })

  test('the place is that of the fault, within the condition after where, too', () => {
    const [problem] = problemsOf(ruleText('count(deposit where payload.amount > now, 7d) > 1'))
    expect(problem?.column).toBe(`    - "count(deposit where payload.amount > `.length - 'payload.amount > '.length + 1)
  })

  test('ordering any is refused beside it, strict and nothing are one', () => {
    const filter = 'count(deposit, 7d) > 1'
    const [problem] = problemsOf(ruleText(filter, { more: 'ordering: any\n' }))
    expect(problem).toMatchObject({ line: 7, message: expect.stringContaining('its ordering is strict') })
    const orderings = ['', 'ordering: strict\n'].map((more) => ruleOf(ruleText(filter, { more })).ordering)
    expect(orderings).toEqual(['strict', 'strict'])
    expect(ruleOf(ruleText('payload.bet > 1')).ordering).toBe('any')
  })
})

describe('min and max', () => {
  test.each([
    ['max(payload.bet, 3) > 2', 0],
    ['max(bet.payload.bet, 3d) > 2', 1],
    ['min(max(bet.payload.bet, 3d), payload.bet) > 2', 1],
    ['max(min(payload.bet, 2), max(bet.payload.bet, 1d), max(bet.payload.bet, 1d)) > 2', 1],
  ])('%s looks at recent events in %i ways', (filter, windows) => {
    expect(ruleOf(ruleText(filter)).windows?.length ?? 0).toBe(windows)
  })
})

describe('what windows are used for', () => {
  async function outputOf(text: string, payloads: readonly object[]): Promise<TestEngine> {
    const engine = new TestEngine(ruleSetOf([{ rule: ruleOf(text), effectiveFrom: undefined }]))
    const lines = payloads.map((payload, i) => eventLine({ id: `e${i}`, name: 'bet', ts: T0 + i, payload }))
    await engine.feed(lines.map((value) => ({ value })))
    await engine.finish()
    return engine
  }

  test('an amount of a reward may be a formula over recent events', async () => {
    const more =
      'reward_trigger: { on_progress: { threshold: 3, reward: { type: bonus_cash, value: "sum(bet.payload.bet, 1d) / 10" } } }\n'
    const text = ruleText('payload.bet > 0', { more })
    const engine = await outputOf(text, [{ bet: 5 }, { bet: 2.5 }, { bet: 10 }])
    expect(engine.earned().map(({ reward }) => reward.amount)).toEqual([1.75])
  })

  test('a score that has no number says which window had no value', async () => {
    const { output } = await outputOf(
      ruleText('payload.bet > 0', { formula: '2 * max(deposit.payload.amount,  1d)' }),
      [{ bet: 5 }],
    )
    expect(output.scores[0]?.value).toMatchObject({
      points: 0,
      reason: 'not_finite',
      detail: 'max(deposit.payload.amount, 1d) has no value: there was no such event',
    })
  })

  test('the other filters decide alone whether an event may match', async () => {
    const text = ruleText('count(bet, 1d) >= 2').replace('filters:', 'filters:\n    - payload.bet > 1')
    const { output } = await outputOf(text, [{ bet: 1 }, { bet: 1 }, { bet: 2 }])
    expect(output.scores.map(({ value }) => value.event_id)).toEqual(['e2'])
  })
})

describe('any text of such words', () => {
  const WORDS = `count( sum( max( distinct( last( streak( sequence( exists( ) , where day week bet deposit login bet.payload.bet
    payload.bet payload "bet" 7d 30m 36d 1 0.5s >= == / + and or not in between [ ] now "2025-11-01"`
  const words = fc.constantFrom(...WORDS.split(/\s+/))
  const whole = fc.constantFrom(
    'count(bet, 1d)',
    'last(login)',
    'streak(bet, day)',
    'sum(bet.payload.bet, 1h)',
    'sequence(bet, bet, 1h)',
  )
  const noise = fc
    .array(fc.oneof({ weight: 3, arbitrary: words }, whole), { maxLength: 12 })
    .map((parts) => parts.join(' '))
  const sentence = fc.tuple(whole, fc.constantFrom('>= 2', '/ 1s', '* 2', '<= 1h')).map((parts) => parts.join(' '))
  const longer = fc.tuple(sentence, fc.constantFrom('and', '+', ''), noise).map((parts) => parts.join(' '))
  const texts = fc.oneof({ weight: 3, arbitrary: noise }, sentence, longer)

  test('is a rule that runs, or a located problem', async () => {
    let rules = 0
    await fc.assert(
      fc.asyncProperty(texts, fc.boolean(), async (text, asFormula) => {
        const source = asFormula ? ruleText('true', { formula: text }) : ruleText(text)
        const reading = readRule({ file: 'r.yaml', text: source })
        if (!reading.ok) {
          for (const problem of reading.problems) expect(problem.line).toBe(asFormula ? 6 : 5)
          return
        }
        rules++
        const engine = new TestEngine(ruleSetOf([{ rule: reading.rule.rule, effectiveFrom: undefined }]))
        const lines = [0, 1, 2].map((i) =>
          eventLine({ id: `e${i}`, name: 'bet', ts: T0 + i * 1_000, payload: { bet: i } }),
        )
        await engine.feed(lines.map((value) => ({ value })))
        await engine.finish()
        expect(engine.output.counts.unique).toBe(3)
      }),
      { numRuns: 4_000, endOnFailure: true },
    )
    expect(rules).toBeGreaterThan(100)
  })
})
