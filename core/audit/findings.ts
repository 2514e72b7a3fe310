/** What can be wrong with an audit log. */
export const TAMPERINGS = [
  /** The bytes of a line do not give its hash, or are none of ours. */
  'changed',
  /** Numbers are missing, or a segment's header or footer. */
  'removed',
  /** A line too many: of a number that stands there already, or of no number at all. */
  'inserted',
  /** A whole copy of a record that stands there already. */
  'duplicated',
  /** A record stands before or behind its place. */
  'reordered',
  /** Each line fits itself, but not the one that was chained to it, or not the anchor. */
  'rewritten',
  /** An anchor names a record behind the end. */
  'truncated',
  'segment_missing',
  /** A segment under the name of another. */
  'segment_misplaced',
  /** A segment of another stream. */
  'segment_foreign',
  /** The anchors of a place are not as they were written. */
  'anchors_changed',
  'anchors_removed',
] as const

export type Tampering = (typeof TAMPERINGS)[number]

export interface Finding {
  readonly stream: string
  readonly what: Tampering
  /** File name of the segment; undefined: it is not about one that is there. */
  readonly where?: string
  /** The place of the anchors that tell. */
  readonly place?: string
  /** From 1; a segment's header is line 1. */
  readonly line?: number
  /** The record that is affected, or the first of them. */
  readonly seq?: number
  /** The last of them, where they are several. */
  readonly lastSeq?: number
  /** A sentence without a full stop. */
  readonly detail: string
}

export type Report = (finding: Finding) => void

/** `record 7`, `records 7 to 9`. */
export function recordsText(first: number, last: number): string {
  return first === last ? `record ${first}` : `records ${first} to ${last}`
}
