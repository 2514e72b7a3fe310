import type { Finding } from './findings.ts'
import type { HeaderLine } from './lines.ts'

/** A segment file as it was found. */
export interface FoundSegment {
  readonly name: string
  /** Of its name. */
  readonly first: number
  /** Its first line, where that is a header whose hash fits. */
  readonly header: HeaderLine | undefined
}

export interface SegmentPlan {
  /** In the order in which they are to be read: by what they hold, whatever they are called. */
  readonly order: readonly { readonly name: string; readonly first: number }[]
  readonly findings: readonly Finding[]
}

/** Finds segments that are not what their names say, so that two that were swapped are two findings and not thousands. */
export function planSegments(stream: string, found: readonly FoundSegment[]): SegmentPlan {
  const findings: Finding[] = []
  const places = new Map<number, string>()
  const add = (what: Finding['what'], segment: FoundSegment, detail: string): void => {
    findings.push({ stream, what, where: segment.name, line: 1, seq: segment.first, detail })
  }
  for (const { name, first, header } of found) {
    if (header === undefined || (header.first === first && header.stream === stream)) places.set(first, name)
  }
  for (const segment of found) {
    const { name, first, header } = segment
    if (header === undefined || places.get(first) === name) continue
    if (header.stream !== stream) {
      add('segment_foreign', segment, `${name} is a segment of the stream ${header.stream}, put here`)
    } else if (places.has(header.first)) {
      add('segment_misplaced', segment, `${name} is a copy of ${places.get(header.first) ?? ''}`)
    } else {
      add('segment_misplaced', segment, `${name} holds the segment that begins with record ${header.first}`)
      places.set(header.first, name)
    }
  }
  const order = [...places].sort(([a], [b]) => a - b).map(([first, name]) => ({ name, first }))
  return { order, findings }
}
