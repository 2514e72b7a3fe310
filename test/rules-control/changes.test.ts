import { describe, expect, it } from 'vitest'
import { planChange, type ChangeKind } from '../../rules/control-change.ts'
import { decodeSwitchRecord, encodeSwitchRecord, type SwitchRecord, switchKey } from '../../rules/control-switch.ts'
import {
  controlKey,
  type ControlState,
  EFFECTIVE_LEAD_MS,
  encodeControlRecord,
  foldControl,
  planPublication,
} from '../../rules/control.ts'
import { ruleText, sourceOf } from '../rules/rule-texts.ts'

const NOW = Date.parse('2025-11-10T12:00:00Z')
const SOON = NOW + EFFECTIVE_LEAD_MS
const iso = (ms: number): string => new Date(ms).toISOString()

interface Written {
  readonly key: string
  readonly value: string
}

const fold = (written: readonly Written[]): ControlState =>
  foldControl(written.map(({ value }, i) => ({ value, place: `rules.control[0]@${i}` })))

function published(...parts: readonly Parameters<typeof ruleText>[0][]): Written[] {
  const rules = parts.map((part) => sourceOf(ruleText(part)))
  const { publish } = planPublication(fold([]), rules, { nowMs: NOW - 86_400_000 })
  return publish.map((record) => ({ key: controlKey(record), value: encodeControlRecord(record) }))
}

const written = (record: SwitchRecord): Written => ({ key: switchKey(record), value: encodeSwitchRecord(record) })
const ask = (known: ControlState, change: ChangeKind, at?: number, ruleId = 'r') =>
  planChange(known, { ruleId, change, at, nowMs: NOW, publishedBy: 'ann', reason: 'too generous' })

function recordOf(known: ControlState, change: ChangeKind, at?: number): SwitchRecord {
  const plan = ask(known, change, at)
  if (plan.kind !== 'publish') throw new Error(plan.state)
  return plan.record
}

describe('a version published where events may have been judged already', () => {
  const known = fold(published({}))
  const plan = (...sources: Parameters<typeof sourceOf>[0][]) =>
    planPublication(
      known,
      sources.map((text) => sourceOf(text)),
      { nowMs: NOW, publishedBy: 'ann', reason: 'CRM-7' },
    )

  it('takes effect a lead after its publication, the first one of a rule too', () => {
    const { publish } = plan(ruleText({ version: '2.0' }), ruleText({ id: 'new' }))
    expect(publish.map(({ rule_id, effective_from }) => [rule_id, effective_from])).toEqual([
      ['r', iso(SOON)],
      ['new', iso(SOON)],
    ])
    expect(publish[0]).toMatchObject({ published_by: 'ann', reason: 'CRM-7' })
  })

  it('is refused where it says an instant before that, with the place, and so is all that comes with it', () => {
    const { publish, refused } = plan(
      ruleText({ version: '2.0', effective: iso(SOON) }),
      ruleText({ id: 'new', effective: iso(SOON - 1) }),
    )
    expect(publish).toHaveLength(1)
    expect(refused).toMatchObject([
      { code: 'ONCEWARD_E_RULE_TOO_SOON', line: 4, column: 41, hint: expect.stringContaining(iso(SOON)) },
    ])
    expect(refused[0]?.snippet).toContain('effective_from')
  })

  it('may say any instant where nothing was published before: nothing was judged by then', () => {
    const { refused, publish } = planPublication(fold([]), [sourceOf(ruleText({ effective: '2020-01-01' }))], {
      nowMs: NOW,
    })
    expect(refused).toEqual([])
    expect(publish[0]?.effective_from).toBe('2020-01-01T00:00:00.000Z')
  })

  it('tells of an edited one what was published', () => {
    const { edited, refused } = plan(ruleText({ formula: '7' }))
    expect(refused).toMatchObject([{ code: 'ONCEWARD_E_RULE_VERSION_CHANGED', line: 4, column: 18 }])
    expect(edited).toMatchObject([{ before: { content: ruleText() } }])
  })

  it('is refused where the rule is retired', () => {
    const after = fold([...published({}), written(recordOf(known, { kind: 'retire' }))])
    const { refused } = planPublication(after, [sourceOf(ruleText({ version: '2.0' }))], { nowMs: NOW })
    expect(refused).toMatchObject([{ code: 'ONCEWARD_E_RULE_RETIRED' }])
  })
})

describe('a change of a rule', () => {
  const first = published({}, { id: 'other' })
  const known = fold(first)
  const names = (state: ControlState, ts: number): string[] => state.set.at('bet', ts).map(({ ruleId }) => ruleId)

  it('takes effect a lead after its publication, or when it is asked to, and says who and why', () => {
    expect(recordOf(known, { kind: 'pause' })).toEqual({
      type: 'rule.paused',
      rule_id: 'r',
      effective_from: iso(SOON),
      published_at: iso(NOW),
      published_by: 'ann',
      reason: 'too generous',
    })
    expect(recordOf(known, { kind: 'pause' }, SOON + 5).effective_from).toBe(iso(SOON + 5))
    expect(() => ask(known, { kind: 'pause' }, SOON - 1)).toThrow(/is too soon/)
  })

  it('folds to a rule set that changes exactly at its instant', () => {
    const paused = [...first, written(recordOf(known, { kind: 'pause' }))]
    const resumed = [...paused, written(recordOf(fold(paused), { kind: 'resume' }, SOON + 1_000))]
    const state = fold([...resumed, written(recordOf(fold(resumed), { kind: 'retire' }, SOON + 2_000))])
    const at = (ms: number): string[] => names(state, SOON + ms)
    expect([at(-1), at(0), at(999), at(1_000), at(1_999), at(2_000)]).toEqual([
      ['other', 'r'],
      ['other'],
      ['other'],
      ['other', 'r'],
      ['other', 'r'],
      ['other'],
    ])
    expect(state.problems).toEqual([])
  })

  it('that changes nothing is not published', () => {
    const paused = fold([...first, written(recordOf(known, { kind: 'pause' }))])
    expect(ask(paused, { kind: 'pause' })).toEqual({ kind: 'unchanged', state: 'r is paused' })
    expect(ask(known, { kind: 'resume' })).toEqual({ kind: 'unchanged', state: 'r is not paused' })
    expect(ask(known, { kind: 'ramp', to: 100 })).toMatchObject({ kind: 'unchanged' })
    const gone = fold([...first, written(recordOf(known, { kind: 'retire' }))])
    expect(ask(gone, { kind: 'retire' })).toMatchObject({ kind: 'unchanged' })
    expect(() => ask(gone, { kind: 'resume' })).toThrow(/retired, and stays so/)
  })

  it('ramps the newest version, or the one that is named', () => {
    const two = fold(published({}, { version: '2.0' }))
    expect(recordOf(two, { kind: 'ramp', to: 50 })).toMatchObject({ version: '2.0', rollout: 50 })
    expect(recordOf(two, { kind: 'ramp', to: 50, version: '1.0' })).toMatchObject({ version: '1.0' })
    expect(() => ask(two, { kind: 'ramp', to: 50, version: '3.0' })).toThrow(/published are 1.0, 2.0/)
  })

  it('of a rule that is not there names the nearest', () => {
    expect(() => ask(known, { kind: 'pause' }, undefined, 'othr')).toThrow(/did you mean other\?/)
    expect(() => ask(fold([]), { kind: 'pause' })).toThrow(/no rule is/)
  })

  it('survives compaction and encoding: two at one moment have keys of their own', () => {
    const [pause, ramp] = [recordOf(known, { kind: 'pause' }), recordOf(known, { kind: 'ramp', to: 20 })]
    const others = [ramp, { ...ramp, rollout: 30 }, { ...pause, reason: 'another' }]
    expect(new Set([pause, ...others].map(switchKey)).size).toBe(4)
    expect(decodeSwitchRecord(encodeSwitchRecord(ramp))).toEqual({ ok: true, record: ramp })
  })

  it.each([
    ['a rule that is not published', { rule_id: 'x' }, 'rule x, which is not published'],
    ['a version that is not published', { type: 'rule.ramped', version: '9', rollout: 5 }, 'rule r 9, which is not'],
    ['no time', { effective_from: 'soon' }, 'effective_from is no time'],
    ['more than all players', { type: 'rule.ramped', version: '1.0', rollout: 101 }, 'no number from 0 to 100'],
  ])('with %s is reported and ignored', (_, change, message) => {
    const value = JSON.stringify({ ...recordOf(known, { kind: 'pause' }), ...change })
    const state = fold([...first, { key: 'x', value }])
    expect(state.problems.map((problem) => problem.message).join()).toContain(message)
    expect(names(state, SOON)).toEqual(['other', 'r'])
  })
})
