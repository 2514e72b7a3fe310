import { afterEach, describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../core/durations.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { RecordBatch } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { changelogTopic, REPROCESSED_HEADER, topicNames } from '../../core/topics.ts'
import { PartitionTask } from '../../pipeline/task.ts'
import { createTopology } from '../../pipeline/topology.ts'
import { META, TASK_META_KEY } from '../../state/stores.ts'
import { replay } from '../replay/replay-lab.ts'
import { Disk } from '../support/disk.ts'
import { eventLine, normalize, testRule, testRules } from '../support/engine.ts'
import { APPLICATION, expectFold, Lab, valuesOf } from '../support/worker-harness.ts'
import { again, T0 } from './support.ts'

let lab: Lab
afterEach(() => lab.close())

interface Sent {
  readonly id: string
  readonly ts: number
  /** A person has sent it again after it was late. */
  readonly again?: true
  readonly user?: string
}

async function send(events: readonly Sent[]): Promise<void> {
  const producer = await lab.log.producer()
  await producer.send(
    events.map(({ id, ts, user = 'u', ...event }) => ({
      topic: lab.topics.events,
      partition: partitionOf(user, lab.partitions),
      key: user,
      value: eventLine({ id, ts, user }),
      timestamp: T0 + 30 * DAY_MS,
      ...(event.again === undefined ? {} : { headers: { [REPROCESSED_HEADER]: Buffer.from(again('late')) } }),
    })),
  )
  await producer.close()
}

describe('what a state has forgotten', () => {
  const EVENTS = { topic: 'events.raw', partition: 0 }
  const disk = (): Disk => new Disk()

  /** Processes what was sent since, by a task that remembers for so long. */
  async function work(on: Disk, dedupeWindowMs: number): Promise<void> {
    const task = await PartitionTask.open({
      log: lab.log,
      clock: lab.clock,
      logger: silentLogger,
      application: APPLICATION,
      partition: 0,
      topics: lab.topics,
      changelog: changelogTopic(APPLICATION),
      outputPartitions: { scores: 1, rewards: 1, dlq: 1 },
      topology: createTopology({ normalize }),
      openStore: () => on.open(0),
      rules: () => testRules([testRule({ ruleId: 'r' })]),
      reorderWindowMs: MINUTE_MS,
      dedupeWindowMs,
      deleteRetentionMs: DAY_MS,
      cancelled: () => false,
    })
    const all = await lab.read(EVENTS)
    const records = all.filter(({ offset }) => offset >= task.position)
    const batch: RecordBatch = {
      ...EVENTS,
      records,
      fetchOffset: task.position,
      nextOffset: all.length,
      end: all.length,
    }
    while ((await task.process(batch)) !== undefined) continue
    await task.close()
    await expectFold(lab, on, 0)
  }

  async function opened(): Promise<void> {
    lab = await Lab.open({ partitions: 1 })
    await lab.log.createTopics([{ topic: changelogTopic(APPLICATION), partitions: 1, cleanup: 'compact' }])
  }

  const scored = async (): Promise<string[]> => (await lab.results()).scores.map(({ event_id }) => event_id)
  const setAside = async (): Promise<(string | undefined)[]> =>
    (await lab.results()).dlq.map(({ event_id: id, detail }) => `${id} ${/too old|still accepted/.exec(detail)?.[0]}`)

  test.each([
    ['a worker with a longer window does not take for remembered what one with a shorter has dropped', true],
    ['nor one that has to make its state anew from the changelog', false],
  ])('%s', async (_name, keepsDisk) => {
    await opened()
    const first = disk()
    await send([
      { id: 'a', ts: T0 },
      { id: 'b', ts: T0 + 4 * HOUR_MS },
    ])
    await work(first, HOUR_MS)
    // So that the segments of ids are dropped.
    await send([{ id: 'c', ts: T0 + 4 * HOUR_MS + 1 }])
    await work(first, HOUR_MS)
    await send([
      { id: 'a', ts: T0, again: true },
      { id: 'd', ts: T0 + 3 * HOUR_MS + 1, again: true },
      { id: 'b', ts: T0 + 4 * HOUR_MS, again: true },
    ])
    await work(keepsDisk ? first : disk(), DAY_MS)
    expect(await scored()).toEqual(['a', 'b', 'c', 'd'])
    expect(await setAside()).toEqual(['a too old'])
  })

  test('a state of before says nothing of it: what is late by its watermark is too old, what comes to be late later is not', async () => {
    await opened()
    const first = disk()
    await send([
      { id: 'a', ts: T0 },
      { id: 'b', ts: T0 + HOUR_MS },
    ])
    await work(first, DAY_MS)
    // As a worker without this memory has written it.
    const kv = first.store(0)
    const key = Buffer.from(META.prefix + TASK_META_KEY)
    const { keptFrom: _kept, ...before } = META.decode((await kv.get(key)) ?? Buffer.from('{}'))
    await kv.write([{ type: 'put', key, value: META.encode(before) }])
    const producer = await lab.log.producer()
    await producer.send([
      { topic: changelogTopic(APPLICATION), partition: 0, key, value: META.encode(before), timestamp: 0 },
    ])
    await producer.close()
    await send([
      { id: 'x', ts: T0 + MINUTE_MS, again: true },
      { id: 'c', ts: T0 + 9 * HOUR_MS },
      { id: 'y', ts: T0 + 2 * HOUR_MS, again: true },
      { id: 'x', ts: T0 + MINUTE_MS, again: true },
    ])
    await work(first, DAY_MS)
    expect(await scored()).toEqual(['a', 'b', 'c', 'y'])
    expect(await setAside()).toEqual(['x too old', 'x too old'])
  })
})

const RULES = {
  'any.yaml': `
rule_id: r_any
when: { event_name: login }
score: { formula: "5", caps: { per_hour: 12 } }
reward_trigger: { on_progress: { threshold: [10, 20], reward: { type: coupon, code: A, cost: 1 } } }
`,
  'strict.yaml': `
rule_id: r_strict
when: { event_name: login }
score: { formula: "1" }
ordering: strict
`,
  'often.yaml': `
rule_id: r_often
when: { event_name: login, filters: ["count(login, 1h) >= 2"] }
score: { formula: "1" }
`,
}

describe('a worker on the log', () => {
  const minute = (n: number): number => T0 + n * MINUTE_MS

  async function played(): Promise<void> {
    lab = await Lab.open({ partitions: 2, rules: RULES })
    const users = ['u_1', 'u_2', 'u_3']
    const of = (id: string, ts: number, sentAgain?: true): Sent[] =>
      users.map((user) => ({ id: `${id}-${user}`, ts, user, ...(sentAgain === undefined ? {} : { again: sentAgain }) }))
    await send([...of('a', minute(0)), ...of('b', minute(180)), ...of('late', minute(1)), ...of('late-2', minute(2))])
    await send([...of('late', minute(1), true), ...of('c', minute(181)), ...of('late', minute(1), true)])
    await send([...of('late-2', minute(2), true), ...of('old', T0 - 2 * DAY_MS, true), ...of('d', minute(400))])
    const worker = lab.start()
    await lab.caughtUp()
    await worker.kill()
    const other = lab.start({ disk: worker.disk })
    await send([...of('late', minute(1), true), ...of('late-2', minute(2), true)])
    await lab.caughtUp()
    await other.stop()
  }

  test('scores what was sent again once, and says of each rule why not', async () => {
    await played()
    const { scores, dlq, rewards } = await lab.results()
    const of = (ruleId: string) =>
      scores
        .filter((score) => score.rule_id === ruleId && score.user_id === 'u_1')
        .map(({ event_id: id, points, reason = '', progress }) => [id.replace('-u_1', ''), points, reason, progress])
    expect(of('r_any')).toEqual([
      ['a', 5, '', 5],
      ['b', 5, '', 10],
      ['late', 5, '', 15],
      ['c', 5, '', 20],
      // 10 of 12 were given in the hour of b and c, and as much may have been in its own.
      ['late-2', 0, 'late_window_forgotten', 20],
      ['d', 5, '', 25],
    ])
    expect(of('r_strict').filter(([, , reason]) => reason !== '')).toEqual([
      ['late', 0, 'late_strict', 1],
      ['late-2', 0, 'late_strict', 1],
    ])
    expect(of('r_often').filter(([, points]) => points !== 0)).toEqual([['c', 1, '', 1]])
    expect(of('r_often').filter(([, , reason]) => reason === 'late_strict').length).toBe(2)
    const letters = dlq.filter(({ user_id: user }) => user === 'u_1')
    expect(letters.map(({ event_id: id, history }) => [id, history?.length])).toEqual([
      ['late-u_1', undefined],
      ['late-2-u_1', undefined],
      ['old-u_1', 1],
    ])
    expect(rewards.filter(({ user_id: user }) => user === 'u_1').map(({ origin }) => origin.threshold)).toEqual([
      10, 20,
    ])
  })

  test('is followed by a replay that takes the very same decisions', async () => {
    await played()
    const { code, differences } = await replay(lab, { settings: { failOnDifference: true } })
    expect({ code, differences }).toEqual({ code: 0, differences: [] })
    const issued = await lab.results()
    const replayed = await lab.results({ ...topicNames('again.'), events: lab.topics.events })
    expect(valuesOf(replayed)).toEqual(valuesOf(issued))
    expect(replayed.dlq).toEqual(issued.dlq)
  })
})
