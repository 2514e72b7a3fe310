import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RuleSet, RuleSwitch, RuleVersion } from '../../rules/compiled.ts'
import { type ControlRecord, EFFECTIVE_LEAD_MS, encodeControlRecord, foldControl } from '../../rules/control.ts'
import { ruleSetOf } from '../../rules/rule-set.ts'
import type { UserWindows } from '../../state/window-state.ts'
import { ruleOf, sourceOf } from '../rules/rule-texts.ts'
import { eventLine, TestEngine } from '../support/engine.ts'

const T0 = Date.parse('2025-11-01T00:00:00Z')
const HOUR = 3_600_000

function ruleText(id: string, version: string, { formula, filter }: { formula: string; filter?: string }): string {
  const filters = filter === undefined ? '' : `, filters: ["${filter}"]`
  return `rule_id: ${id}\nwhen: { event_name: login${filters} }\nscore: { formula: "${formula}" }\nmeta: { version: "${version}" }`
}

interface Version {
  readonly formula: string
  readonly id?: string
  readonly filter?: string
  readonly from?: number
  readonly countsFrom?: number
}

function versionOf({ id = 'r', from, countsFrom, ...rule }: Version, i: number): RuleVersion {
  return {
    rule: ruleOf(ruleText(id, `${i}.0`, rule)),
    effectiveFrom: from,
    ...(countsFrom === undefined ? {} : { countsFrom }),
  }
}

/** Rules that a worker comes to know on its way. */
class GrowingRules implements RuleSet {
  current: RuleSet

  constructor(current: RuleSet) {
    this.current = current
  }
  get windows() {
    return this.current.windows
  }
  get policy() {
    return this.current.policy
  }
  get versions() {
    return this.current.versions
  }
  at(eventName: string, ts: number) {
    return this.current.at(eventName, ts)
  }
  candidates(event: Parameters<RuleSet['candidates']>[0]) {
    return this.current.candidates(event)
  }
  hasStrict(eventName: string) {
    return this.current.hasStrict(eventName)
  }
}

const logins = (hours: readonly number[]): { value: string }[] =>
  hours.map((hour) => ({ value: eventLine({ id: `e${hour}`, ts: T0 + hour * HOUR }) }))

/** The points of one login an hour, by hour and rule. */
async function points(versions: readonly Version[], hours: number): Promise<string[]> {
  const engine = new TestEngine(ruleSetOf(versions.map(versionOf)))
  await engine.feed(logins(Array.from({ length: hours }, (_, hour) => hour)))
  await engine.finish()
  const scores = engine.output.scores.map(({ value }) => value)
  // A version without windows scores at once, before those that wait for their turn.
  scores.sort((a, b) => (a.event_ts < b.event_ts ? -1 : 1))
  return scores.map((value) => `${value.rule_id} ${value.rule_version}: ${value.points}`)
}

async function windowsOf(engine: TestEngine): Promise<UserWindows | undefined> {
  const bytes = await engine.kv.get(Buffer.from('wu'))
  return bytes && (JSON.parse(bytes.toString()) as UserWindows)
}

describe('a window', () => {
  const formula = 'count(login, 1d)'

  test('counts from when the first version that asks for it does, and does not look back', async () => {
    const late = { formula, from: T0 + 2 * HOUR, countsFrom: T0 + 2 * HOUR }
    expect(await points([{ formula: '0' }, late], 5)).toEqual([
      'r 0.0: 0',
      'r 0.0: 0',
      'r 1.0: 1',
      'r 1.0: 2',
      'r 1.0: 3',
    ])
  })

  test('fills ahead of time where its rule was published ahead of time', async () => {
    const early = { formula, from: T0 + 3 * HOUR, countsFrom: T0 + HOUR }
    expect(await points([{ formula: '0' }, early], 5)).toEqual([
      'r 0.0: 0',
      'r 0.0: 0',
      'r 0.0: 0',
      'r 1.0: 3',
      'r 1.0: 4',
    ])
  })

  test('goes on over a new version that asks for the same', async () => {
    const next = { formula: `10 * ${formula}`, from: T0 + 2 * HOUR, countsFrom: T0 + 2 * HOUR }
    expect(await points([{ formula }, next], 4)).toEqual(['r 0.0: 1', 'r 0.0: 2', 'r 1.0: 30', 'r 1.0: 40'])
  })

  test('begins anew after a time in which nothing asked for it', async () => {
    const versions = [
      { formula },
      { formula: '0', from: T0 + 2 * HOUR },
      { formula, from: T0 + 4 * HOUR, countsFrom: T0 + 4 * HOUR },
    ]
    expect((await points(versions, 6)).slice(3)).toEqual(['r 1.0: 0', 'r 2.0: 1', 'r 2.0: 2'])
  })

  test('goes on while its rule is paused, and ends with a rule that is retired', async () => {
    const at = (kind: 'paused' | 'resumed' | 'retired', hour: number): RuleSwitch => ({
      kind,
      ruleId: 'r',
      from: T0 + hour * HOUR,
    })
    const switches = [at('paused', 2), at('resumed', 4), at('retired', 6)]
    const other = { id: 'other', formula: 'count(login, 2h)' }
    const engine = new TestEngine(ruleSetOf([{ formula }, other].map(versionOf), switches))
    const kept: number[] = []
    for (let hour = 0; hour < 8; hour++) {
      await engine.feed(logins([hour]))
      await engine.finish()
      kept.push(Object.keys((await windowsOf(engine)) ?? {}).length)
    }
    const scores = engine.output.scores.filter(({ value }) => value.rule_id === 'r')
    expect(scores.map(({ value }) => value.points)).toEqual([1, 2, 5, 6])
    expect(kept).toEqual([2, 2, 2, 2, 2, 2, 1, 1])
  })

  test('counts for all players while a rollout takes in some, so whoever joins finds it full', async () => {
    const ramped: RuleSwitch = { kind: 'ramped', ruleId: 'r', version: '1.0', rollout: 100, from: T0 + 4 * HOUR }
    const next = { formula: '100 * count(login, 2d)', from: T0 + 2 * HOUR, countsFrom: T0 + HOUR, rollout: 0 }
    const versions = [{ formula }, next].map(({ rollout, ...version }: Version & { rollout?: number }, i) => {
      const made = versionOf(version, i)
      return rollout === undefined ? made : { ...made, rule: { ...made.rule, rollout } }
    })
    // Known from the start, as in a replay, or an hour before.
    for (const known of [0, 3]) {
      const rules = new GrowingRules(ruleSetOf(versions))
      const engine = new TestEngine(rules)
      for (let hour = 0; hour < 6; hour++) {
        if (hour === known) rules.current = ruleSetOf(versions, [ramped])
        await engine.feed(logins([hour]))
      }
      await engine.finish()
      expect(engine.output.scores.map(({ value }) => value.points)).toEqual([1, 2, 3, 4, 400, 500])
    }
  })

  test('is remembered once for all rules that ask for the same, however they write it', async () => {
    const versions = [
      { formula: 'count(login where version == "1.2.0", 1d)' },
      { formula: '2 * count( login where version == \\"1.2.0\\",1d )', id: 'other' },
      { formula: 'count(login where version == \\"1.2.1\\", 1d)', id: 'third' },
      { formula: 'count(login where version == \\"1.2.0\\", 25h)', id: 'fourth' },
    ]
    const engine = new TestEngine(
      ruleSetOf(versions.map((v, i) => versionOf({ ...v, formula: v.formula.replaceAll(/\\?"/g, '\\"') }, i))),
    )
    await engine.feed(logins([0, 1]))
    await engine.finish()
    // One of the four counts nothing and so remembers nothing.
    expect(Object.keys((await windowsOf(engine)) ?? {})).toHaveLength(2)
    expect(engine.points()).toEqual({ 'u|r': 3, 'u|other': 6, 'u|fourth': 3 })
  })

  test('is dropped with the next event that counts somewhere once no version asks for it any more', async () => {
    const versions = [
      { formula: 'count(login, 1d) + sum(login.payload.stake, 2h)' },
      { formula: 'count(login, 1d)', from: T0 + 2 * HOUR },
      { formula: '1', from: T0 + 4 * HOUR },
    ]
    const engine = new TestEngine(ruleSetOf(versions.map(versionOf)))
    const kept: number[] = []
    for (let hour = 0; hour < 6; hour++) {
      await engine.feed([{ value: eventLine({ id: `e${hour}`, ts: T0 + hour * HOUR, payload: { stake: 1 } }) }])
      await engine.finish()
      kept.push(Object.keys((await windowsOf(engine)) ?? {}).length)
    }
    expect(kept).toEqual([2, 2, 1, 1, 1, 1])
  })

  test('is the same whenever a worker came to know the versions, as long as that was in time', async () => {
    const versions = [
      { formula: 'count(login, 6h)' },
      { formula: 'count(login, 6h) + 10 * count(login, 1d)', from: T0 + 8 * HOUR, countsFrom: T0 + 6 * HOUR },
      { formula: '100 * count(login, 6h)', from: T0 + 14 * HOUR, countsFrom: T0 + 9 * HOUR },
    ]
    const sets = versions.map((_, i) => ruleSetOf(versions.slice(0, i + 1).map(versionOf)))
    const known = new TestEngine(sets.at(-1) ?? ruleSetOf([]))
    await known.feed(logins(Array.from({ length: 24 }, (_, hour) => hour)))
    await known.finish()
    // The second is known by hour 6 and the third by hour 9 at the latest.
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 6, max: 9 }), async (second, third) => {
        const rules = new GrowingRules(sets[0] ?? ruleSetOf([]))
        const engine = new TestEngine(rules)
        for (let hour = 0; hour < 24; hour++) {
          rules.current = sets[hour >= third ? 2 : hour >= second ? 1 : 0] ?? rules.current
          await engine.feed(logins([hour]))
        }
        await engine.finish()
        expect(engine.output.scores).toEqual(known.output.scores)
        expect(await windowsOf(engine)).toEqual(await windowsOf(known))
      }),
      { numRuns: 30, endOnFailure: true },
    )
  })
})

describe('the control topic', () => {
  const record = (effective: string | null, publishedAt: string): ControlRecord => {
    const source = sourceOf(ruleText('r', '1.0', { formula: 'count(login, 1d)' }))
    return {
      type: 'rule.published',
      rule_id: 'r',
      version: '1.0',
      effective_from: effective,
      content: source.text,
      content_hash: source.contentHash,
      file: source.file,
      published_at: publishedAt,
    }
  }
  const PUBLISHED = '2025-11-01T12:00:00.000Z'
  const inTime = Date.parse(PUBLISHED) + EFFECTIVE_LEAD_MS

  test.each([
    ['in effect since ever: since ever', null, undefined],
    ['in effect a week later: from when every worker has it', '2025-11-08T00:00:00.000Z', inTime],
    ['in effect at once: from then on', new Date(inTime).toISOString(), inTime],
    ['in effect before it was published: from its effect', '2025-10-01T00:00:00.000Z', Date.parse('2025-10-01')],
  ])('a version %s', (_name, effective, countsFrom) => {
    const state = foldControl([{ value: encodeControlRecord(record(effective, PUBLISHED)), place: 'control@0' }])
    expect(state.problems).toEqual([])
    expect(state.set.versions[0]?.countsFrom).toBe(countsFrom)
  })
})
