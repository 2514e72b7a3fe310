import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Limiter } from '../../core/limiter.ts'
import { type Bucket, takeTokens } from '../../core/token-bucket.ts'

const sizes = fc.record({ perSecond: fc.integer({ min: 1, max: 1_000 }), burst: fc.integer({ min: 1, max: 1_000 }) })

test('in any span of time no more is taken than the bucket held and gained', () => {
  const takings = fc.array(
    fc.record({ pause: fc.integer({ min: 0, max: 5_000 }), amount: fc.integer({ min: 1, max: 50 }) }),
  )
  fc.assert(
    fc.property(sizes, takings, (size, list) => {
      let now = 0
      let bucket: Bucket | undefined
      const taken: { readonly at: number; readonly amount: number }[] = []
      for (const { pause, amount } of list) {
        now += pause
        const taking = takeTokens(bucket, size, amount, now)
        if (!taking.taken) continue
        bucket = taking.bucket
        taken.push({ at: now, amount })
        let within = 0
        for (const one of taken.toReversed()) {
          within += one.amount
          expect(within).toBeLessThanOrEqual(size.burst + ((now - one.at) * size.perSecond) / 1_000 + 1e-6)
        }
      }
    }),
  )
})

test('after the wait that was told it is there, and not a millisecond before', () => {
  fc.assert(
    fc.property(
      sizes,
      fc.integer({ min: 1, max: 1_000 }),
      fc.integer({ min: 1, max: 1_000 }),
      (size, first, second) => {
        const one = takeTokens(undefined, size, Math.min(first, size.burst), 0)
        const amount = Math.min(second, size.burst)
        if (!one.taken) throw new Error('a full bucket has what it holds')
        const two = takeTokens(one.bucket, size, amount, 0)
        if (two.taken) return
        expect(takeTokens(one.bucket, size, amount, two.waitMs).taken).toBe(true)
        expect(takeTokens(one.bucket, size, amount, two.waitMs - 1).taken).toBe(false)
      },
    ),
  )
})

test('a clock that goes back takes nothing away', () => {
  expect(takeTokens({ tokens: 5, at: 1_000 }, { perSecond: 1, burst: 10 }, 5, 0)).toMatchObject({ taken: true })
})

test('callers are counted apart', () => {
  let now = 0
  const limiter = new Limiter({ monotonic: () => now }, 3)
  const size = { perSecond: 1, burst: 1 }
  expect(limiter.take('a', size, 1)).toBe(0)
  expect(limiter.take('a', size, 1)).toBe(1_000)
  expect(limiter.look('a', size)).toBe(1_000)
  expect(limiter.take('b', size, 1)).toBe(0)
  now = 1_000
  expect(limiter.look('a', size)).toBe(0)
  expect(limiter.take('a', size, 1)).toBe(0)
})

test('no more callers are remembered than the bound: the one that took longest ago is forgotten', () => {
  const limiter = new Limiter({ monotonic: () => 0 }, 3)
  const size = { perSecond: 1, burst: 1 }
  for (const caller of ['a', 'b', 'c', 'd']) expect(limiter.take(caller, size, 1)).toBe(0)
  // Who is forgotten has a full bucket again.
  expect(['a', 'b', 'c', 'd'].map((caller) => limiter.look(caller, size) === 0)).toEqual([true, false, false, false])
})
