import type { RetiredSegment } from './retirement.ts'

/** A segment as far as its age goes. */
export interface AgedSegment {
  readonly stream: string
  readonly segment: string
  readonly first: number
  /** What its header is chained to; undefined: there is no header that fits. */
  readonly prev: string | undefined
  /** undefined: it is open. */
  readonly footer: { readonly last: number; readonly at: number; readonly hash: string } | undefined
}

export type Dropping =
  /** To be written into the chain, then removed. */
  | { readonly action: 'retire'; readonly segment: AgedSegment; readonly record: RetiredSegment }
  /** It stands in the chain as retired already: whoever dropped it was stopped before the file was gone. */
  | { readonly action: 'remove'; readonly segment: AgedSegment }

/**
 * Which segments of one stream go, in order: closed before `before`, from the beginning on without leaving one out, and never
 * the newest, to which the writer has to chain the next.
 */
export function decideRetention(
  segments: readonly AgedSegment[],
  { before, retired }: { readonly before: number; readonly retired: readonly RetiredSegment[] },
): readonly Dropping[] {
  const dropped: Dropping[] = []
  for (const segment of segments.slice(0, -1)) {
    const { stream, segment: name, first, prev, footer } = segment
    if (footer === undefined || prev === undefined) break
    const known = retired.some((one) => one.first === first && one.last === footer.last && one.head === footer.hash)
    if (known) {
      dropped.push({ action: 'remove', segment })
      continue
    }
    if (footer.at >= before) break
    const record = { stream, segment: name, first, last: footer.last, prev, head: footer.hash }
    dropped.push({ action: 'retire', segment, record })
  }
  return dropped
}
