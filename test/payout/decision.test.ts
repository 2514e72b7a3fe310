import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs, decide, RETRY_POLICY } from '../../pipeline/payout/decision.ts'

const PAID = { kind: 'paid', payoutId: 'po_1', status: 'succeeded' } as const
const UNAVAILABLE = { kind: 'unavailable', detail: 'HTTP 503' } as const
const REFUSED = { kind: 'refused', detail: 'HTTP 422' } as const

test.each([
  [PAID, 0, 'succeeded'],
  [PAID, 8, 'succeeded'],
  [PAID, 1_000, 'succeeded'],
  [UNAVAILABLE, 0, 'retry'],
  [UNAVAILABLE, 7, 'retry'],
  [UNAVAILABLE, 8, 'dead-letter'],
  [UNAVAILABLE, 9, 'dead-letter'],
  [REFUSED, 0, 'dead-letter'],
  [REFUSED, 8, 'dead-letter'],
] as const)('%o after %i failed calls: %s', (outcome, attempts, kind) => {
  expect(decide(outcome, attempts, RETRY_POLICY, 0.5).kind).toBe(kind)
})

test('an order that is never answered is called nine times: once and eight retries', () => {
  let attempts = 0
  while (decide(UNAVAILABLE, attempts, RETRY_POLICY, 0.5).kind === 'retry') attempts++
  expect(attempts + 1).toBe(9)
})

test('what ran out of retries says that it may have been paid, what was refused does not', () => {
  expect(decide(UNAVAILABLE, 8, RETRY_POLICY, 0)).toMatchObject({ reason: expect.stringMatching(/may have paid/) })
  expect(decide(REFUSED, 0, RETRY_POLICY, 0)).not.toMatchObject({ reason: expect.stringMatching(/may have paid/) })
})

test('a delay is spread over the whole of its window, which doubles up to the cap', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempts, draw) => {
      const delay = backoffMs(attempts, RETRY_POLICY, draw)
      const window = Math.min(60_000, 500 * 2 ** attempts)
      expect(delay).toBeGreaterThanOrEqual(Math.floor(window * draw))
      expect(delay).toBeLessThanOrEqual(window * draw)
    }),
  )
  expect(backoffMs(0, RETRY_POLICY, 0)).toBe(0)
  expect(backoffMs(20, RETRY_POLICY, 0.999)).toBe(59_940)
})
