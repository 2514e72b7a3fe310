import { expect, it } from 'vitest'
import { BUCKETS, bucketOf } from '../../rules/hash.ts'

/** Those that GrowthBook publishes for its SDKs (`hash`, version 2, and the buckets of `stickyBucket`, in cases.json). */
const PUBLISHED = [
  ['seed', 'a', 0.0505],
  ['seed', 'b', 0.2696],
  ['foo', 'ab', 0.2575],
  ['foo', 'def', 0.2019],
  ['89123klj', '8952klfjas09ujkasdf', 0.124],
  ['90850943850283058242805', '123', 0.7516],
  ['()**(%$##$%#$#', '___)((*":&', 0.0128],
  ['feature-exp', 'd123', 0.6468],
  ['feature-exp', 'i123', 0.9943],
] as const

it.each(PUBLISHED)('under %s, %s is at %s, as GrowthBook has it', (seed, user, place) => {
  expect(bucketOf(seed, user) / BUCKETS).toBe(place)
})
