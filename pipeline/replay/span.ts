import type { OffsetBounds } from '../../core/ports/log.ts'
import { parseTimestamp } from '../../operators/timestamp.ts'

/** Where a replay begins or ends, as somebody writes it. */
export type Place =
  | { readonly kind: 'beginning' }
  | { readonly kind: 'end' }
  /** Ingest time, ms. */
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'offset'; readonly offset: number }
  /** By partition; a partition that is not listed is left out. */
  | { readonly kind: 'offsets'; readonly offsets: ReadonlyMap<number, number> }

/** Reads `beginning`, `end`, an offset, `partition:offset,…` or an RFC 3339 time; undefined where it is none of them. */
export function parsePlace(text: string): Place | undefined {
  if (text === 'beginning' || text === 'end') return { kind: text }
  if (/^\d{1,15}$/.test(text)) return { kind: 'offset', offset: Number(text) }
  if (/^\d{1,6}:\d{1,15}(,\d{1,6}:\d{1,15})*$/.test(text)) {
    const pairs = text.split(',').map((pair) => pair.split(':').map(Number) as [number, number])
    const offsets = new Map(pairs)
    return offsets.size === pairs.length ? { kind: 'offsets', offsets } : undefined
  }
  const ms = parseTimestamp(text)
  return ms >= 0 ? { kind: 'time', ms } : undefined
}

/** The part of one partition that is replayed: from `start` up to `end`, exclusive. */
export interface PartitionSpan {
  readonly partition: number
  readonly start: number
  readonly end: number
}

/** What the log says of one partition of the events. */
export interface PartitionFacts {
  readonly partition: number
  readonly bounds: OffsetBounds
  /** The oldest record's ingest time, ms; undefined where there is none. */
  readonly oldestTs: number | undefined
  /** The first offset at or after the time of --from, and of --to; undefined where they are no times. */
  readonly fromAt: number | undefined
  readonly toAt: number | undefined
}

export type SpanReading =
  | {
      readonly ok: true
      readonly spans: readonly PartitionSpan[]
      /** Sentences: what was asked for and is not there any more. */
      readonly gaps: readonly string[]
      /** True where each partition is replayed from its very first event: then all totals are whole. */
      readonly whole: boolean
    }
  | { readonly ok: false; readonly problem: string }

/** Which part of each partition is replayed, and what of it retention has deleted. Pure. */
export function spanOf(
  asked: { from: Place; to: Place },
  facts: readonly PartitionFacts[],
  topic: string,
): SpanReading {
  const problem = misfit(asked, facts, topic)
  if (problem !== undefined) return { ok: false, problem }
  const spans: PartitionSpan[] = []
  const gaps: string[] = []
  for (const fact of facts) {
    const { partition, bounds } = fact
    const start = startOf(asked.from, fact)
    const end = endOf(asked.to, fact)
    if (start === undefined || end === undefined) continue
    const gap = gapOf(asked.from, fact)
    if (gap !== undefined) gaps.push(`partition ${partition} of ${topic}: ${gap}`)
    const first = Math.max(start, bounds.earliest)
    if (first < end) spans.push({ partition, start: first, end })
  }
  if (spans.length === 0) {
    return { ok: false, problem: `there is nothing on ${topic} between --from and --to; look with onceward tail` }
  }
  const whole = asked.from.kind === 'beginning' && gaps.length === 0
  return { ok: true, spans, gaps, whole }
}

function misfit({ from, to }: { from: Place; to: Place }, facts: readonly PartitionFacts[], topic: string) {
  for (const [flag, place] of [
    ['--from', from],
    ['--to', to],
  ] as const) {
    if (place.kind === 'offset' && facts.length !== 1) {
      return `${flag} ${place.offset} is one offset, but ${topic} has ${facts.length} partitions; write partition:offset,... or a time`
    }
    const problem = [...offsetsOf(place, facts)].flatMap(([partition, offset]) => {
      const fact = facts.find((each) => each.partition === partition)
      if (fact === undefined) return [`${flag}: ${topic} has no partition ${partition}`]
      const { end } = fact.bounds
      return offset <= end ? [] : [`${flag}: partition ${partition} of ${topic} ends at ${end}, before ${offset}`]
    })[0]
    if (problem !== undefined) return problem
  }
  if (from.kind === 'end') return '--from end leaves nothing to replay; write beginning, a time or an offset'
  if (to.kind === 'beginning') return '--to beginning leaves nothing to replay; write end, a time or an offset'
  if (from.kind === 'offsets' && to.kind === 'offsets') {
    const unknown = [...to.offsets.keys()].find((partition) => !from.offsets.has(partition))
    if (unknown !== undefined) return `--to has partition ${unknown}, which --from leaves out; name it in both or none`
  }
  return undefined
}

function offsetsOf(place: Place, facts: readonly PartitionFacts[]): ReadonlyMap<number, number> {
  if (place.kind === 'offsets') return place.offsets
  return new Map(place.kind === 'offset' ? facts.map(({ partition }) => [partition, place.offset]) : [])
}

/** As it was asked for, deleted or not; undefined where the partition is left out. */
function startOf(from: Place, { partition, bounds, fromAt }: PartitionFacts): number | undefined {
  if (from.kind === 'time') return fromAt
  if (from.kind === 'offset') return from.offset
  if (from.kind === 'offsets') return from.offsets.get(partition)
  return from.kind === 'end' ? bounds.end : bounds.earliest
}

function endOf(to: Place, { partition, bounds, toAt }: PartitionFacts): number | undefined {
  if (to.kind === 'time') return toAt
  if (to.kind === 'offset') return to.offset
  // A partition that only --from lists goes to its end.
  if (to.kind === 'offsets') return to.offsets.get(partition) ?? bounds.end
  return to.kind === 'end' ? bounds.end : bounds.earliest
}

/** What retention has taken away of what was asked for, as the end of a sentence. */
function gapOf(from: Place, fact: PartitionFacts): string | undefined {
  const { earliest } = fact.bounds
  const { oldestTs } = fact
  if (earliest === 0) return undefined
  const now =
    oldestTs === undefined ? 'nothing is left' : `the oldest event left is of ${new Date(oldestTs).toISOString()}`
  const deleted = `retention has deleted everything before offset ${earliest}; ${now}`
  if (from.kind === 'beginning') return deleted
  if (from.kind === 'time') return oldestTs === undefined || oldestTs > from.ms ? deleted : undefined
  const start = startOf(from, fact)
  return start !== undefined && start < earliest ? `it begins at ${start} as asked, but ${deleted}` : undefined
}
