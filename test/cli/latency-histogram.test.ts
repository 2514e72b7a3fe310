import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GREATEST, LatencyHistogram } from '../../cli/bench/latency-histogram.ts'
import { isSettled, LatencyTally } from '../../cli/bench/latency-tally.ts'
import { ManualClock } from '../support/clocks.ts'

function histogramOf(values: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram()
  for (const value of values) histogram.add(value)
  return histogram
}

/** By definition: the value at rank ⌈share × n⌉ of all, sorted. */
function sortedQuantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? Number.NaN
}

describe('latency histogram', () => {
  const shares = fc.double({ min: 0.001, max: 1, noNaN: true })
  const values = fc.oneof(fc.nat(300), fc.nat(20_000), fc.nat(GREATEST))

  test('a quantile is what sorting gives, at most 1/128 above and never below', () => {
    fc.assert(
      fc.property(fc.array(values, { minLength: 1, maxLength: 300 }), shares, (numbers, share) => {
        const exact = sortedQuantile(numbers, share)
        const answer = histogramOf(numbers).quantile(share) ?? Number.NaN
        expect(answer).toBeGreaterThanOrEqual(exact)
        expect(answer - exact).toBeLessThanOrEqual(exact / 128)
      }),
    )
  })

  test('below 256 quantiles are exact', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(255), { minLength: 1, maxLength: 300 }), shares, (numbers, share) => {
        expect(histogramOf(numbers).quantile(share)).toBe(sortedQuantile(numbers, share))
      }),
    )
  })

  test('what lies outside of its bounds is counted at the nearer one', () => {
    expect(histogramOf([-5]).quantile(1)).toBe(0)
    expect(histogramOf([GREATEST * 4]).quantile(1)).toBe(GREATEST)
  })

  test('an empty one has no quantile, and clearing empties', () => {
    const histogram = histogramOf([7, 8])
    expect(histogram.count).toBe(2)
    histogram.clear()
    expect(histogram).toMatchObject({ count: 0 })
    expect(histogram.quantile(0.5)).toBeUndefined()
  })
})

test('a tally measures what was due in the window, from its first instant to just before its last, and counts the rest', () => {
  const clock = new ManualClock(10_000)
  const tally = new LatencyTally(clock)
  const take = (timestamp: number): void =>
    tally.take({ topic: 'scores', partition: 0, offset: 0, key: null, value: null, timestamp })
  take(9_990)
  tally.measure({ from: 9_000, until: 9_500 })
  for (const timestamp of [8_999, 9_000, 9_499, 9_500]) take(timestamp)
  expect(tally).toMatchObject({ count: 5, lastMs: 10_000 })
  expect(tally.measured.count).toBe(2)
  expect(tally.measured.quantile(0.5)).toBeLessThanOrEqual(501 * (1 + 1 / 128))
  expect(tally.recent.count).toBe(5)
  tally.begin()
  take(9_000)
  expect([tally.count, tally.measured.count, tally.recent.count]).toEqual([1, 0, 1])
})

describe('latency has settled', () => {
  test.each<[readonly number[], boolean]>([
    [[], false],
    [[40, 40], false],
    [[40, 40, 40], true],
    [[40, 44, 50], true],
    [[400, 90, 40], false],
    [[400, 90, 40, 38, 39], true],
    // what piled up while the worker was slow is being worked off
    [[900, 1_800, 1_700, 1_200, 700], false],
    [[2_000, 2_100, 2_300], true],
    // a worker that falls ever further behind
    [[500, 1_000, 1_500], false],
    [[5_000, 5_500, 6_000], true],
  ])('after seconds with the medians %j: %s', (medians, settled) => {
    expect(isSettled(medians)).toBe(settled)
  })
})
