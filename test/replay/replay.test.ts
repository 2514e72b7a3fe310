import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { seededRandom } from '../../core/random.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { type Topics, topicNames } from '../../core/topics.ts'
import { publishRules } from '../../pipeline/publish-rules.ts'
import { compareReplay } from '../../pipeline/replay/comparison.ts'
import { IdSet } from '../../pipeline/replay/id-set.ts'
import { prepareReplay } from '../../pipeline/replay/preparation.ts'
import { clockAt } from '../support/clocks.ts'
import { Disk } from '../support/disk.ts'
import { normalize } from '../support/engine.ts'
import { FaultyLog } from '../support/faulty-log.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { type ReferenceRule, reference } from '../support/reference.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { Lab, strictly, valuesOf } from '../support/worker-harness.ts'
import { shuffleWithin, withBroken, withRepeats } from '../support/workload.ts'
import { partitionIn, replay, type ReplayCall, rulesOf, texts } from './replay-lab.ts'

let lab: Lab
afterEach(() => lab.close())

type Files = Readonly<Record<string, string>>

/** A lab in which a worker has processed the lines under the rules. */
async function played(lines: readonly string[], rules: Files = RULE_FILES, partitions = 3): Promise<void> {
  lab = await Lab.open({ partitions, rules })
  await lab.produce(lines)
  await work()
}

async function work(): Promise<void> {
  const worker = lab.start()
  await lab.caughtUp()
  await worker.stop()
}

const own = (application = 'again') => ({ ...topicNames(`${application}.`), events: lab.topics.events })

/** Rules that score more, reward other thresholds and other amounts, and lack one rule. */
const DRAFT: Files = {
  'points.yaml': (RULE_FILES['points.yaml'] ?? '')
    .replace('* 3)', '* 4)')
    .replace('threshold: [100, 300, 800]', 'threshold: [100, 250, 800]')
    .replace('value: 10', 'value: 11')
    .replace('version: "2.0"', 'version: "3.0"'),
}
const [POINTS] = SHARED_RULES
const DRAFT_REFERENCE: readonly ReferenceRule[] =
  POINTS === undefined
    ? []
    : [
        {
          ...POINTS,
          formula: ({ payload }) => (Number(payload['win']) / Number(payload['bet'])) * 4,
          thresholds: [100, 250, 800],
        },
      ]

/** What two plain references say differs; thresholds of 100 are paid 11 free spins instead of 10. */
function expectedTexts(lines: readonly string[], before: readonly ReferenceRule[], after: readonly ReferenceRule[]) {
  const partitionOf = partitionIn(lab)
  const [issued, replayed] = [before, after].map((rules) => reference(lines, { rules, partitionOf }))
  if (issued === undefined || replayed === undefined) throw new Error('there are two')
  const [was, is] = [new Set(issued.rewards), new Set(replayed.rewards)]
  const owners = new Set([...Object.keys(issued.points), ...Object.keys(replayed.points)])
  return [
    ...[...is].flatMap((name) => (was.has(name) ? [] : [`missing ${name}`])),
    ...[...was].flatMap((name) => (is.has(name) ? [] : [`extra ${name}`])),
    ...[...is].flatMap((name) => (was.has(name) && name.endsWith('|100') ? [`different ${name}`] : [])),
    ...[...owners].flatMap((who) => {
      const [a, b] = [issued.points[who] ?? 0, replayed.points[who] ?? 0]
      return a === b ? [] : [`points ${who} ${a} ${b}`]
    }),
  ].sort()
}

const withoutMoved = (lines: readonly string[]): string[] => lines.filter((line) => !line.startsWith('moved'))

describe('a replay of the same rules', () => {
  test('differs in nothing, and writes the very same records', async () => {
    const random = seededRandom(3)
    const bets = withRepeats(shuffleWithin(generatedBets(3_000, 1), 50, random), 0.03, random)
    await played(withBroken(bets, 40, random))
    const { code, differences, summary } = await replay(lab, { settings: { failOnDifference: true } })
    expect({ code, differences }).toEqual({ code: 0, differences: [] })
    const issued = await lab.results()
    const again = await lab.results(own())
    expect(valuesOf(again)).toEqual(valuesOf(issued))
    expect(again.dlq).toEqual(issued.dlq)
    expect(issued.rewards.length).toBeGreaterThan(15)
    expect(summary).toMatchObject({ differs: false, missing: 0, extra: 0, different: 0, moved: 0, points_users: 0 })
  })

  const mixed = { ...RULE_FILES, ...strictly({ 'points.yaml': RULE_FILES['points.yaml'] ?? '' }) }
  test.each<[string, Files]>([
    ['any', RULE_FILES],
    ['strict', strictly(RULE_FILES)],
    ['one rule in each', mixed],
  ])('differs in nothing although the live application has gone on; lane: %s', async (_, rules) => {
    const bets = generatedBets(2_000, 5)
    await played(bets.slice(0, 1_200), rules)
    const disk = new Disk()
    const stop = new AbortController()
    // Stopped at once: only the plan is there, and with it the end.
    stop.abort()
    expect((await replay(lab, { disk, signal: stop.signal })).code).toBeUndefined()
    await lab.produce(bets.slice(1_200))
    await work()
    expect((await replay(lab, { disk })).differences).toEqual([])
  })

  test('differs in nothing where two applications issued everything', async () => {
    await played(generatedBets(1_000, 4))
    const second = lab.start({ application: 'second' })
    await lab.caughtUp('second')
    await second.stop()
    const { differences, summary } = await replay(lab)
    expect(differences).toEqual([])
    const { rewards } = await lab.results()
    const rules = summary['rules'] as { rewards_issued: number }[]
    expect(rules.reduce((sum, rule) => sum + rule.rewards_issued, 0)).toBe(rewards.length / 2)
  })

  test('never writes to the real topics, moves no offset of the live application', async () => {
    await played(generatedBets(800, 2))
    const before = [await lab.results(), await lab.processed()]
    await replay(lab, { rules: DRAFT })
    expect([await lab.results(), await lab.processed()]).toEqual(before)
    expect(await lab.read({ topic: lab.topics.control, partition: 0 })).toHaveLength(2)
  })
})

describe('a replay of other rules', () => {
  test('differs in exactly what the plain reference of both rule sets says', async () => {
    const bets = generatedBets(4_000, 7)
    await played(bets)
    const { code, differences, summary } = await replay(lab, { rules: DRAFT, settings: { failOnDifference: true } })
    const expected = expectedTexts(bets, SHARED_RULES, DRAFT_REFERENCE)
    expect(withoutMoved(texts(differences))).toEqual(expected)
    const kinds = ['missing', 'extra', 'different', 'points'].map((kind) => expected.some((t) => t.startsWith(kind)))
    expect(kinds).toEqual([true, true, true, true])
    expect({ code, differs: summary['differs'] }).toEqual({ code: 1, differs: true })
    const different = differences.find(({ kind }) => kind === 'different')
    expect(different).toMatchObject({
      fields: ['reward.amount'],
      issued: { reward: { amount: 10 } },
      replayed: { reward: { amount: 11 } },
    })
  })

  test('differs in the same when the users are compared in many passes', async () => {
    const bets = generatedBets(1_500, 8)
    await played(bets)
    const whole = await replay(lab, { rules: DRAFT })
    expect(whole.differences.length).toBeGreaterThan(50)
    const prepared = await prepareReplay({
      log: lab.log,
      clock: lab.clock,
      application: 'again',
      prefix: '',
      from: 'beginning',
      to: 'end',
      rules: rulesOf(DRAFT),
      reorderWindowMs: 60_000,
      dedupeWindowMs: 86_400_000,
    })
    const found: Record<string, unknown>[] = []
    const shares: number[] = []
    await compareReplay({
      log: lab.log,
      replay: prepared,
      normalize,
      signal: new AbortController().signal,
      undecided: { events: new IdSet(), rules: new Set() },
      recordsMax: 100,
      found: (difference) => void found.push({ ...difference }),
      onProgress: ({ share }) => void shares.push(share),
    })
    expect(texts(found)).toEqual(texts(whole.differences))
    expect(shares.length).toBeGreaterThan(10)
    expect(shares).toEqual(shares.toSorted((a, b) => a - b))
    expect(Math.max(...shares)).toBeLessThanOrEqual(1)
  })
})

describe('topics with other numbers of partitions', () => {
  test('are compared as a whole', async () => {
    const bets = generatedBets(1_500, 9)
    lab = await Lab.open({ partitions: 3 })
    const topics = topicNames('wide.')
    await lab.log.createTopics([
      { topic: topics.events, partitions: 3, cleanup: 'delete' },
      { topic: topics.control, partitions: 1, cleanup: 'compact' },
      { topic: topics.scores, partitions: 5, cleanup: 'delete' },
      { topic: topics.rewards, partitions: 2, cleanup: 'delete' },
      { topic: topics.dlq, partitions: 1, cleanup: 'delete' },
    ])
    await lab.produce(bets)
    await publishRules({
      log: lab.log,
      clock: lab.clock,
      logger: silentLogger,
      topic: lab.topics.control,
      rules: rulesOf(RULE_FILES),
    })
    const worker = lab.start({ topics: { ...topics, events: lab.topics.events, control: lab.topics.control } })
    await lab.caughtUp()
    await worker.stop()
    await copyInto(topics)
    const { differences } = await replay(lab, { rules: DRAFT, settings: { prefix: 'wide.' } })
    expect(withoutMoved(texts(differences))).toEqual(expectedTexts(bets, SHARED_RULES, DRAFT_REFERENCE))
  })

  /** The events of the lab, on the topics of another installation. */
  async function copyInto(topics: Topics): Promise<void> {
    const producer = await lab.log.producer()
    for (const partition of [0, 1, 2]) {
      const records = await lab.read({ topic: lab.topics.events, partition })
      await producer.send(records.map((record) => ({ ...record, topic: topics.events })))
    }
    for (const record of await lab.read({ topic: lab.topics.control, partition: 0 })) {
      await producer.send([{ ...record, topic: topics.control }])
    }
    await producer.close()
  }
})

describe('stopped and continued', () => {
  /** Aborts once `batches` commits of the replay are done. */
  function stopAfter(batches: number): Pick<ReplayCall, 'log' | 'signal'> {
    const stop = new AbortController()
    let commits = 0
    const log = new FaultyLog(lab.log, {
      commit: async (_, __, apply) => {
        const ends = await apply()
        if (++commits === batches) stop.abort()
        return ends
      },
    })
    return { log, signal: stop.signal }
  }

  test('it says how to go on, and gives what it would have given in one go', async () => {
    await played(generatedBets(3_000, 11))
    const disk = new Disk()
    const first = await replay(lab, { rules: DRAFT, disk, ...stopAfter(12) })
    expect(first.code).toBeUndefined()
    expect(first.stdout).toBe('')
    expect(first.notes.join('\n')).toMatch(/\d+ % of the replay is done\nstopped; the same command goes on from here/)
    const part = await lab.results(own())
    const second = await replay(lab, { rules: DRAFT, disk })
    expect(second.notes[0]).toMatch(/^continuing the replay of /)
    const oneGo = await replay(lab, { rules: DRAFT, settings: { application: 'once' } })
    expect(texts(second.differences)).toEqual(texts(oneGo.differences))
    const [ended, once] = [await lab.results(own()), await lab.results(own('once'))]
    expect(valuesOf(ended)).toEqual(valuesOf(once))
    expect(part.scores.length).toBeGreaterThan(0)
    expect(part.scores.length).toBeLessThan(ended.scores.length)
  })

  test('it is not at its end before every partition is', async () => {
    await played(generatedBets(2_000, 19), RULE_FILES, 2)
    const [bounds] = await lab.log.bounds([{ topic: lab.topics.events, partition: 0 }])
    const settings = { from: `0:${(bounds?.end ?? 0) - 3},1:0` }
    const disk = new Disk()
    const first = await replay(lab, { settings, disk, ...stopAfter(8) })
    expect([first.code, first.stdout]).toEqual([undefined, ''])
    expect((await replay(lab, { settings, disk })).code).toBe(0)
  })

  test('wherever it is stopped or killed, on its disk or on another, in either lane', async () => {
    await played(generatedBets(600, 13), RULE_FILES, 2)
    const rules = strictly(RULE_FILES)
    const whole = await replay(lab, { rules, settings: { application: 'whole', batchBytes: 20_000 } })
    const expected = valuesOf(await lab.results(own('whole')))
    let run = 0
    const stops = fc.array(
      fc.record({ after: fc.integer({ min: 1, max: 8 }), kill: fc.boolean(), newDisk: fc.boolean() }),
      { minLength: 1, maxLength: 3 },
    )
    await fc.assert(
      fc.asyncProperty(stops, async (cuts) => {
        const settings = { application: `run-${++run}`, batchBytes: 20_000 }
        let disk = new Disk()
        for (const { after, kill, newDisk } of cuts) {
          const stopping = stopAfter(after)
          const killed = new FaultyLog(lab.log, {
            commit: async (_, __, apply) => {
              const ends = await apply()
              if (++commits === after) killed.kill()
              return ends
            },
          })
          let commits = 0
          await replay(lab, { rules, disk, settings, ...(kill ? { log: killed } : stopping) }).catch(() => disk.crash())
          if (newDisk) disk = new Disk()
        }
        const end = await replay(lab, { rules, disk, settings })
        expect(texts(end.differences)).toEqual(texts(whole.differences))
        expect(valuesOf(await lab.results(own(settings.application)))).toEqual(expected)
      }),
      { numRuns: 15 },
    )
  })

  test('a rule published meanwhile does not change it', async () => {
    await played(generatedBets(1_000, 17))
    const disk = new Disk()
    await replay(lab, { disk, ...stopAfter(6) })
    const late = "rule_id: r_new\nwhen: { event_name: bet }\nscore: { formula: '7' }\nmeta: { version: '1.0' }\n"
    await lab.publish({ 'late.yaml': late }, clockAt('2025-11-01T00:00:00Z', lab.clock))
    expect((await replay(lab, { disk })).differences).toEqual([])
    expect((await replay(lab, { settings: { application: 'new' } })).summary).toMatchObject({ differs: true })
  })
})
