import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs, decide, RETRY_POLICY } from '../../pipeline/payout/decision.ts'

const PAID = { kind: 'paid', payoutId: 'po_1', status: 'succeeded' } as const
const UNAVAILABLE = { kind: 'unavailable', detail: 'HTTP 503' } as const
const REFUSED = { kind: 'refused', detail: 'HTTP 422' } as const
const FIRST = { attempts: 0, again: false }

function verdict(outcome: Parameters<typeof decide>[0], attempts: number, again: boolean): string {
  const decision = decide(outcome, { attempts, again }, RETRY_POLICY, 0.5)
  return decision.kind === 'dead-letter' ? `dead-letter, ${decision.inDoubt ? 'in doubt' : 'not paid'}` : decision.kind
}

test.each([
  [PAID, 0, false, 'succeeded'],
  [PAID, 8, true, 'succeeded'],
  [PAID, 1_000, true, 'succeeded'],
  [UNAVAILABLE, 0, false, 'retry'],
  [UNAVAILABLE, 0, true, 'retry'],
  [UNAVAILABLE, 7, true, 'retry'],
  [UNAVAILABLE, 8, true, 'dead-letter, in doubt'],
  [UNAVAILABLE, 9, true, 'dead-letter, in doubt'],
  [REFUSED, 0, false, 'dead-letter, not paid'],
  // A refusal answers for its own call: the one before, that nobody answered, may have paid.
  [REFUSED, 1, true, 'dead-letter, in doubt'],
  [REFUSED, 8, true, 'dead-letter, in doubt'],
  [REFUSED, 1, false, 'dead-letter, in doubt'],
  // Sent by a sink that died before it booked what came of it: no attempt is booked, and yet there was a call.
  [REFUSED, 0, true, 'dead-letter, in doubt'],
] as const)('%o after %i failed calls, sent before: %s → %s', (outcome, attempts, again, expected) => {
  expect(verdict(outcome, attempts, again)).toBe(expected)
})

test('an order that is never answered is called nine times: once and eight retries', () => {
  let attempts = 0
  while (verdict(UNAVAILABLE, attempts, true) === 'retry') attempts++
  expect(attempts + 1).toBe(9)
})

test('whatever is in doubt says so to whoever reads the letter, and what was refused at once does not', () => {
  const may = { reason: expect.stringMatching(/may have paid/) }
  expect(decide(UNAVAILABLE, { attempts: 8, again: true }, RETRY_POLICY, 0)).toMatchObject(may)
  expect(decide(REFUSED, { attempts: 1, again: true }, RETRY_POLICY, 0)).toMatchObject(may)
  expect(decide(REFUSED, FIRST, RETRY_POLICY, 0)).not.toMatchObject(may)
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

test('a retry comes never before the partner asked for it, at most an hour later, and all do not come at once', () => {
  const delay = (retryAfterMs: number, draw: number): number => {
    const decision = decide({ ...UNAVAILABLE, retryAfterMs }, FIRST, RETRY_POLICY, draw)
    return decision.kind === 'retry' ? decision.delayMs : Number.NaN
  }
  expect(delay(30_000, 0)).toBe(30_000)
  expect(delay(30_000, 0.5)).toBe(30_250)
  expect(delay(86_400_000, 0)).toBe(3_600_000)
  expect(delay(-5_000, 0)).toBe(0)
})
