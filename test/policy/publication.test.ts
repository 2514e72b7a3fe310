import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { compile, entriesAbout, entriesOf } from '../../cli/backtest/rules-to-try.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { publishPolicies, readControl } from '../../pipeline/publish-rules.ts'
import { RuleFeed } from '../../pipeline/rule-feed.ts'
import { EFFECTIVE_LEAD_MS, foldControl, planPublication, recordsOf } from '../../rules/control.ts'
import {
  type PolicyRecord,
  encodePolicyRecord,
  foldPolicies,
  planPolicies,
  policyKey,
} from '../../rules/policy-control.ts'
import { policyTimelineOf } from '../../rules/policy-timeline.ts'
import { NO_POLICY } from '../../core/model/policy.ts'
import { ruleText, sourceOf } from '../rules/rule-texts.ts'
import { FaultyLog } from '../support/faulty-log.ts'
import { Lab } from '../support/worker-harness.ts'
import { policySource, policyText } from './policy-texts.ts'

const NOW = Date.parse('2025-11-10T12:00:00Z')
const SOON = NOW + EFFECTIVE_LEAD_MS
const iso = (ms: number): string => new Date(ms).toISOString()
const DAY = 86_400_000

type Parts = NonNullable<Parameters<typeof policyText>[0]>
const source = (parts: Parts = {}, file?: string) => policySource(policyText(parts), file)
const foldOf = (...records: readonly PolicyRecord[]) =>
  foldPolicies(records.map((record, i) => ({ value: encodePolicyRecord(record), place: `rules.control[0]@${i}` })))
const plan = (known: ReturnType<typeof foldPolicies>, begun: boolean, ...policies: ReturnType<typeof source>[]) =>
  planPolicies(known, policies, { nowMs: NOW, begun })

function record(parts: Parts = {}, change: Partial<PolicyRecord> = {}): PolicyRecord {
  const [made] = plan(foldOf(), false, source(parts)).publish
  if (made === undefined) throw new Error('nothing was published')
  return { ...made, ...change }
}

describe('what of a policy is published', () => {
  test('the first, before any rule is: since ever, with the file as it is, who and why', () => {
    const moment = { nowMs: NOW, begun: false, publishedBy: 'ann', reason: 'RISK-1' }
    expect(planPolicies(foldOf(), [source({}, 'p.yaml')], moment)).toEqual({
      publish: [
        {
          type: 'policy.published',
          policy: 'payout',
          version: '1.0',
          effective_from: null,
          content: policyText(),
          content_hash: source().contentHash,
          file: 'p.yaml',
          published_at: iso(NOW),
          published_by: 'ann',
          reason: 'RISK-1',
        },
      ],
      unchanged: [],
      refused: [],
      edited: [],
    })
  })

  test('the first, where rules are at work: a lead ahead, for events were judged without it', () => {
    expect(plan(foldOf(), true, source()).publish[0]?.effective_from).toBe(iso(SOON))
  })

  test('a later one: a lead ahead, or when it says', () => {
    const known = foldOf(record())
    expect(plan(known, true, source({ version: '2.0' })).publish[0]?.effective_from).toBe(iso(SOON))
    const dated = source({ version: '2.0', effective: '2025-12-01' })
    expect(plan(known, true, dated).publish[0]?.effective_from).toBe('2025-12-01T00:00:00.000Z')
  })

  test('another currency is refused: what a pool has spent would be a sum of two', () => {
    const dollars = policySource(policyText({ version: '2.0' }).replace('currency: EUR', 'currency: USD'))
    expect(plan(foldOf(record()), true, dollars)).toMatchObject({
      publish: [],
      refused: [
        { code: 'ONCEWARD_E_POLICY_INVALID', message: expect.stringContaining('is in USD, and policy 1.0 in EUR') },
      ],
    })
    expect(plan(foldOf(), false, source(), dollars).publish).toEqual([])
    expect(plan(foldOf(), false, dollars).publish).toHaveLength(1)
  })

  test('one that says an instant that has come, where rules are at work, is refused at its place', () => {
    expect(plan(foldOf(record()), true, source({ version: '2.0', effective: iso(SOON - 1) }))).toMatchObject({
      publish: [],
      refused: [{ code: 'ONCEWARD_E_RULE_TOO_SOON', line: 4, column: 41, hint: expect.stringContaining(iso(SOON)) }],
    })
    expect(plan(foldOf(record()), true, source({ version: '2.0', effective: iso(SOON) })).refused).toEqual([])
    expect(plan(foldOf(), false, source({ effective: '2020-01-01' })).publish[0]?.effective_from).toBe(
      '2020-01-01T00:00:00.000Z',
    )
  })

  test('nothing twice', () => {
    const same = policySource(`# edited\n${policyText()}`)
    expect(plan(foldOf(record()), true, same)).toMatchObject({ publish: [], unchanged: [same], refused: [] })
  })

  test('other content under a published version is refused, with what was published', () => {
    const { publish, refused, edited } = plan(foldOf(record()), true, source({ pools: 'nov: { budget: 101 }' }))
    expect(publish).toEqual([])
    expect(refused).toMatchObject([
      { code: 'ONCEWARD_E_POLICY_VERSION_CHANGED', line: 4, hint: expect.stringContaining('raise meta.version') },
    ])
    expect(edited).toMatchObject([{ before: { content: policyText() }, name: 'policy 1.0' }])
  })

  test('of several at once the lowest is the first', () => {
    const { publish } = plan(foldOf(), false, source({ version: '10.0' }), source({ version: '9.0' }))
    expect(publish.map(({ version, effective_from }) => [version, effective_from])).toEqual([
      ['9.0', null],
      ['10.0', iso(SOON)],
    ])
  })

  test('beside rules: with them, before them, and refused with them', () => {
    const rule = { ...sourceOf(ruleText()), policies: [source()] }
    const first = planPublication(
      foldControl([]),
      [rule, { ...sourceOf(ruleText({ id: 'q' })), policies: [source()] }],
      {
        nowMs: NOW,
      },
    )
    const records = recordsOf(first)
    expect(records.map(({ value }) => String(JSON.parse(value).type))).toEqual([
      'policy.published',
      'rule.published',
      'rule.published',
    ])
    const known = foldControl(records.map(({ key, value }) => ({ value, place: key })))
    expect(known.problems).toEqual([])
    const edited = { ...rule, policies: [source({ pools: 'nov: { budget: 7 }' })] }
    expect(planPublication(known, [edited], { nowMs: NOW }).refused).toMatchObject([
      { code: 'ONCEWARD_E_POLICY_VERSION_CHANGED' },
    ])
  })
})

describe('policies of the control topic', () => {
  test('decide at an event’s own time, exactly from their instants on', () => {
    const { timeline } = foldOf(
      record({ pools: 'a: { budget: 1 }' }, { effective_from: iso(NOW) }),
      record({ version: '2.0' }, { effective_from: iso(NOW + DAY) }),
    )
    const at = (ts: number): string => timeline.at(ts).policy.version
    expect([NOW - 1, NOW, NOW + DAY - 1, NOW + DAY, NOW - 1, NOW + 9 * DAY].map(at)).toEqual([
      '',
      '1.0',
      '1.0',
      '2.0',
      '',
      '2.0',
    ])
    expect(timeline.at(NOW - 1)).toEqual({ policy: NO_POLICY, effectiveFrom: undefined })
    expect(timeline.at(NOW).policy.pools.has('a')).toBe(true)
  })

  test('of two from one instant the later published counts', () => {
    const versions = ['1', '2', '3'].map((version) => ({ policy: { ...NO_POLICY, version }, effectiveFrom: undefined }))
    expect(policyTimelineOf(versions).at(0).policy.version).toBe('3')
  })

  test('the first record of a version wins; another one is reported and ignored', () => {
    const { published, problems } = foldOf(record(), record({ pools: 'nov: { budget: 5 }' }))
    expect([...published.values()].map((each) => each.record.content)).toEqual([policyText()])
    expect(problems).toMatchObject([{ code: 'ONCEWARD_E_POLICY_VERSION_CHANGED', file: 'rules.control[0]@1' }])
  })

  test('the first record decides the instant, whoever publishes the same again', () => {
    const again = record({}, { effective_from: iso(SOON), published_at: iso(SOON) })
    expect(foldOf(record(), again)).toMatchObject({ problems: [], published: { size: 1 } })
    expect(foldOf(record(), again).timeline.at(0).policy.version).toBe('1.0')
  })

  test('compaction, which keeps the last record of each key, changes nothing', () => {
    const records = [
      record(),
      record({}, { effective_from: iso(SOON), published_at: iso(SOON) }),
      record({ pools: 'nov: { budget: 5 }' }),
      record({ version: '2.0' }, { effective_from: iso(SOON) }),
    ]
    expect(new Set(records.map(policyKey)).size).toBe(records.length)
  })

  test.each([
    ['no JSON', '{"type":"policy.', 'no JSON'],
    ['another type', '{"type":"policy.renamed"}', 'unknown to this version'],
    ['a missing key', '{"type":"policy.published","policy":"p"}', 'version is no text'],
    ['a wrong instant', encodePolicyRecord(record({}, { effective_from: 'soon' })), 'neither null nor a time'],
    [
      'another version than the content has',
      encodePolicyRecord(record({}, { version: '9' })),
      'is named policy 9 but holds 1.0',
    ],
    ['another hash', encodePolicyRecord(record({}, { content_hash: 'x' })), 'is not what its hash says'],
    ['content that is no policy', encodePolicyRecord(record({}, { content: 'policy: p' })), 'currency is missing'],
  ])('a record with %s is reported and ignored; rules and other policies stay in force', (_, value, message) => {
    const rules = recordsOf(planPublication(foldControl([]), [sourceOf(ruleText())], { nowMs: NOW }))
    const state = foldControl([
      { value: Buffer.from(value), place: 'rules.control[0]@0' },
      ...rules.map(({ key, value: rule }) => ({ value: rule, place: key })),
      { value: encodePolicyRecord(record({ version: '2.0' })), place: 'rules.control[0]@2' },
    ])
    expect(state.problems.map((problem) => problem.message).join()).toContain(message)
    expect(state.problems.every(({ file }) => file.startsWith('rules.control[0]@0'))).toBe(true)
    expect(state.set.versions).toHaveLength(1)
    expect(state.set.policy.at(NOW).policy.version).toBe('2.0')
  })

  test('are kept where a backtest tries rules whenever they take effect, and where it looks at some rules only', () => {
    const rule = { ...sourceOf(ruleText({ effective: '2031-01-01' })), policies: [source()] }
    const entries = entriesOf([rule], NOW)
    for (const always of [true, false]) {
      expect(compile({ entries, always }).set.policy.at(NOW).policy.version).toBe('1.0')
    }
    const about = compile({ entries: entriesAbout(entries, ['other']), always: true }).set
    expect([about.versions.length, about.policy.versions.length]).toEqual([0, 1])
  })

  test('a record is read once, however often the topic is folded', () => {
    const entry = { value: Buffer.from(encodePolicyRecord(record())), place: 'p' }
    const policyOf = () => foldPolicies([entry]).published.get('1.0')?.source
    expect(policyOf()).toBe(policyOf())
  })
})

describe('on the log', () => {
  let lab: Lab
  beforeEach(async () => {
    lab = await Lab.open()
  })
  afterEach(() => lab.close())

  const options = () => ({ log: lab.log, clock: lab.clock, logger: silentLogger, topic: lab.topics.control })
  const publish = (parts: Parts, by: string, log: Lab['log'] | FaultyLog = lab.log) =>
    publishPolicies({ ...options(), log, policies: [source(parts)], publishedBy: by })

  test('a policy is written once, and with it who', async () => {
    expect((await publish({}, 'ann')).publish).toHaveLength(1)
    expect(await publish({}, 'bob')).toMatchObject({ publish: [], unchanged: [{ policy: { version: '1.0' } }] })
    const { policies, set } = await readControl(options())
    expect([...policies.published.values()].map((each) => each.record.published_by)).toEqual(['ann'])
    expect(set.policy.at(0).policy.pools.get('nov')?.budget).toBe(10_000n)
  })

  test('two who publish other content under one version at once: one has it, the other is told so', async () => {
    const plans = await Promise.all([
      publish({ pools: 'nov: { budget: 1 }' }, 'ann'),
      publish({ pools: 'nov: { budget: 2 }' }, 'bob'),
    ])
    expect(plans.flatMap(({ publish: written }) => written)).toHaveLength(1)
    expect(plans.flatMap(({ refused }) => refused)).toMatchObject([{ code: 'ONCEWARD_E_POLICY_VERSION_CHANGED' }])
    expect(await lab.read({ topic: lab.topics.control, partition: 0 })).toHaveLength(1)
  })

  test('of whom one had looked before the other committed: it sees what was written since, and is refused', async () => {
    let crossed = false
    const log = new FaultyLog(lab.log, {
      commit: async (_, __, apply) => {
        if (!crossed) {
          crossed = true
          await publish({ pools: 'nov: { budget: 2 }' }, 'bob')
        }
        return apply()
      },
    })
    const { refused } = await publish({ pools: 'nov: { budget: 1 }' }, 'ann', log)
    expect(refused).toMatchObject([{ code: 'ONCEWARD_E_POLICY_VERSION_CHANGED' }])
  })

  test('a policy alone lets no worker begin; the rules that follow do, and find it since ever', async () => {
    await publish({}, 'ann')
    const feed = new RuleFeed(options())
    await feed.catchUp()
    expect(feed.rules.versions).toEqual([])
    const { publish: rules } = await lab.publish({ 'r.yaml': ruleText() })
    expect(rules[0]?.effective_from).toBeNull()
    await feed.catchUp()
    expect([feed.rules.versions.length, feed.rules.policy.at(0).policy.version]).toEqual([1, '1.0'])
    await feed.close()
  })

  test('a policy after the rules takes effect a lead ahead: what was judged stays as it was', async () => {
    await lab.publish({ 'r.yaml': ruleText() })
    const before = lab.clock.now()
    const [written] = (await publish({}, 'ann')).publish
    const from = Date.parse(written?.effective_from ?? '')
    expect(from).toBeGreaterThanOrEqual(before + EFFECTIVE_LEAD_MS)
    const { set } = await readControl(options())
    expect([set.policy.at(from - 1).policy.version, set.policy.at(from).policy.version]).toEqual(['', '1.0'])
  })

  test('a folder with a policy beside its rules is published whole', async () => {
    const plan = await lab.publish({ 'p.yaml': policyText(), 'r.yaml': ruleText() })
    expect([plan.publish.length, plan.policies.publish.length]).toEqual([1, 1])
    const again = await lab.publish({ 'p.yaml': policyText(), 'r.yaml': ruleText() })
    expect([again.publish, again.policies.publish]).toEqual([[], []])
    const changed = await lab.publish({
      'p.yaml': policyText({ pools: 'nov: { budget: 1 }' }),
      'new.yaml': ruleText({ id: 'new' }),
    })
    expect(changed.refused).toHaveLength(1)
    expect((await readControl(options())).published.size).toBe(1)
  })

  test('what is wrong with a record is told once, and what comes later goes on', async () => {
    const told: string[] = []
    const logger = { ...silentLogger, error: (_: object, message: string) => void told.push(message) }
    const producer = await lab.log.producer()
    const write = (value: string) =>
      producer.send([{ topic: lab.topics.control, partition: 0, key: value, value, timestamp: 0 }])
    const feed = new RuleFeed({ ...options(), logger })
    for (const type of ['rule.renamed', 'policy.renamed', 'segment.renamed']) {
      await write(JSON.stringify({ type }))
      await feed.catchUp()
    }
    await publish({}, 'ann')
    await feed.catchUp()
    expect(told).toHaveLength(3)
    for (const type of ['rule', 'policy', 'segment']) expect(told.join()).toContain(`"${type}.renamed"`)
    expect(feed.rules.policy.versions).toHaveLength(1)
    await feed.close()
    await producer.close()
  })
})
