/** How full a bucket was at an instant, in ms of any clock that never goes back. */
export interface Bucket {
  readonly tokens: number
  readonly at: number
}

export interface BucketSize {
  readonly perSecond: number
  /** Tokens that it holds at most; it begins full. */
  readonly burst: number
}

export type Taking =
  | { readonly taken: true; readonly bucket: Bucket }
  /** Nothing was taken; after `waitMs` it will be there, if nobody else takes it. */
  | { readonly taken: false; readonly waitMs: number }

/** Takes `amount` tokens, all or none. More than the bucket holds can never be taken at once: the wait is that for a full one. */
export function takeTokens(bucket: Bucket | undefined, size: BucketSize, amount: number, now: number): Taking {
  const tokens =
    bucket === undefined
      ? size.burst
      : Math.min(size.burst, bucket.tokens + (Math.max(0, now - bucket.at) * size.perSecond) / 1_000)
  if (tokens >= amount) return { taken: true, bucket: { tokens: tokens - amount, at: now } }
  const missing = Math.min(amount, size.burst) - tokens
  return { taken: false, waitMs: Math.ceil((missing * 1_000) / size.perSecond) }
}
