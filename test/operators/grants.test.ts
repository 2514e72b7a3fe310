import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DAY_MS, HOUR_MS } from '../../core/durations.ts'
import type { RuleVersion } from '../../rules/compiled.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import { ACCOUNTS, accountKey } from '../../state/stores.ts'
import { ruleOf } from '../rules/rule-texts.ts'
import { eventLine, TestEngine } from '../support/engine.ts'

const NOW = Date.parse('2025-11-03T10:00:00Z')
const THRESHOLDS = Array.from({ length: 40 }, (_, i) => i + 1)

/** A point for each deposit, a reward for each point. */
function version(
  { reward = '{ type: fs, value: 1 }', more = '', id = '1.0', zone = 'UTC' } = {},
  effectiveFrom?: number,
): RuleVersion {
  const rule = ruleOf(`rule_id: r
when: { event_name: deposit }
score: { formula: 1, time_zone: ${zone} }
reward_trigger:
  on_progress: { threshold: ${JSON.stringify(THRESHOLDS)}, reward: ${reward} }
${more === '' ? '' : `  limits: ${more}\n`}meta: { version: "${id}" }
`)
  return { rule, effectiveFrom }
}

interface Deposit {
  readonly ts: number
  readonly amount?: number
}

async function run(versions: readonly RuleVersion[], deposits: readonly Deposit[]) {
  const engine = new TestEngine(ruleSetOf(versions))
  for (const [i, { ts, amount = 100 }] of deposits.entries()) {
    await engine.feed([{ value: eventLine({ id: `e${i}`, name: 'deposit', ts, payload: { amount } }) }])
  }
  await engine.finish()
  const { scores } = engine.output
  const rewards = engine.earned()
  const bytes = await engine.kv.get(Buffer.from(ACCOUNTS.prefix + accountKey('u', 'r')))
  return {
    given: rewards.map(({ origin }) => origin.event_id),
    rewards: rewards.map(({ reward }) => reward),
    withheld: scores.flatMap(({ value }) => (value.withheld ?? []).map((one) => ({ event: value.event_id, ...one }))),
    account: bytes === undefined ? undefined : ACCOUNTS.decode(bytes),
  }
}

describe('limits', () => {
  it('a cool-down runs from the last reward that was given, not from one that was withheld', async () => {
    const hours = [0, 11, 12, 23, 24]
    const { given, withheld } = await run(
      [version({ more: '{ cool_down: 12h }' })],
      hours.map((h) => ({ ts: NOW + h * HOUR_MS })),
    )
    expect(given).toEqual(['e0', 'e2', 'e4'])
    expect(withheld).toEqual([
      {
        event: 'e1',
        threshold: 2,
        reason: 'cool_down',
        detail: 'the last reward was at 2025-11-03T10:00:00.000Z, the next may be from 2025-11-03T22:00:00.000Z on',
      },
      expect.objectContaining({ event: 'e3', threshold: 4 }),
    ])
  })

  it.each([
    ['{ per_day: 2 }', 24 * HOUR_MS, '2025-11-03'],
    ['{ per_week: 2 }', 7 * DAY_MS, '2025-W45'],
    ['{ per_month: 2 }', 28 * DAY_MS, '2025-11'],
  ])('%s: no more in a period of the calendar, in the rule’s zone', async (more, length, period) => {
    // In Istanbul the day, the week and the month turn at 21:00 UTC.
    const end = Date.parse(period === '2025-11' ? '2025-11-30T21:00:00Z' : '2025-11-03T21:00:00Z')
    const turn = period === '2025-W45' ? end + 6 * DAY_MS : end
    const deposits = [turn - 3, turn - 2, turn - 1, turn, turn + length - 1, turn + length + 3 * DAY_MS]
    const { given, withheld } = await run(
      [version({ more, zone: 'Europe/Istanbul' })],
      deposits.map((ts) => ({ ts })),
    )
    expect(given).toEqual(['e0', 'e1', 'e3', 'e4', 'e5'])
    expect(withheld).toEqual([
      { event: 'e2', threshold: 3, reason: 'most_rewards', detail: `2 of at most 2 rewards were given in ${period}` },
    ])
  })

  it('counts what former versions gave, limited or not', async () => {
    const versions = [version(), version({ id: '2.0', more: '{ ever: 3 }' }, NOW + 2 * DAY_MS)]
    const { given, withheld } = await run(
      versions,
      [0, 1, 2, 3].map((d) => ({ ts: NOW + d * DAY_MS })),
    )
    expect(given).toEqual(['e0', 'e1', 'e2'])
    expect(withheld).toMatchObject([{ event: 'e3', detail: '3 of at most 3 rewards were given' }])
  })

  it('are the same whatever the order of arrival, within the reordering window', async () => {
    const limits = fc.constantFrom('{ cool_down: 20s }', '{ per_day: 2 }', '{ cool_down: 5s, ever: 3 }')
    const turn = Date.parse('2025-11-04T00:00:00Z')
    const times = fc.uniqueArray(fc.integer({ min: -25, max: 25 }), { minLength: 2, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(limits, times, async (more, seconds) => {
        const deposits = seconds.map((s) => ({ ts: turn + s * 1_000 }))
        const sorted = deposits.toSorted((a, b) => a.ts - b.ts)
        const when = (given: readonly string[], of: readonly Deposit[]) =>
          given.map((id) => of[Number(id.slice(1))]?.ts)
        const mixed = await run([version({ more })], deposits)
        const inOrder = await run([version({ more })], sorted)
        expect(when(mixed.given, deposits)).toEqual(when(inOrder.given, sorted))
      }),
      { numRuns: 40 },
    )
  })

  it('an account keeps a handful of periods', async () => {
    const deposits = Array.from({ length: 40 }, (_, i) => ({ ts: NOW + i * 9 * DAY_MS }))
    const { account, given } = await run([version()], deposits)
    expect(given).toHaveLength(40)
    expect(account?.given?.periods.length).toBeLessThanOrEqual(8)
    expect(account?.given?.periods).toEqual(expect.arrayContaining(['all', 40]))
  })
})

describe('a reward whose amount is a formula', () => {
  const bonus =
    '{ type: bonus_cash, value: "min(payload.amount * 0.1, 50)", currency: TRY, cost: "payload.amount / 40" }'

  it('is worked out from the event that crosses the threshold', async () => {
    const { rewards } = await run(
      [version({ reward: bonus })],
      [
        { ts: NOW, amount: 25.25 },
        { ts: NOW + 1, amount: 10_000 },
      ],
    )
    expect(rewards).toEqual([
      { type: 'bonus_cash', amount: 2.52, currency: 'TRY', cost: 0.63 },
      { type: 'bonus_cash', amount: 50, currency: 'TRY', cost: 250 },
    ])
  })

  it('is not given where it comes to nothing, and the score says why; later ones are', async () => {
    const { given, withheld, account } = await run(
      [version({ reward: '{ type: cash, value: "10 / (payload.amount - 5)" }' })],
      [5, 1, 1e9, 15].map((amount, i) => ({ ts: NOW + i, amount })),
    )
    expect(given).toEqual(['e3'])
    expect(withheld).toEqual([
      {
        event: 'e0',
        threshold: 1,
        reason: 'amount',
        detail: 'the amount is no number: division by zero: (payload.amount - 5) is 0 in 10 / (payload.amount - 5)',
      },
      { event: 'e1', threshold: 2, reason: 'amount', detail: 'the amount is -2.5' },
      { event: 'e2', threshold: 3, reason: 'amount', detail: 'the amount is 0' },
    ])
    expect(account?.given?.periods).toEqual(expect.arrayContaining(['all', 1]))
  })

  it('free spins are rounded down', async () => {
    const { rewards } = await run([version({ reward: '{ type: fs, value: "payload.amount / 30" }' })], [{ ts: NOW }])
    expect(rewards).toEqual([{ type: 'fs', amount: 3 }])
  })
})
