import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readRuleFiles } from '../../connectors/files/rule-files.ts'
import { HOUR_MS } from '../../core/durations.ts'
import type { PlayerEvent } from '../../core/model/event.ts'
import { EFFECTIVE_LEAD_MS, foldControl, planPublication, recordsOf } from '../../rules/control.ts'
import { IdSet } from '../../rules/id-set.ts'
import { loadRules } from '../../rules/load.ts'
import { formatProblem } from '../../rules/problem.ts'
import { readSegment } from '../../rules/segment-file.ts'
import type { RuleFile } from '../../rules/yaml-source.ts'
import { eventOf } from './expressions.ts'

const NOW = Date.parse('2025-11-10T12:00:00Z')
const RULE = {
  file: 'r.yaml',
  text: `rule_id: r\nwhen: { event_name: bet, filters: ['user in segment("vip")'] }\nscore: { formula: 1 }\n`,
}
const fileOf = (users: string): RuleFile => ({
  file: 'segments/vip.yaml',
  text: 'segment_id: vip\nusers_file: vip.txt\n',
  users,
})
const listOf = (...users: readonly string[]): RuleFile => fileOf(users.join('\n'))

function segmentOf(text: string, users?: string) {
  const reading = readSegment({ file: 's.yaml', text, ...(users === undefined ? {} : { users }) })
  if (!reading.ok) throw new Error(reading.problems.map(formatProblem).join('\n'))
  return reading.segment
}

const problemsOf = (text: string, users?: string): string[] => {
  const reading = readSegment({ file: 's.yaml', text, ...(users === undefined ? {} : { users }) })
  return reading.ok ? [] : reading.problems.map(({ line, column, message }) => `${line}:${column} ${message}`)
}

const player = (userId: string, ts = NOW): PlayerEvent => ({ ...eventOf(), userId, ts })

describe('a segment file', () => {
  it('with conditions: its members are those for whom all of them are surely true', () => {
    const { membership } = segmentOf(
      'segment_id: night\nconditions: [payload.bet > 0.2, \'user.geo == "TR"\', now.hour < 6]\ntime_zone: America/New_York\n',
    )
    expect(membership(eventOf({}, '2025-11-10T09:00:00Z'))).toBe(true)
    expect(membership(eventOf({}, '2025-11-10T12:00:00Z'))).toBe(false)
    expect(membership(eventOf({ bet: null }, '2025-11-10T09:00:00Z'))).toBeUndefined()
    expect(membership(eventOf({ bet: null }, '2025-11-10T12:00:00Z'))).toBe(false)
  })

  it('with users: its members are those, inline or one on each line of the file beside it', () => {
    const inline = segmentOf('segment_id: vip\nusers: [u1, 007, "ü 3"]\n')
    const beside = segmentOf('segment_id: vip\nusers_file: vip.txt\n', '# of November\nu1\r\n\n  007\nü 3\nu1\n')
    for (const { membership, size } of [inline, beside]) {
      expect(size).toBe(3)
      expect(['u1', '007', 'ü 3', 'u2', '7', ''].map((id) => membership(player(id)))).toEqual([
        true,
        true,
        true,
        false,
        false,
        false,
      ])
    }
    expect(inline.contentHash).toBe(beside.contentHash)
  })

  it.each([
    ['segment_id: a b\nusers: [u]\n', '1:13 segment_id cannot be "a b"'],
    ['segment_id: s\n', '1:1 a segment has either conditions, or users, or a users_file'],
    [
      'segment_id: s\nusers: [u]\nconditions: [true]\n',
      '2:1 a segment has either conditions, or users, or a users_file',
    ],
    ['segment_id: s\nconditions: [payoad.bet > 1]\n', '2:14 there is no field "payoad.bet"'],
    ['segment_id: s\nconditions: [\'user in segment("t")\']\n', '2:31 there is no segment "t"'],
    ['segment_id: s\nconditions: ["count(bet, 7d) > 1"]\n', '2:15 '],
    ['segment_id: s\nusers_file: ../secret\n', '2:13 users_file cannot be "../secret"'],
    ['segment_id: s\nusers_file: gone.txt\n', '2:13 there is no file gone.txt beside this one'],
    ['segment_id: s\nusers: [[u]]\n', '2:9 users is a text'],
    ['segment_id: s\nuser: [u]\n', '2:1 a segment has no key "user"'],
  ])('%j is refused', (text, problem) => {
    expect(problemsOf(text).join('\n')).toContain(problem)
  })

  it('a line that is no user id, and more than a million, are refused', () => {
    const text = 'segment_id: s\nusers_file: s.txt\n'
    expect(problemsOf(text, `a\n${'x'.repeat(257)}\n`)).toEqual(['2:13 line 2 of s.txt is no user id'])
    const many = Array.from({ length: 1_000_001 }, (_, i) => i).join('\n')
    expect(problemsOf(text, many)).toEqual(['2:13 a segment lists at most 1000000 users, this one 1000001'])
  })
})

/** Halves of a pair of surrogates have no UTF-8: they are all U+FFFD, and no event holds one. */
const wellFormed = (id: string): string => Buffer.from(id).toString()

it('a set of ids is exactly the set, whatever the ids', () => {
  const id = fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }), fc.constantFrom('a', 'b', 'ab', '😀'))
  fc.assert(
    fc.property(fc.uniqueArray(id, { maxLength: 200 }), fc.array(id, { maxLength: 50 }), (ids, asked) => {
      const whole = [...new Set(ids.map(wellFormed))]
      const set = new IdSet(whole)
      for (const one of [...whole, ...asked.map(wellFormed)]) {
        expect(set.has(one)).toBe(whole.includes(one))
      }
    }),
  )
})

describe('rules and their segments', () => {
  it('are read together from a folder, the list of users beside its segment', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'segments-'))
    try {
      await mkdir(join(dir, 'segments'))
      await writeFile(join(dir, 'r.yaml'), RULE.text)
      await writeFile(join(dir, 'segments/vip.yaml'), 'segment_id: vip\nusers_file: "vip.txt" # exported daily\n')
      await writeFile(join(dir, 'segments/vip.txt'), 'u1\nu2\n')
      const loaded = loadRules(await readRuleFiles(dir))
      if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
      expect(loaded.segments.map(({ segmentId, size }) => [segmentId, size])).toEqual([['vip', 2]])
      expect(['u1', 'u3'].map((id) => loaded.rules[0]?.rule.matches(player(id)))).toEqual([true, false])
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  it('a rule that names no segment of the folder, and a segment that comes twice, are refused', () => {
    const gone = loadRules([RULE])
    expect(gone.ok ? [] : gone.problems.map(({ code, line, column }) => [code, line, column])).toEqual([
      ['ONCEWARD_E_RULE_UNKNOWN_SEGMENT', 2, 53],
    ])
    const twice = loadRules([RULE, listOf('a'), { ...listOf('b'), file: 'other.yaml' }])
    expect(twice.ok ? [] : twice.problems.map(({ message }) => message)).toEqual([
      'segment vip stands in segments/vip.yaml too',
    ])
  })
})

describe('segments on the control topic', () => {
  type Entry = { value: Buffer; place: string; key: string }
  let places = 0
  function publish(topic: readonly Entry[], files: readonly RuleFile[], nowMs = NOW): Entry[] {
    const loaded = loadRules(files)
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
    const records = recordsOf(planPublication(foldControl(topic), loaded.rules, { nowMs }))
    return [
      ...topic,
      ...records.map(({ key, value }) => ({ key, value: Buffer.from(value), place: `[0]@${places++}` })),
    ]
  }
  const matches = (topic: readonly Entry[], userId: string, ts = NOW): boolean[] =>
    foldControl(topic)
      .set.candidates(player(userId, ts))
      .map((rule) => rule.matches(player(userId, ts)))

  it('come before the rules that name them, and every worker folds the same members from them', () => {
    const topic = publish([], [RULE, listOf('u1', 'u2'), { file: 'idle.yaml', text: 'segment_id: idle\nusers: [x]\n' }])
    expect(topic.map(({ key }) => key.replace(/#.*@/, '@'))).toEqual([
      'segment:vip@2025-11-10T12:00:00.000Z/0',
      'segment:vip@2025-11-10T12:00:00.000Z',
      'r@1.0@2025-11-10T12:00:00.000Z',
    ])
    expect(foldControl(topic).problems).toEqual([])
    expect([matches(topic, 'u1'), matches(topic, 'u3')]).toEqual([[true], [false]])
    expect(publish(topic, [RULE, listOf('u2', 'u1')])).toHaveLength(topic.length)
  })

  it('a changed list is in effect from a margin after it was published; before, events are judged by the former one', () => {
    const topic = publish(publish([], [RULE, listOf('u1')]), [RULE, listOf('u2')])
    const from = NOW + EFFECTIVE_LEAD_MS
    expect([matches(topic, 'u1', from - 1), matches(topic, 'u2', from - 1)]).toEqual([[true], [false]])
    expect([matches(topic, 'u1', from), matches(topic, 'u2', from)]).toEqual([[false], [true]])
  })

  it('a list that is changed back is published again', () => {
    let topic = publish([], [RULE, listOf('u1')])
    topic = publish(topic, [RULE, listOf('u2')], NOW + HOUR_MS)
    topic = publish(topic, [RULE, listOf('u1')], NOW + 2 * HOUR_MS)
    expect([1.5 * HOUR_MS, 2.5 * HOUR_MS].map((ms) => matches(topic, 'u1', NOW + ms))).toEqual([[false], [true]])
  })

  it('a list of a million is cut into records that Kafka takes, and put together again', () => {
    const ids = Array.from({ length: 1_000_000 }, (_, i) => `player-${i * 7}`).join('\n')
    const topic = publish([], [RULE, fileOf(ids)])
    expect(topic.length).toBeGreaterThan(40)
    expect(Math.max(...topic.map(({ value }) => value.length))).toBeLessThan(768 * 1024)
    expect([matches(topic, 'player-0'), matches(topic, 'player-6999993'), matches(topic, 'player-1')]).toEqual([
      [true],
      [true],
      [false],
    ])
    const again = foldControl(topic).segments.published.get('vip')?.[0]
    expect(foldControl(topic).segments.published.get('vip')?.[0]).toBe(again)
  })

  it('compaction, which keeps the last record of each key, changes nothing', () => {
    const one = publish([], [RULE, listOf('u1')])
    const twice = [...one, ...publish([], [RULE, listOf('u1')], NOW + 5)]
    const topic = publish(twice, [RULE, listOf('u2')], NOW + HOUR_MS)
    expect(new Set(topic.map(({ key }) => key)).size).toBe(topic.length)
  })

  it.each([
    ['a missing part', (t: Entry[]) => t.slice(1), 'part 0 of 1 of segment vip is missing'],
    ['a changed part', (t: Entry[]) => edit(t, 0, '"text":"u1"', '"text":"u9"'), 'is not what its hash says'],
    ['another name', (t: Entry[]) => edit(t, 1, 'segment_id: vip', 'segment_id: vop'), 'named vip but holds vop'],
    ['no JSON', (t: Entry[]) => edit(t, 1, '}', ''), 'is no JSON'],
    ['an unknown type', (t: Entry[]) => edit(t, 1, 'segment.published', 'segment.merged'), 'unknown to this version'],
    ['a wrong time', (t: Entry[]) => edit(t, 1, '"effective_from":null', '"effective_from":"soon"'), 'nor a time'],
  ])('%s is reported, the segment ignored, and whether somebody is in it unknown', (_, change, message) => {
    const topic = change(publish([], [RULE, listOf('u1')]))
    expect(foldControl(topic).problems.map((problem) => problem.message)).toEqual([expect.stringContaining(message)])
    expect(matches(topic, 'u1')).toEqual([false])
  })

  function edit(topic: readonly Entry[], at: number, from: string, to: string): Entry[] {
    return topic.map((entry, i) =>
      i === at ? { ...entry, value: Buffer.from(entry.value.toString().replace(from, to)) } : entry,
    )
  }
})
