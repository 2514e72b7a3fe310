import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Amount, amountFormula } from '../../rules/reward-amount.ts'
import { eventOf } from './expressions.ts'
import { problemsOf, ruleOf } from './rule-texts.ts'

function amountOf(value: number, unit: 'money' | 'count' = 'money'): Amount {
  return amountFormula({ value: () => value, explain: () => undefined }, unit)(eventOf())
}

it.each([
  [2.005, 2],
  [2.015, 2.02],
  [2.675, 2.68],
  [2.665, 2.66],
  [0.1 + 0.2, 0.3],
  [1.1 * 1.15, 1.26],
  [0.005001, 0.01],
  [0.015, 0.02],
  [12.344999, 12.34],
  [1e12, 1e12],
])('%d is %d as money: halves go to the even cent', (value, amount) => {
  expect(amountOf(value)).toEqual({ ok: true, amount })
})

it.each([
  [2.9, 2],
  [2.9999999999999, 3],
  [1, 1],
])('%d is %d as a count: it is rounded down', (value, amount) => {
  expect(amountOf(value, 'count')).toEqual({ ok: true, amount })
})

it.each([[Number.NaN], [Infinity], [-Infinity], [-1], [0], [-0], [0.004], [0.005], [1.1e12], [-0.001]])(
  '%d is no amount',
  (value) => {
    const found = amountOf(value)
    expect(found.ok ? found.amount : found.detail).toMatch(/^the amount is (no number|more than|-?\d)/)
  },
)

it('money is within half a cent, has two decimals, and what is written in thousandths is rounded exactly', () => {
  fc.assert(
    fc.property(fc.integer({ min: 6, max: 2 ** 40 }), (thousandths) => {
      const found = amountOf(thousandths / 1_000)
      const [whole, rest] = [Math.floor(thousandths / 10), thousandths % 10]
      const up = rest > 5 || (rest === 5 && whole % 2 === 1)
      const cents = whole + Number(up)
      expect(found).toEqual(cents === 0 ? expect.objectContaining({ ok: false }) : { ok: true, amount: cents / 100 })
      if (found.ok) expect(String(found.amount)).toMatch(/^\d+(\.\d{1,2})?$/)
    }),
    { numRuns: 5_000 },
  )
})

it('whatever a formula gives, an amount is above zero, finite and bounded', () => {
  fc.assert(
    fc.property(fc.double(), fc.constantFrom('money', 'count'), (value, unit) => {
      const found = amountOf(value, unit)
      if (found.ok) expect([found.amount > 0, found.amount <= 1e12]).toEqual([true, true])
      else expect(found.detail).not.toBe('')
    }),
  )
})

it.each([
  ['{ type: cash, value: "flor(1)" }', 'no function "flor"'],
  ['{ type: cash, value: "payload.amount > 1" }', 'a number is needed'],
  ['{ type: cash, value: "5" }', 'write 5 without quotes'],
  ['{ type: cash, value: true }', 'a number'],
  ['{ type: cash, value: 1, cost: "1 +" }', 'is needed'],
])('%s is refused', (reward, message) => {
  const [problem] = problemsOf(
    `rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\nreward_trigger: { on_progress: { threshold: 1, reward: ${reward} } }\n`,
  )
  expect(`${problem?.message} ${problem?.hint}`).toContain(message)
})

it.each([
  ['{ cool_down: 12x }', 'from 1s to 366d'],
  ['{ cool_down: 0s }', 'from 1s to 366d'],
  ['{ per_day: 0 }', 'a whole number'],
  ['{ per_hour: 1 }', 'no key "per_hour"'],
])('limits: %s is refused', (limits, message) => {
  const text = `rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\nreward_trigger:\n  on_progress: { threshold: 1, reward: { type: fs } }\n  limits: ${limits}\n`
  expect(problemsOf(text).map((problem) => problem.message)).toEqual([expect.stringContaining(message)])
  expect(problemsOf(text.replace(limits, '{ per_day: 1 }'))).toEqual([])
})

it('a rule that limits its rewards is of the strict lane, and may not say otherwise', () => {
  const text = (ordering: string) =>
    `rule_id: r\nordering: ${ordering}\nwhen: { event_name: bet }\nscore: { formula: 1 }\nreward_trigger:\n  on_progress: { threshold: 1, reward: { type: fs } }\n  limits: { ever: 1 }\n`
  expect(problemsOf(text('any')).map(({ message }) => message)).toEqual([expect.stringContaining('limits its rewards')])
  expect(problemsOf(text('strict'))).toEqual([])
})

it('so is one of which only an arm limits its rewards', () => {
  const progress = 'on_progress: { threshold: 1, reward: { type: fs } }'
  const arms = `[{ name: a }, { name: b, reward_trigger: { ${progress}, limits: { ever: 1 } } }]`
  const text = `rule_id: r\nwhen: { event_name: bet }\nscore: { formula: 1 }\nreward_trigger: { ${progress} }\nmeta: { experiment: { id: x, arms: ${arms} } }\n`
  expect(ruleOf(text).ordering).toBe('strict')
  expect(ruleOf(text.replace(', limits: { ever: 1 }', '')).ordering).toBe('any')
})
