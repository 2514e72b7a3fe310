import { describe, expect, it } from 'vitest'
import {
  controlKey,
  type ControlRecord,
  decodeControlRecord,
  EFFECTIVE_LEAD_MS,
  encodeControlRecord,
  foldControl,
  planPublication,
  versionsOf,
} from '../../rules/control.ts'
import type { RuleSource } from '../../rules/rule-file.ts'
import { compareVersions } from '../../rules/version-order.ts'
import { ruleText, sourceOf } from './rule-texts.ts'

const NOW = Date.parse('2025-11-10T12:00:00Z')
const LATER = new Date(NOW + EFFECTIVE_LEAD_MS).toISOString()

const nothing = foldControl([])
const foldOf = (...records: readonly ControlRecord[]) =>
  foldControl(records.map((record, i) => ({ value: encodeControlRecord(record), place: `rules.control[0]@${i}` })))
const plan = (known: Parameters<typeof planPublication>[0], ...rules: readonly RuleSource[]) =>
  planPublication(known, rules, { nowMs: NOW })
const source = (parts: Parameters<typeof ruleText>[0], file?: string) => sourceOf(ruleText(parts), file)

function record(parts: Parameters<typeof ruleText>[0], change: Partial<ControlRecord> = {}): ControlRecord {
  const [made] = plan(nothing, source(parts)).publish
  if (made === undefined) throw new Error('nothing was published')
  return { ...made, ...change }
}

describe('planPublication', () => {
  it('publishes what is not there yet: a first version since ever, with the file as it is', () => {
    const rule = source({}, 'r.yaml')
    const { publish, unchanged, refused } = planPublication(nothing, [rule], { nowMs: NOW, publishedBy: 'ann' })
    expect([unchanged, refused]).toEqual([[], []])
    expect(publish).toEqual([
      {
        type: 'rule.published',
        rule_id: 'r',
        version: '1.0',
        effective_from: null,
        content: ruleText(),
        content_hash: rule.contentHash,
        file: 'r.yaml',
        published_at: '2025-11-10T12:00:00.000Z',
        published_by: 'ann',
      },
    ])
  })

  it('publishes nothing twice, not even where comments, blanks, quotes or the order of keys differ', () => {
    const text = ruleText()
    const known = foldOf(...plan(nothing, sourceOf(text)).publish)
    const lines = text.trim().split('\n').reverse().join('\n').replace('"1.0"', '1.0')
    const same = sourceOf(`# edited\n${lines}\n`)
    expect(plan(known, same)).toMatchObject({ publish: [], unchanged: [same], refused: [] })
  })

  it('refuses other content under a published version and says what to do', () => {
    const { publish, refused } = plan(foldOf(record({})), source({ formula: '2' }, 'r.yaml'))
    expect(publish).toEqual([])
    expect(refused).toMatchObject([
      { code: 'ONCEWARD_E_RULE_VERSION_CHANGED', file: 'r.yaml', hint: expect.stringContaining('raise meta.version') },
    ])
  })

  it('a later version takes effect a lead after now, or when it says', () => {
    const known = foldOf(record({}))
    expect(plan(known, source({ version: '2.0' })).publish[0]?.effective_from).toBe(LATER)
    expect(plan(known, source({ version: '2.0', effective: '2025-12-01' })).publish[0]?.effective_from).toBe(
      '2025-12-01T00:00:00.000Z',
    )
  })

  it('of several new versions of one rule the lowest is the first', () => {
    const rules = [source({ version: '10.0' }), source({ version: '2.0' }), source({ id: 'q', version: '5' })]
    const { publish } = plan(nothing, ...rules)
    expect(publish.map((r) => [r.rule_id, r.version, r.effective_from])).toEqual([
      ['r', '2.0', null],
      ['r', '10.0', LATER],
      ['q', '5', null],
    ])
  })

  it('what it publishes folds back to the same rules, and a second plan has nothing to do', () => {
    const rules = [source({}), source({ id: 'q', version: '3' })]
    const known = foldOf(...plan(nothing, ...rules).publish)
    expect(known.problems).toEqual([])
    expect(known.set.at('bet', 0).map(({ ruleId }) => ruleId)).toEqual(['q', 'r'])
    expect(plan(known, ...rules)).toMatchObject({ publish: [], refused: [] })
  })
})

describe('foldControl', () => {
  it('the first record of a version wins; a later one with other content is reported and ignored', () => {
    const known = foldOf(record({ formula: '1' }), record({ formula: '2' }))
    expect(known.set.versions).toHaveLength(1)
    expect(known.published.get('r 1.0')?.record.content).toContain('"1"')
    expect(known.problems).toMatchObject([{ code: 'ONCEWARD_E_RULE_VERSION_CHANGED', file: 'rules.control[0]@1' }])
  })

  it('the first record decides the instant, whoever publishes the same content again', () => {
    const first = record({ version: '2.0' }, { effective_from: '2025-12-01T00:00:00.000Z' })
    const again = record({ version: '2.0' }, { effective_from: null, published_at: '2025-11-11T00:00:00.000Z' })
    const known = foldOf(first, again)
    expect(known.set.versions.map(({ effectiveFrom }) => effectiveFrom)).toEqual([Date.UTC(2025, 11, 1)])
    expect(known.problems).toEqual([])
  })

  it('compaction, which keeps the last record of each key, changes nothing', () => {
    const records = [
      record({}),
      record({}, { effective_from: LATER, published_at: LATER }),
      record({ formula: '2' }),
      record({ version: '2.0' }, { effective_from: LATER }),
      record({ version: '2.0' }, { effective_from: null, published_at: LATER }),
    ]
    const compacted = records.filter(
      (r, i) => !records.slice(i + 1).some((other) => controlKey(other) === controlKey(r)),
    )
    const what = (known: ReturnType<typeof foldControl>) =>
      [...known.published.values()].map(({ record: r }) => [r.version, r.content, r.effective_from])
    expect(what(foldOf(...compacted))).toEqual(what(foldOf(...records)))
  })

  it.each([
    ['no JSON', 'nonsense', 'no JSON'],
    ['no object', '5', 'no JSON object'],
    ['another type', '{"type":"rule.renamed"}', 'unknown to this version'],
    ['a missing key', '{"type":"rule.published","rule_id":"r"}', 'version is no text'],
    ['a wrong instant', JSON.stringify(record({}, { effective_from: 'soon' })), 'neither null nor a time'],
    [
      'another name than the content has',
      JSON.stringify(record({}, { rule_id: 'other' })),
      'is named other 1.0 but holds r 1.0',
    ],
    ['content that is no rule', JSON.stringify(record({}, { content: 'rule_id: r' })), 'when is missing'],
  ])('a record with %s is reported and ignored; the others stay in force', (_, value, message) => {
    const known = foldControl([
      { value, place: 'rules.control[0]@0' },
      { value: encodeControlRecord(record({})), place: 'rules.control[0]@1' },
      { value: null, place: 'rules.control[0]@2' },
    ])
    expect(known.set.versions).toHaveLength(1)
    expect(
      known.problems.some(
        (problem) => problem.message.includes(message) && problem.file.startsWith('rules.control[0]@0'),
      ),
    ).toBe(true)
  })
})

it('a record survives encoding', () => {
  const original = record({})
  expect(decodeControlRecord(encodeControlRecord(original))).toEqual({ ok: true, record: original })
})

it('versions go by number where they have numbers', () => {
  expect(['10.0', '2.1', '2.0', '2.10', 'b', 'a'].sort(compareVersions)).toEqual([
    '2.0',
    '2.1',
    '2.10',
    '10.0',
    'a',
    'b',
  ])
})

it('versions of files that were never published: the highest of those in effect counts', () => {
  const versions = versionsOf([
    source({ version: '10.0' }),
    source({ version: '9.0' }),
    source({ version: '11.0', effective: '2025-12-01' }),
  ])
  expect(versions.map(({ rule, effectiveFrom }) => [rule.version, effectiveFrom])).toEqual([
    ['9.0', undefined],
    ['10.0', undefined],
    ['11.0', Date.UTC(2025, 11, 1)],
  ])
})
