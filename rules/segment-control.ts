import { messageOf } from '../core/errors.ts'
import { ignoredRecord, type RuleProblem } from './problem.ts'
import type { Membership, Segments } from './segment.ts'
import { readSegment, type SegmentSource } from './segment-file.ts'

/**
 * Segments on the control topic, beside the rules that name them. A segment has no version of its own: what it says is
 * told apart by its hash, and an event is judged by what was in effect at its own time. A list of users goes before it
 * in parts, for a record is at most a megabyte.
 */
export interface SegmentRecord {
  readonly type: 'segment.published'
  readonly segment_id: string
  /** RFC 3339; null: in effect since ever. */
  readonly effective_from: string | null
  /** SHA-256, hex, over what the segment says. */
  readonly content_hash: string
  /** The segment file, as it was. */
  readonly content: string
  /** How many parts the file that it names was cut into. */
  readonly parts: number
  readonly file: string
  /** RFC 3339. */
  readonly published_at: string
  readonly published_by?: string
}

export interface SegmentPart {
  readonly type: 'segment.part'
  readonly segment_id: string
  readonly content_hash: string
  readonly published_at: string
  /** From 0. */
  readonly part: number
  readonly text: string
}

/** What is written of one segment, the parts first. */
export type SegmentRecords = readonly (SegmentRecord | SegmentPart)[]

const PART_LENGTH = 250_000
const TYPES: readonly string[] = ['segment.published', 'segment.part']

/** As with rules (I2): keys differ wherever records do, so compaction never removes one that decides anything. */
export function segmentKey(record: SegmentRecord | SegmentPart): string {
  const part = record.type === 'segment.part' ? `/${record.part}` : ''
  return `segment:${record.segment_id}#${record.content_hash.slice(0, 12)}@${record.published_at}${part}`
}

export function encodeSegmentRecord(record: SegmentRecord | SegmentPart): string {
  return JSON.stringify(record)
}

/** True where a value is, by how it begins, a record of a segment. */
export function isSegmentValue(value: string | Buffer): boolean {
  const beginning = '{"type":"segment.'
  return (typeof value === 'string' ? value : value.subarray(0, beginning.length).toString()).startsWith(beginning)
}

/** One state of a segment, from an instant on. */
export interface PublishedSegment {
  readonly record: SegmentRecord
  readonly source: SegmentSource
  /** Event time in ms; undefined: since ever. */
  readonly effectiveFrom: number | undefined
}

export interface SegmentState {
  /** By segment id, in the order of publication. */
  readonly published: ReadonlyMap<string, readonly PublishedSegment[]>
  /** Who is in which segment, at an event's own time. */
  readonly segments: Segments
  readonly problems: readonly RuleProblem[]
}

interface SegmentEntry {
  readonly value: string | Buffer
  readonly place: string
}

/** Folds the records of segments, in the order of the log. Never throws on what a record holds. */
export function foldSegments(entries: readonly SegmentEntry[]): SegmentState {
  const parts = new Map<string, string | Buffer>()
  const records: { readonly record: SegmentRecord; readonly entry: SegmentEntry }[] = []
  const problems: RuleProblem[] = []
  for (const entry of entries) {
    const record = decode(entry)
    if (typeof record === 'string') problems.push(ignoredRecord(entry.place, record))
    else if (record.type === 'segment.part') parts.set(segmentKey(record), entry.value)
    else records.push({ record, entry })
  }
  const published = new Map<string, PublishedSegment[]>()
  for (const { record, entry } of records) {
    const reading = assemble(record, entry, parts)
    if (typeof reading === 'string') {
      problems.push(ignoredRecord(entry.place, reading))
      continue
    }
    const states = published.get(record.segment_id)
    if (states === undefined) published.set(record.segment_id, [reading])
    else states.push(reading)
  }
  const segments = new Map([...published].map(([id, states]) => [id, membershipOf(states)] as const))
  return { published, segments, problems }
}

/**
 * What was made of a record's value. The fold runs anew with each record that comes, and what a million users were read
 * from does not change.
 */
const decoded = new WeakMap<Buffer, SegmentRecord | SegmentPart | string>()
const assembled = new WeakMap<Buffer, PublishedSegment>()

function decode({ value }: SegmentEntry): SegmentRecord | SegmentPart | string {
  if (typeof value === 'string') return parse(value)
  const known = decoded.get(value)
  if (known !== undefined) return known
  const record = parse(value.toString())
  // The text of a part is read again, once, when the segment is put together.
  decoded.set(value, typeof record === 'object' && record.type === 'segment.part' ? { ...record, text: '' } : record)
  return record
}

/** A record, or what is wrong with it. */
function parse(value: string): SegmentRecord | SegmentPart | string {
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch (error) {
    return `the value is no JSON: ${messageOf(error)}`
  }
  const record = parsed as Record<string, unknown>
  const type = String(record['type'])
  if (!TYPES.includes(type)) return `records of type ${JSON.stringify(type)} are unknown to this version of Onceward`
  const texts = type === 'segment.part' ? ['text'] : ['content', 'file']
  for (const name of ['segment_id', 'content_hash', 'published_at', ...texts]) {
    if (typeof record[name] !== 'string') return `${name} is no text`
  }
  const number = record[type === 'segment.part' ? 'part' : 'parts']
  if (!Number.isSafeInteger(number) || Number(number) < 0) return 'the number of parts is no whole number'
  if (type === 'segment.part') return parsed as SegmentPart
  const from = record['effective_from']
  if (from === null || (typeof from === 'string' && !Number.isNaN(Date.parse(from)))) return parsed as SegmentRecord
  return 'effective_from is neither null nor a time'
}

/** The segment that a record and its parts hold, or what is wrong with them. */
function assemble(
  record: SegmentRecord,
  { value }: SegmentEntry,
  parts: ReadonlyMap<string, string | Buffer>,
): PublishedSegment | string {
  const known = typeof value === 'string' ? undefined : assembled.get(value)
  if (known !== undefined) return known
  const texts: string[] = []
  for (let part = 0; part < record.parts; part++) {
    const found = parts.get(segmentKey({ ...record, type: 'segment.part', part, text: '' }))
    const read = found === undefined ? undefined : parse(found.toString())
    if (typeof read !== 'object' || read.type !== 'segment.part') {
      return `part ${part} of ${record.parts} of segment ${record.segment_id} is missing`
    }
    texts.push(read.text)
  }
  const file = { file: record.file, text: record.content, ...(record.parts === 0 ? {} : { users: texts.join('') }) }
  const reading = readSegment(file)
  if (!reading.ok) return reading.problems[0]?.message ?? 'it holds no segment'
  const { segmentId, contentHash } = reading.segment
  if (segmentId !== record.segment_id) return `it is named ${record.segment_id} but holds ${segmentId}`
  if (contentHash !== record.content_hash) return `segment ${segmentId} is not what its hash says`
  const from = record.effective_from
  // A million ids are kept once.
  const { users: _users, ...source } = reading.segment
  const segment = { record, source, effectiveFrom: from === null ? undefined : Date.parse(from) }
  if (typeof value !== 'string') assembled.set(value, segment)
  return segment
}

/** By what was in effect at the event's own time; of two from one instant the later published. Unknown before the first. */
function membershipOf(states: readonly PublishedSegment[]): Membership {
  const start = ({ effectiveFrom }: PublishedSegment): number => effectiveFrom ?? -Infinity
  const inTime = states.toSorted((a, b) => (start(a) === start(b) ? 0 : start(a) < start(b) ? -1 : 1))
  return (event) => {
    for (let i = inTime.length - 1; i >= 0; i--) {
      const state = inTime[i]
      if (state !== undefined && start(state) <= event.ts) return state.source.membership(event)
    }
    return undefined
  }
}

export interface SegmentMoment {
  readonly nowMs: number
  /** How far ahead what changes takes effect, ms: every worker has read it by then. */
  readonly marginMs: number
  readonly publishedBy?: string | undefined
}

/**
 * What of `segments` is to be published: those that say something else than what was published last. The first of a
 * segment is in effect from its `effective_from`, or since ever; what changes it from `effective_from`, but never before
 * `marginMs` from now.
 */
export function planSegments(
  known: SegmentState,
  segments: Iterable<SegmentSource>,
  { nowMs, marginMs, publishedBy }: SegmentMoment,
): readonly SegmentRecords[] {
  const plans: SegmentRecords[] = []
  for (const source of segments) {
    const last = known.published.get(source.segmentId)?.at(-1)
    if (last?.source.contentHash === source.contentHash) continue
    const earliest = last === undefined ? undefined : nowMs + marginMs
    const from = earliest === undefined ? source.effectiveFrom : Math.max(source.effectiveFrom ?? earliest, earliest)
    const texts = source.users === undefined ? [] : cut(source.users)
    const names = {
      segment_id: source.segmentId,
      content_hash: source.contentHash,
      published_at: new Date(nowMs).toISOString(),
    }
    const record: SegmentRecord = {
      type: 'segment.published',
      ...names,
      effective_from: from === undefined ? null : new Date(from).toISOString(),
      content: source.text,
      parts: texts.length,
      file: source.file,
      ...(publishedBy === undefined ? {} : { published_by: publishedBy }),
    }
    plans.push([...texts.map((text, part): SegmentPart => ({ type: 'segment.part', ...names, part, text })), record])
  }
  return plans
}

function cut(text: string): readonly string[] {
  const count = Math.max(1, Math.ceil(text.length / PART_LENGTH))
  return Array.from({ length: count }, (_, i) => text.slice(i * PART_LENGTH, (i + 1) * PART_LENGTH))
}
