/**
 * What a writer does with the stream that it finds. A line that was acknowledged has its line end, for it was written whole
 * before anybody was told; so only bytes after the last line end can be what a killed writer was in the middle of.
 */
import type { AuditHead } from '../ports/audit.ts'

/** What the newest segment of a stream looks like. */
export interface SegmentEnd {
  readonly name: string
  /** Its first record, as its name says. */
  readonly first: number
  /** Its last record; first − 1: it has none. */
  readonly last: number
  /** Hash of its last whole line; undefined: there is not even a header. */
  readonly head: string | undefined
  readonly closed: boolean
  /** When it was begun; undefined: there is no header. */
  readonly openedAt: number | undefined
  /** Bytes up to the end of the last whole line. */
  readonly wholeBytes: number
  /** What stands after it without a line end. */
  readonly rest: { readonly bytes: number; readonly hash: string } | undefined
  /** The first line that does not belong there: changed, out of order, or after the footer. */
  readonly misfit: { readonly line: number } | undefined
  /** Hash of the record that the newest anchor names, or of the footer where it names one; undefined: not in this segment. */
  readonly anchored: string | undefined
}

export type Reopening =
  /** A stream that nobody has written yet, or whose segments are all closed: the next append begins a segment. */
  | { readonly action: 'begin'; readonly first: number; readonly prev: string }
  /** Go on behind the last whole line. */
  | { readonly action: 'continue'; readonly segment: SegmentEnd }
  /** Cut what was torn off, and say so in the chain. `segment.head` undefined: not even the header was whole. */
  | { readonly action: 'repair'; readonly segment: SegmentEnd }
  /** Somebody or something has changed what was acknowledged. */
  | { readonly action: 'refuse'; readonly why: string }

export interface ReopeningFacts {
  readonly newest: SegmentEnd | undefined
  /** The newest anchor of the stream; undefined: none is known. */
  readonly anchor: Pick<AuditHead, 'seq' | 'head'> | undefined
  readonly genesis: string
}

export function decideReopening({ newest, anchor, genesis }: ReopeningFacts): Reopening {
  if (newest === undefined) {
    if (anchor === undefined) return { action: 'begin', first: 1, prev: genesis }
    return refuse(`an anchor names its record ${anchor.seq}, but there is no segment`)
  }
  const { name, last, misfit, rest, closed, head } = newest
  if (misfit !== undefined) return refuse(`line ${misfit.line} of ${name} does not belong there`)
  if (closed && rest !== undefined) return refuse(`${rest.bytes} bytes stand behind the end of ${name}`)
  if (anchor !== undefined && anchor.seq > last) {
    return refuse(`it ends with record ${last}, but an anchor names its record ${anchor.seq}`)
  }
  if (anchor !== undefined && newest.anchored !== undefined && newest.anchored !== anchor.head) {
    return refuse(`record ${anchor.seq} of ${name} is not the one that an anchor names`)
  }
  if (closed && head !== undefined) return { action: 'begin', first: last + 1, prev: head }
  return { action: rest === undefined && head !== undefined ? 'continue' : 'repair', segment: newest }
}

function refuse(why: string): Reopening {
  return { action: 'refuse', why }
}
