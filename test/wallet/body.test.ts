import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { creditBody } from '../../connectors/wallet/body.ts'
import type { Reward } from '../../core/model/reward.ts'
import { formatMoney } from '../../core/money.ts'
import { order } from './support.ts'

function bodyOf(reward: Record<string, unknown>): string {
  // Tasks come from outside: the types say what they should be.
  return creditBody(order(1, { reward: reward as unknown as Reward }))
}

test('the body, byte for byte', () => {
  expect(creditBody(order(1))).toBe(
    `{"request_id":"${order(1).requestId}","user_id":"u_1","reward":{"type":"bonus_cash","amount":2.00,"currency":"EUR"},` +
      '"amount":2.00,"currency":"EUR","reason":"rule:r_points","milestone":"milestone_300_points","kyc_level":2,' +
      '"constraints":{"wagering":15}}',
  )
  const { threshold: _, ...manual } = order(1, { reward: { type: 'loot', rarity: 'rare' }, guardrails: {} })
  expect(creditBody(manual)).toBe(
    `{"request_id":"${order(1).requestId}","user_id":"u_1","reward":{"type":"loot","rarity":"rare"},` +
      '"reason":"rule:r_points","constraints":{}}',
  )
})

test.each([
  ['cash', 2, '2.00'],
  ['cash', 2.5, '2.50'],
  ['cash', 0.1, '0.10'],
  ['cash', 0.29, '0.29'],
  ['cash', 1.005e2, '100.50'],
  ['cash', 9_999_999_999_999.99, '9999999999999.99'],
  ['cash', '9999999999999999.99', '9999999999999999.99'],
  ['bonus_cash', '1234567890123456.70', '1234567890123456.70'],
  ['bonus_cash', '0.30', '0.30'],
  ['fs', 10, '10'],
  ['fs', 100, '100'],
  ['fs', 0, '0'],
  ['fs', 2.5, '2.5'],
  ['fs', 2.05, '2.05'],
  ['coupon', '7', '7'],
])('%s of %s goes out as the JSON number %s', (type, amount, text) => {
  const body = bodyOf({ type, amount, currency: 'EUR' })
  expect(body.match(/"amount":([^,}]*)/g)).toEqual([`"amount":${text}`, `"amount":${text}`])
  expect(JSON.parse(body)).toMatchObject({ amount: Number(text), reward: { amount: Number(text) } })
})

test('every amount of money that there is goes out with every digit', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 10n ** 18n - 1n), (cents) => {
      const text = formatMoney(cents)
      expect(bodyOf({ type: 'cash', amount: text })).toContain(`"amount":${text},`)
    }),
  )
})

test('whatever else a rule says of the reward is carried as it stands, and cannot break out of the body', () => {
  const nasty = '"}, "amount": 1000000, {"'
  const parsed = JSON.parse(
    bodyOf({ type: 'coupon', code: nasty, amount: 1, games: ['a', { b: null }], [nasty]: 2, skipped: undefined }),
  ) as { amount: unknown; reward: unknown }
  expect(parsed.amount).toBe(1)
  expect(parsed.reward).toEqual({ type: 'coupon', code: nasty, amount: 1, games: ['a', { b: null }], [nasty]: 2 })
})
