import { afterEach, describe, expect, test } from 'vitest'
import { clockAt } from '../support/clocks.ts'
import { Disk } from '../support/disk.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import type { ReferenceRule } from '../support/reference.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { expectReference, Lab, pointsOf, rewardsOf, valuesOf } from '../support/worker-harness.ts'

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

const SWITCH = '2025-11-03T19:01:40.250Z'
/** Before any event. */
const BEFORE = '2025-11-01T00:00:00Z'

function version(number: string, formula: string, from?: string): string {
  return `
rule_id: r_v
when: { event_name: bet }
score: { formula: "${formula}", caps: { per_minute: 12, per_day: 90 }, time_zone: Europe/Berlin }
reward_trigger: { on_progress: { threshold: [10, 20, 40], reward: { type: fs, value: 5 }, reset: daily } }
meta: { version: "${number}"${from === undefined ? '' : `, effective_from: "${from}"`} }
`
}

const V1 = version('1.0', '1')
const V2 = version('2.0', '3', SWITCH)

function plain(points: number, from?: string): ReferenceRule {
  return {
    ruleId: 'r_v',
    eventName: 'bet',
    formula: () => points,
    caps: { perMinute: 12, perDay: 90 },
    timeZone: 'Europe/Berlin',
    thresholds: [10, 20, 40],
    reset: 'daily',
    ...(from === undefined ? {} : { effectiveFrom: Date.parse(from) }),
  }
}

const BOTH = [plain(1), plain(3, SWITCH)]

describe('two versions of a rule', () => {
  test('every event is judged by the version of its own time, and progress is one sum', async () => {
    const here = (lab = await Lab.open({ partitions: 2, rules: { 'v1.yaml': V1 } }))
    await here.publish({ 'v2.yaml': V2 }, clockAt(BEFORE, here.clock))
    here.start()
    await here.produce(generatedBets(400, 8))
    await here.caughtUp()
    await expectReference(here, BOTH)
    const { scores } = await here.results()
    for (const { event_ts, rule_version } of scores) {
      expect(rule_version).toBe(Date.parse(event_ts) < Date.parse(SWITCH) ? '1.0' : '2.0')
    }
    expect(new Set(scores.map(({ rule_version }) => rule_version)).size).toBe(2)
  })

  test('the same where the second is published while events flow, after a restart, and by a new application', async () => {
    const here = (lab = await Lab.open({ partitions: 2, rules: { 'v1.yaml': V1 } }))
    const first = here.start()
    const bets = generatedBets(400, 8)
    const early = bets.findIndex((line) => String(JSON.parse(line).ts) >= SWITCH)
    await here.produce(bets.slice(0, early))
    await here.caughtUp()
    await here.publish({ 'v2.yaml': V2 }, clockAt(BEFORE, here.clock))
    await first.stop()
    const second = here.start({ disk: first.disk })
    await here.produce(bets.slice(early))
    await here.caughtUp()
    await second.stop()
    await expectReference(here, BOTH)
    const topics = await here.createOutputs('again.')
    here.start({ application: 'again', topics, disk: new Disk() })
    await here.caughtUp('again')
    expect(valuesOf(await here.results(topics))).toEqual(valuesOf(await here.results()))
  })

  test('a worker that runs takes up what is published', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: { 'v1.yaml': V1 } }))
    const worker = here.start()
    await here.produce(generatedBets(20, 8))
    await here.caughtUp()
    await here.publish({ 'points.yaml': RULE_FILES['points.yaml'] ?? '' }, clockAt(BEFORE, here.clock))
    await here.until('it has heard', () => worker.infos.filter((text) => text === 'rules updated').length > 1)
    await here.produce(generatedBets(200, 9))
    await here.caughtUp()
    expect(new Set((await here.results()).scores.map(({ rule_id }) => rule_id))).toEqual(
      new Set(['r_v', 'r_points_winmult_v2']),
    )
  })
})

describe('publication', () => {
  const control = async (here: Lab): Promise<number> =>
    (await here.read({ topic: here.topics.control, partition: 0 })).length

  test('refuses an edited version, and then publishes nothing at all', async () => {
    const here = (lab = await Lab.open({ rules: { 'v1.yaml': V1 } }))
    const plan = await here.publish({ 'a.yaml': RULE_FILES['rounds.yaml'] ?? '', 'v1.yaml': version('1.0', '2') })
    expect(plan.refused).toMatchObject([{ code: 'ONCEWARD_E_RULE_VERSION_CHANGED', file: 'v1.yaml' }])
    expect(await control(here)).toBe(1)
  })

  test('of the same again publishes nothing', async () => {
    const here = (lab = await Lab.open({ rules: { 'v1.yaml': V1 } }))
    const plan = await here.publish({ 'v1.yaml': `# a comment\n${V1}` })
    expect(plan).toMatchObject({ publish: [], refused: [], unchanged: [{ file: 'v1.yaml' }] })
    expect(await control(here)).toBe(1)
  })

  test('of the same by two at once does no harm, nor does a record that is none', async () => {
    const here = (lab = await Lab.open({ partitions: 1 }))
    await Promise.all([here.publish(RULE_FILES), here.publish(RULE_FILES)])
    const producer = await here.log.producer()
    const record = { topic: here.topics.control, partition: 0, timestamp: 0 }
    await producer.send([
      { ...record, key: 'x', value: 'not JSON' },
      { ...record, key: 'y', value: null },
    ])
    await producer.close()
    here.start()
    await here.produce(generatedBets(200, 8))
    await here.caughtUp()
    await expectReference(here, SHARED_RULES)
  })

  test('of an edited version that got into the topic all the same: the first record counts, on every worker', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: { 'v1.yaml': V1 } }))
    const other = await Lab.open({ rules: { 'v1.yaml': version('1.0', '7') } })
    const [edited] = await other.read({ topic: other.topics.control, partition: 0 })
    await other.close()
    const producer = await here.log.producer()
    await producer.send([
      { topic: here.topics.control, partition: 0, key: 'edited', value: edited?.value ?? null, timestamp: 0 },
    ])
    await producer.close()
    const worker = here.start()
    await here.produce(generatedBets(200, 8))
    await here.caughtUp()
    await expectReference(here, [plain(1)])
    expect(worker.errors.join()).toMatch(/published before with other content/)
  })
})

test('a worker without rules waits for the first, and lets no event pass', async () => {
  const here = (lab = await Lab.open({ partitions: 2 }))
  let looks = 0
  const worker = here.start({ faults: { bounds: (bounds) => (looks++, bounds) } })
  await here.produce(generatedBets(300, 8))
  await here.until('it says so', () => worker.warnings.some((text) => text.includes('no rules are published')))
  await here.until('it has looked a dozen times', () => looks > 12)
  expect(await here.processed()).toBe(0)
  expect(worker.worker.health().ready).toBe(false)
  await here.publish(RULE_FILES)
  await here.caughtUp()
  await expectReference(here, SHARED_RULES)
  const results = await here.results()
  expect(Object.keys(pointsOf(results)).length).toBeGreaterThan(0)
  expect(rewardsOf(results)).toBeDefined()
})
