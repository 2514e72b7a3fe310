import { afterEach, describe, expect, test } from 'vitest'
import type { RecordBatch } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { changelogTopic } from '../../core/topics.ts'
import { PartitionTask } from '../../pipeline/task.ts'
import { createTopology } from '../../pipeline/topology.ts'
import { Disk } from '../support/disk.ts'
import { eventLine, normalize, testRule, testRules } from '../support/engine.ts'
import { FaultyLog, type LogFaults, unavailable } from '../support/faulty-log.ts'
import { APPLICATION, expectFold, Lab } from '../support/worker-harness.ts'

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

const T0 = Date.parse('2025-11-03T20:00:00Z')
const EVENTS = { topic: 'events.raw', partition: 0 }

/** Ten logins on one partition, and a task that is to process them. */
async function opened(faults: LogFaults = {}, disk = new Disk()) {
  const here = (lab ??= await Lab.open({ partitions: 1 }))
  await here.log.createTopics([{ topic: changelogTopic(APPLICATION), partitions: 1, cleanup: 'compact' }])
  if (here.lines.length === 0) {
    await here.produce(Array.from({ length: 10 }, (_, i) => eventLine({ id: `e${i}`, ts: T0 + i })))
  }
  const task = await PartitionTask.open({
    log: new FaultyLog(here.log, faults),
    clock: here.clock,
    logger: silentLogger,
    application: APPLICATION,
    partition: 0,
    topics: here.topics,
    changelog: changelogTopic(APPLICATION),
    outputPartitions: { scores: 1, rewards: 1, dlq: 1 },
    topology: createTopology({ normalize }),
    openStore: () => disk.open(0),
    rules: () => testRules([testRule({ ruleId: 'r' })]),
    reorderWindowMs: 60_000,
    dedupeWindowMs: 86_400_000,
    deleteRetentionMs: 86_400_000,
    cancelled: () => false,
  })
  return { here, task, disk }
}

/** The records from `from` up to `to`, as a consumer would fetch them. */
async function batch(here: Lab, from: number, to: number): Promise<RecordBatch> {
  const records = (await here.read(EVENTS)).filter(({ offset }) => offset >= from && offset < to)
  return { ...EVENTS, records, fetchOffset: from, nextOffset: to, end: 10 }
}

const scored = async (here: Lab): Promise<string[]> => (await here.results()).scores.map(({ event_id }) => event_id)

describe('a task', () => {
  test('takes of a batch that begins before its position only what is new', async () => {
    const { here, task, disk } = await opened()
    expect((await task.process(await batch(here, 0, 4)))?.records).toBe(4)
    const report = await task.process(await batch(here, 2, 7))
    expect(report?.records).toBe(3)
    expect(report?.output.counts).toMatchObject({ events: 3, unique: 3, duplicates: 0 })
    expect(task.position).toBe(7)
    expect(await scored(here)).toEqual(['e0', 'e1', 'e2', 'e3', 'e4', 'e5', 'e6'])
    await task.close()
    await expectFold(here, disk, 0)
  })

  test('does nothing with a batch that was processed before, nor with an empty one, but follows its end', async () => {
    const { here, task } = await opened()
    await task.process(await batch(here, 0, 4))
    expect(await task.process(await batch(here, 0, 3))).toBeUndefined()
    expect(task.position).toBe(4)
    expect(await task.process({ ...(await batch(here, 4, 4)), nextOffset: 6 })).toBeUndefined()
    expect(task.position).toBe(6)
    expect(await here.log.committed(APPLICATION, [EVENTS])).toEqual([4])
    await task.close()
  })

  test('a position that ran ahead of the commit over markers does not make its store look ahead', async () => {
    const { here, task, disk } = await opened()
    await task.process(await batch(here, 0, 4))
    await task.process({ ...(await batch(here, 4, 4)), nextOffset: 6 })
    await task.close()
    const again = await opened({}, disk)
    expect(again.task.recovered).toMatchObject({ recovery: { kind: 'ready' }, position: 4 })
    await again.task.close()
  })

  test('refuses a batch that leaves a gap', async () => {
    const { here, task } = await opened()
    await expect(task.process(await batch(here, 3, 5))).rejects.toThrow(/no gap/)
    expect(await scored(here)).toEqual([])
    await task.close()
  })

  test('takes one batch at a time', async () => {
    const { here, task } = await opened()
    const [one, two] = [await batch(here, 0, 4), await batch(here, 0, 4)]
    const first = task.process(one)
    await expect(task.process(two)).rejects.toThrow(/one batch at a time/)
    await first
    expect(await scored(here)).toHaveLength(4)
    await task.close()
  })

  test('does nothing more after a failure', async () => {
    let fails = true
    const { here, task } = await opened({
      commit: (_id, _commit, apply) => (fails ? Promise.reject(unavailable()) : apply()),
    })
    await expect(task.process(await batch(here, 0, 4))).rejects.toThrow(/no broker/)
    fails = false
    await expect(task.process(await batch(here, 0, 4))).rejects.toThrow(/none after a failure/)
    expect(await scored(here)).toEqual([])
    await task.close()
    await task.close()
  })

  test('fences a former task of the partition before it reads where that one stands', async () => {
    const { here, task } = await opened()
    await task.process(await batch(here, 0, 4))
    const second = await opened()
    await expect(task.process(await batch(here, 4, 6))).rejects.toMatchObject({ code: 'ONCEWARD_E_LOG_FENCED' })
    expect(second.task.position).toBe(4)
    await second.task.process(await batch(here, 4, 6))
    expect(await scored(here)).toHaveLength(6)
    await Promise.all([task.close(), second.task.close()])
  })

  test('that cannot be opened leaves nothing open', async () => {
    const disk = new Disk()
    await expect(opened({ bounds: () => ({ earliest: 5, end: 0 }), committed: () => 3 }, disk)).rejects.toMatchObject({
      code: 'ONCEWARD_E_STATE_INPUT_LOST',
    })
    expect(disk.openStores).toBe(0)
  })
})
