import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { firstOfName, type Line, readLine } from '../../core/audit/lines.ts'
import type { SegmentEnd } from '../../core/audit/reopening.ts'
import type { AuditHead } from '../../core/ports/audit.ts'
import { byteLines } from './byte-lines.ts'

/** Reads a segment from its beginning and says how it ends. */
export async function segmentEnd(
  folder: string,
  { name, stream, anchor }: { readonly name: string; readonly stream: string; readonly anchor: AuditHead | undefined },
): Promise<SegmentEnd> {
  const first = firstOfName(name) ?? 0
  const seen: Seen = {
    stream,
    first,
    last: first - 1,
    head: undefined,
    closed: false,
    openedAt: undefined,
    anchored: undefined,
  }
  let wholeBytes = 0
  const rest = { bytes: 0, hash: createHash('sha256') }
  let misfit: number | undefined
  for await (const lines of byteLines(join(folder, name))) {
    for (const line of lines) {
      if (!line.whole) {
        rest.bytes += line.bytes.length
        rest.hash.update(line.bytes)
      } else if (misfit === undefined) {
        if (follows(seen, readLine(line.bytes), anchor)) wholeBytes = line.end
        else misfit = line.number
      }
    }
  }
  const { last, head, closed, openedAt, anchored } = seen
  return {
    name,
    first,
    last,
    head,
    closed,
    openedAt,
    wholeBytes,
    rest: rest.bytes === 0 ? undefined : { bytes: rest.bytes, hash: rest.hash.digest('hex') },
    misfit: misfit === undefined ? undefined : { line: misfit },
    anchored,
  }
}

interface Seen {
  readonly stream: string
  readonly first: number
  last: number
  head: string | undefined
  closed: boolean
  openedAt: number | undefined
  anchored: string | undefined
}

/** Takes one line more into `seen`; false: it does not follow on what was there. */
function follows(seen: Seen, line: Line, anchor: AuditHead | undefined): boolean {
  if (seen.closed || line.type === 'broken' || line.type === 'anchor') return false
  if (line.type === 'header') {
    if (seen.head !== undefined || line.first !== seen.first || line.stream !== seen.stream) return false
    seen.openedAt = line.at
  } else if (line.prev !== seen.head) {
    return false
  } else if (line.type === 'record') {
    if (line.seq !== seen.last + 1) return false
    seen.last = line.seq
  } else {
    if (line.last !== seen.last || line.count !== seen.last - seen.first + 1) return false
    seen.closed = true
  }
  seen.head = line.hash
  if (anchor !== undefined && seen.last === anchor.seq && line.type !== 'header' && seen.closed === anchor.closed) {
    seen.anchored = line.hash
  }
  return true
}
