/** Below this every whole number has a bucket of its own. */
const EXACT = 256
/** Buckets for each doubling above that: a value is known to 1/128. */
const PER_DOUBLING = EXACT / 2
const EXACT_BITS = 8
/** Greatest value that is told apart from greater ones: as milliseconds, 24 days. */
export const GREATEST = 2 ** 31 - 1
const BUCKETS = EXACT + (31 - EXACT_BITS) * PER_DOUBLING

/**
 * Counts whole numbers from 0 to 2^31 - 1 in a fixed number of buckets, as HdrHistogram does: 25 KiB, however many are
 * counted. Quantiles are exact below 256, and at most 1/128 too high above.
 */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS)
  count = 0

  /** What lies outside of the bounds is counted at the nearer one. */
  add(value: number): void {
    const bounded = Math.min(GREATEST, Math.max(0, Math.floor(value)))
    const bucket = bucketOf(bounded)
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.count += 1
  }

  /** The least value that at least `share` of the numbers do not exceed (0 < share <= 1); undefined where there are none. */
  quantile(share: number): number | undefined {
    if (this.count === 0) return undefined
    const rank = Math.max(1, Math.ceil(share * this.count))
    let seen = 0
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count
      if (seen >= rank) return greatestOf(bucket)
    }
    return GREATEST
  }

  clear(): void {
    this.#counts.fill(0)
    this.count = 0
  }
}

function bucketOf(value: number): number {
  if (value < EXACT) return value
  const doublings = 31 - Math.clz32(value) - EXACT_BITS + 1
  return EXACT + (doublings - 1) * PER_DOUBLING + ((value >>> doublings) - PER_DOUBLING)
}

/** The greatest number that is counted in the bucket. */
function greatestOf(bucket: number): number {
  if (bucket < EXACT) return bucket
  const doublings = Math.floor((bucket - EXACT) / PER_DOUBLING) + 1
  const top = ((bucket - EXACT) % PER_DOUBLING) + PER_DOUBLING
  return (top + 1) * 2 ** doublings - 1
}
