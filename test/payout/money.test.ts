import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { CENTS_MAX, divideMoney, formatMoney, parseMoney, sumMoney } from '../../core/money.ts'

const cents = fc.bigInt({ min: -CENTS_MAX, max: CENTS_MAX })

test('every amount of NUMERIC(18,2) survives text and back', () => {
  fc.assert(fc.property(cents, (amount) => parseMoney(formatMoney(amount)) === amount))
})

test('every amount that a JSON number holds is read exactly', () => {
  const safe = fc.bigInt({ min: -(10n ** 15n - 1n), max: 10n ** 15n - 1n })
  fc.assert(
    fc.property(safe, (amount) => parseMoney(Number(formatMoney(amount))) === amount),
    { numRuns: 2_000 },
  )
})

test.each([
  ['2', 200n],
  ['2.5', 250n],
  [2.5, 250n],
  [0.1, 10n],
  [-0.01, -1n],
  [-0, 0n],
  ['0.00', 0n],
  ['9999999999999999.99', CENTS_MAX],
])('%s is an amount', (input, expected) => expect(parseMoney(input)).toBe(expected))

test.each([
  0.1 + 0.2,
  1.005,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1e21,
  1e-7,
  10_000_000_000_000,
  '',
  ' 1',
  '1 ',
  '+1',
  '01',
  '1.',
  '.5',
  '1.005',
  '1e3',
  '1,000.00',
  '0x10',
  '１',
  '10000000000000000.00',
])('%s is none', (input) => expect(() => parseMoney(input)).toThrow(/is not an amount/))

test('a sum is exact where floats are not, and stays within its bounds', () => {
  expect(formatMoney(sumMoney(Array.from({ length: 1_000 }, () => parseMoney(0.1))))).toBe('100.00')
  expect(() => sumMoney([CENTS_MAX, 1n])).toThrow(/NUMERIC\(18,2\)/)
})

test.each([
  [5n, 2n, 2n],
  [7n, 2n, 4n],
  [-5n, 2n, -2n],
  [-7n, 2n, -4n],
  [10n, 3n, 3n],
  [11n, 3n, 4n],
  [-11n, 3n, -4n],
])('%s hundredths by %s is %s: halves go to even', (amount, by, expected) =>
  expect(divideMoney(amount, by)).toBe(expected),
)

test('division is never off by more than half a hundredth', () => {
  fc.assert(
    fc.property(cents, fc.bigInt({ min: 1n, max: 10n ** 12n }), (amount, by) => {
      const off = 2n * (divideMoney(amount, by) * by - amount)
      expect(off <= by && off >= -by).toBe(true)
    }),
  )
})
