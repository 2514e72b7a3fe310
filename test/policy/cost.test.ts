import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CASH_TYPES, costBasis, costOf } from '../../core/cost.ts'
import { hasCode } from '../../core/errors.ts'
import { type ExchangeRate, NO_POLICY, type PayoutPolicy, type UnitCost } from '../../core/model/policy.ts'
import type { Reward } from '../../core/model/reward.ts'
import { CENTS_MAX, formatMoney, parseMoney } from '../../core/money.ts'

const TS = Date.parse('2025-11-10T12:00:00Z')
const DAY = 86_400_000

const policyOf = (parts: { catalogue?: readonly UnitCost[]; rates?: readonly ExchangeRate[] } = {}): PayoutPolicy => ({
  ...NO_POLICY,
  version: '1.0',
  currency: 'EUR',
  closedWorld: true,
  ...parts,
})
const costed = (reward: Reward, policy = policyOf(), ts = TS): string => {
  const costing = costOf(reward, policy, ts)
  return costing.ok ? formatMoney(costing.cost) : costing.detail
}
const unit = (micros: bigint, match: UnitCost['match']): UnitCost => ({ match, micros })
const rate = (micros: bigint, from: number, currency = 'TRY'): ExchangeRate => ({ currency, from, micros })

describe('what a reward costs', () => {
  const catalogue = [
    unit(200_000n, { type: 'fs', game_id: 'slot_wolf' }),
    unit(100_000n, { type: 'fs' }),
    unit(5_000_000n, { type: 'loot', rarity: 'rare' }),
    unit(1_000n, { type: 'ticket', vip: true, level: 3 }),
  ]
  const rates = [rate(20_100n, TS), rate(20_600n, TS - 9 * DAY), rate(950_000n, -Infinity, 'USD')]
  const policy = policyOf({ catalogue, rates })

  it.each<[string, Reward, string]>([
    ['what it says itself comes first', { type: 'bonus_cash', amount: 2.5, currency: 'TRY', cost: 1.8 }, '1.80'],
    ['what it says itself, even where that is nothing', { type: 'fs', amount: 10, cost: 0 }, '0.00'],
    ['cash costs its amount', { type: 'cash', amount: 0.1, currency: 'EUR' }, '0.10'],
    ['cash that names no money is of the policy’s', { type: 'bonus_cash', amount: 2 }, '2.00'],
    ['other money by the rate of the day', { type: 'cash', amount: 100, currency: 'TRY' }, '2.01'],
    ['a rate without a day holds for ever', { type: 'cash', amount: 10, currency: 'USD' }, '9.50'],
    ['units by the catalogue', { type: 'fs', amount: 25 }, '2.50'],
    ['units by the most specific line', { type: 'fs', amount: 25, game_id: 'slot_wolf' }, '5.00'],
    ['a line asks for what is equal, in type as well', { type: 'ticket', vip: 'true', level: 3 }, '0.00'],
    ['all of a line must be equal', { type: 'ticket', vip: true, level: 3, amount: 1000 }, '1.00'],
    ['one where there is no amount', { type: 'loot', rarity: 'rare' }, '5.00'],
    ['nothing where the catalogue knows none', { type: 'loot', rarity: 'common' }, '0.00'],
    ['parts of a unit', { type: 'fs', amount: 0.5 }, '0.05'],
    [
      'money without a rate needs a person',
      { type: 'cash', amount: 1, currency: 'BRL' },
      'there is no exchange rate from BRL to EUR on 2025-11-10',
    ],
  ])('%s', (_, reward, expected) => {
    expect(costed(reward, policy)).toBe(expected)
  })

  it('a rate holds from its instant on, and none holds before the first', () => {
    const reward = { type: 'cash', amount: 100, currency: 'TRY' }
    expect([TS - 9 * DAY - 1, TS - 9 * DAY, TS - 1, TS].map((ts) => costed(reward, policy, ts))).toEqual([
      'there is no exchange rate from TRY to EUR on 2025-11-01',
      '2.06',
      '2.06',
      '2.01',
    ])
  })

  it('where no policy was published costs are taken as they come', () => {
    expect(costed({ type: 'cash', amount: 100, currency: 'TRY' }, NO_POLICY)).toBe('100.00')
    expect(costed({ type: 'fs', amount: 100 }, NO_POLICY)).toBe('0.00')
  })

  it('tells what decides it', () => {
    const basisOf = (reward: Reward) => costBasis(reward, policy, TS)
    expect(basisOf({ type: 'fs', amount: 3, game_id: 'slot_wolf' })).toEqual({
      kind: 'catalogue',
      hundredths: 300n,
      unit: catalogue[0],
    })
    expect(basisOf({ type: 'cash', amount: 1, currency: 'TRY' })).toEqual({
      kind: 'rate',
      amount: 100n,
      rate: rates[0],
    })
  })
})

describe('half a cent goes to the even one', () => {
  it.each([
    ['0.05', 100_000n, '0.00'],
    ['0.15', 100_000n, '0.02'],
    ['0.25', 100_000n, '0.02'],
    ['0.35', 100_000n, '0.04'],
    ['0.01', 500_000n, '0.00'],
    ['0.03', 500_000n, '0.02'],
    ['0.03', 500_001n, '0.02'],
    ['0.01', 500_001n, '0.01'],
  ])('%s by %d millionths is %s', (amount, micros, expected) => {
    const reward = { type: 'cash', amount: Number(amount), currency: 'TRY' }
    expect(costed(reward, policyOf({ rates: [rate(micros, 0)] }))).toBe(expected)
  })
})

/** a / b rounded half to even, by comparing distances only. */
function rounded(a: bigint, b: bigint): bigint {
  const [low, high] = [a / b, a / b + 1n]
  const [down, up] = [a - low * b, high * b - a]
  if (down === up) return low % 2n === 0n ? low : high
  return down < up ? low : high
}

const cents = fc.bigInt({ min: 0n, max: 10n ** 15n - 1n })
const micros = fc.bigInt({ min: 1n, max: 10n ** 12n })

describe('costs are exact', () => {
  it('by a rate: what fractions of whole numbers give, rounded once', () => {
    fc.assert(
      fc.property(cents, micros, (amount, by) => {
        const reward = { type: 'cash', amount: Number(formatMoney(amount)), currency: 'TRY' }
        const costing = costOf(reward, policyOf({ rates: [rate(by, 0)] }), TS)
        const expected = rounded(amount * by, 1_000_000n)
        expect(costing.ok ? costing.cost : 'too much').toBe(expected <= CENTS_MAX ? expected : 'too much')
      }),
      { numRuns: 2_000 },
    )
  })

  it('by the catalogue: the same', () => {
    fc.assert(
      fc.property(cents, micros, (units, each) => {
        const reward = { type: 'fs', amount: Number(formatMoney(units)) }
        const costing = costOf(reward, policyOf({ catalogue: [unit(each, { type: 'fs' })] }), TS)
        const expected = rounded(units * each, 1_000_000n)
        expect(costing.ok ? costing.cost : 'too much').toBe(expected <= CENTS_MAX ? expected : 'too much')
      }),
      { numRuns: 2_000 },
    )
  })

  it('in the policy’s own money: every amount is its cost', () => {
    fc.assert(
      fc.property(cents, fc.constantFrom(...CASH_TYPES), (amount, type) => {
        const text = formatMoney(amount)
        expect(costed({ type, amount: Number(text), currency: 'EUR' })).toBe(text)
        expect(costed({ type: 'loot', cost: Number(text) })).toBe(text)
      }),
    )
  })

  it('where a float would not hold the digits, text from another system does', () => {
    // Tasks written by others may carry amounts as text; the type says number, the codec lets both through.
    const amount = '9999999999999999.99' as unknown as number
    expect(costed({ type: 'cash', amount })).toBe('9999999999999999.99')
    const tooMuch = costOf({ type: 'cash', amount, currency: 'TRY' }, policyOf({ rates: [rate(1_000_001n, 0)] }), TS)
    expect(tooMuch).toMatchObject({ ok: false, detail: expect.stringContaining('more than the ledger can hold') })
  })
})

describe('what is no amount', () => {
  const strange = fc.oneof(
    fc.constantFrom(
      Number.NaN,
      Infinity,
      -Infinity,
      1e300,
      1e-7,
      0.001,
      2.005,
      -0.01,
      -5,
      '1,5',
      '',
      ' 1',
      '0x10',
      '1e3',
      '01',
      '.5',
    ),
    fc.double({ max: -0.01, noNaN: true }),
    fc.string().filter((text) => !/^\d+(\.\d{1,2})?$/.test(text)),
    fc.constantFrom(null, true, {}, [], [5], ['5']),
  )

  it('is refused, as an amount and as a cost, and never becomes a number', () => {
    fc.assert(
      fc.property(
        strange,
        fc.constantFrom('cash', 'fs', 'loot'),
        fc.constantFrom('amount', 'cost'),
        (value, type, key) => {
          const policy = policyOf({ catalogue: [unit(1n, { type: 'fs' })] })
          const reward = { type, [key]: value } as Reward
          let thrown: unknown
          try {
            costOf(reward, policy, TS)
          } catch (error) {
            thrown = error
          }
          expect(hasCode(thrown, 'ONCEWARD_E_MONEY_INVALID')).toBe(true)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('nothing below zero is ever a cost', () => {
    fc.assert(
      fc.property(fc.double({ min: -1e13, max: 1e13, noNaN: true }), (amount) => {
        const given = Math.round(amount * 100) / 100
        try {
          const costing = costOf({ type: 'cash', amount: given }, policyOf(), TS)
          expect(costing.ok && costing.cost >= 0n).toBe(true)
          expect(costing.ok && costing.cost).toBe(parseMoney(given))
        } catch (error) {
          expect(hasCode(error, 'ONCEWARD_E_MONEY_INVALID')).toBe(true)
        }
      }),
    )
  })
})
