import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { admit, type AdmissionFacts, type ReplayPlan } from '../../pipeline/replay/plan.ts'
import { parsePlace, type PartitionFacts, type Place, spanOf } from '../../pipeline/replay/span.ts'
import { boundedBatch } from '../../pipeline/replay/partition-replay.ts'
import { IdSet } from '../../pipeline/replay/id-set.ts'

const place = (text: string): Place => {
  const read = parsePlace(text)
  if (read === undefined) throw new Error(text)
  return read
}

describe('a place', () => {
  test.each<[string, Place]>([
    ['beginning', { kind: 'beginning' }],
    ['end', { kind: 'end' }],
    ['1500', { kind: 'offset', offset: 1500 }],
    [
      '0:10,2:0',
      {
        kind: 'offsets',
        offsets: new Map([
          [0, 10],
          [2, 0],
        ]),
      },
    ],
    ['2025-11-03T12:00:00Z', { kind: 'time', ms: Date.UTC(2025, 10, 3, 12) }],
    ['2025-11-03T12:00:00.5+03:00', { kind: 'time', ms: Date.UTC(2025, 10, 3, 9, 0, 0, 500) }],
  ])('%s is read', (text, expected) => {
    expect(parsePlace(text)).toEqual(expected)
  })

  test.each(['', 'start', '-1', '1.5', '0:1,0:2', '0:', ':1', '2025-11-03', '2025-02-30T00:00:00Z', '0:1;1:2'])(
    '"%s" is none',
    (text) => {
      expect(parsePlace(text)).toBeUndefined()
    },
  )
})

const fact = (partition: number, facts: Partial<PartitionFacts> = {}): PartitionFacts => ({
  partition,
  bounds: { earliest: 0, end: 100 },
  oldestTs: 1_000,
  fromAt: undefined,
  toAt: undefined,
  ...facts,
})
const kept = { bounds: { earliest: 40, end: 100 } }
const read = (from: string, to: string, ...facts: PartitionFacts[]) =>
  spanOf({ from: place(from), to: place(to) }, facts, 'events.raw')

describe('the span', () => {
  test.each<[string, string, PartitionFacts[], unknown]>([
    [
      'beginning',
      'end',
      [fact(0), fact(1)],
      [
        [0, 0, 100],
        [1, 0, 100],
      ],
    ],
    ['30', 'end', [fact(0)], [[0, 30, 100]]],
    [
      '0:30,2:50',
      'end',
      [fact(0), fact(1), fact(2)],
      [
        [0, 30, 100],
        [2, 50, 100],
      ],
    ],
    [
      '0:30,2:50',
      '2:60',
      [fact(0), fact(1), fact(2)],
      [
        [0, 30, 100],
        [2, 50, 60],
      ],
    ],
    [
      'beginning',
      '1:60',
      [fact(0), fact(1)],
      [
        [0, 0, 100],
        [1, 0, 60],
      ],
    ],
    ['1970-01-01T00:00:02Z', 'end', [fact(0, { fromAt: 20 }), fact(1, { fromAt: 100 })], [[0, 20, 100]]],
    ['beginning', '1970-01-01T00:00:02Z', [fact(0, { toAt: 20 }), fact(1, { toAt: 0 })], [[0, 0, 20]]],
    ['10', 'end', [fact(0, kept)], [[0, 40, 100]]],
  ])('from %s to %s', (from, to, facts, expected) => {
    const reading = read(from, to, ...facts)
    expect(reading.ok && reading.spans.map(({ partition, start, end }) => [partition, start, end])).toEqual(expected)
  })

  test.each<[string, string, PartitionFacts[], RegExp]>([
    ['30', 'end', [fact(0), fact(1)], /--from 30 is one offset, but events\.raw has 2 partitions/],
    ['0:5,7:1', 'end', [fact(0)], /--from: events\.raw has no partition 7/],
    ['0:5', '0:101', [fact(0)], /--to: partition 0 of events\.raw ends at 100, before 101/],
    ['0:5', '1:9', [fact(0), fact(1)], /--to has partition 1, which --from leaves out/],
    ['end', 'end', [fact(0)], /--from end leaves nothing/],
    ['beginning', 'beginning', [fact(0)], /--to beginning leaves nothing/],
    ['0:50', '0:50', [fact(0)], /there is nothing on events\.raw between --from and --to/],
  ])('from %s to %s is refused', (from, to, facts, problem) => {
    const reading = read(from, to, ...facts)
    expect(reading.ok ? '' : reading.problem).toMatch(problem)
  })

  test.each<[string, PartitionFacts[], number]>([
    ['beginning', [fact(0)], 0],
    ['beginning', [fact(0, kept), fact(1)], 1],
    ['39', [fact(0, kept)], 1],
    ['40', [fact(0, kept)], 0],
    ['0:39,1:40', [fact(0, kept), fact(1, kept)], 1],
    // The oldest record is of second 1.
    ['1970-01-01T00:00:00.999Z', [fact(0, { ...kept, fromAt: 40 })], 1],
    ['1970-01-01T00:00:01Z', [fact(0, { ...kept, fromAt: 40 })], 0],
    ['1970-01-01T00:00:00.999Z', [fact(0, { fromAt: 0 })], 0],
    [
      '1970-01-01T00:00:05Z',
      [fact(0, { fromAt: 9 }), fact(1, { bounds: { earliest: 7, end: 7 }, oldestTs: undefined, fromAt: 7 })],
      1,
    ],
  ])('from %s has the gaps that retention made', (from, facts, gaps) => {
    const reading = read(from, 'end', ...facts)
    expect(reading.ok && reading.gaps).toHaveLength(gaps)
    expect(reading.ok && reading.whole).toBe(from === 'beginning' && gaps === 0)
  })
})

describe('admission', () => {
  const asked = {
    events: 'events.raw',
    from: 'beginning',
    to: 'end',
    rules: 'control',
    reorder_window_ms: 1,
    dedupe_window_ms: 2,
  }
  const plan: ReplayPlan = {
    type: 'replay.planned',
    application: 'again',
    ...asked,
    spans: [],
    whole: true,
    planned_at: '',
  }
  const facts = {
    application: 'again',
    asked,
    plan: undefined,
    members: 0,
    processed: false,
    taken: [],
    isPrefix: false,
  }
  const planned = { ...facts, plan: { ok: true as const, plan } }

  test.each<[string, AdmissionFacts, string, RegExp?]>([
    ['a new name', facts, 'begin'],
    ['the same replay', { ...planned, processed: true, taken: ['again.scores'] }, 'continue'],
    ['the live application', { ...facts, processed: true }, 'refuse', /has processed events, and no replay/],
    ['a name with members', { ...facts, members: 2 }, 'refuse', /has 2 members at work/],
    ['a replay with members', { ...planned, members: 1 }, 'refuse', /has a member at work/],
    ['topics of something else', { ...facts, taken: ['again.scores'] }, 'refuse', /again\.scores is there/],
    ['the prefix of an installation', { ...planned, isPrefix: true }, 'refuse', /real topics begin with/],
    ['a broken plan', { ...facts, plan: { ok: false, problem: 'x' } }, 'refuse', /cannot be read: x/],
    ['another start', { ...planned, asked: { ...asked, from: '7' } }, 'refuse', /--from was beginning, not 7/],
    ['another end', { ...planned, asked: { ...asked, to: '7' } }, 'refuse', /--to was end, not 7/],
    [
      'other rules',
      { ...planned, asked: { ...asked, rules: 'abc' } },
      'refuse',
      /--rules was the published rules, not the rules abc/,
    ],
    ['other topics', { ...planned, asked: { ...asked, events: 'x.events.raw' } }, 'refuse', /events was events\.raw/],
    [
      'another window',
      { ...planned, asked: { ...asked, dedupe_window_ms: 3 } },
      'refuse',
      /--dedupe-window was 2ms, not 3ms/,
    ],
  ])('%s', (_, given, kind, reason = /^$/) => {
    const admission = admit(given)
    expect(admission.kind).toBe(kind)
    expect(admission.kind === 'refuse' ? admission.reason : '').toMatch(reason)
  })
})

test('a bounded batch has nothing at the end or behind it, and ends there', () => {
  const record = (offset: number) => ({ topic: 't', partition: 0, offset, timestamp: 0, key: null, value: null })
  const batch = { topic: 't', partition: 0, records: [3, 5, 6].map(record), fetchOffset: 2, nextOffset: 9, end: 9 }
  const bounded = boundedBatch(batch, 6)
  expect([bounded.records.map(({ offset }) => offset), bounded.nextOffset]).toEqual([[3, 5], 6])
  expect(boundedBatch(batch, 9)).toBe(batch)
})

test('an id set holds what was added, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 3_000 }), fc.array(fc.string()), (ids, others) => {
      const set = new IdSet()
      const model = new Set<string>()
      for (const id of ids) {
        expect(set.add(id)).toBe(!model.has(id))
        model.add(id)
      }
      expect(set.size).toBe(model.size)
      for (const id of [...ids, ...others]) expect(set.has(id)).toBe(model.has(id))
    }),
    { numRuns: 30 },
  )
  const many = new IdSet()
  for (let i = 0; i < 20_000; i++) many.add(`e-${i}`)
  expect(Array.from({ length: 40_000 }, (_, i) => many.has(`e-${i}`)).filter(Boolean)).toHaveLength(20_000)
})
