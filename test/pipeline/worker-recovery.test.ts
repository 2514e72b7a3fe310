import { afterEach, describe, expect, test } from 'vitest'
import { DAY_MS } from '../../core/durations.ts'
import type { OncewardError } from '../../core/errors.ts'
import { changelogTopic } from '../../core/topics.ts'
import { encodeStamp, STORE_FORMAT, type Stamp } from '../../state/stamp.ts'
import { STAMP_KEY } from '../../state/stores.ts'
import { ManualClock } from '../support/clocks.ts'
import { Disk } from '../support/disk.ts'
import { eventLine } from '../support/engine.ts'
import { killed, type LogFaults } from '../support/faulty-log.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import {
  APPLICATION,
  expectFold,
  expectReference,
  Lab,
  type RunningWorker,
  strictly,
} from '../support/worker-harness.ts'

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

const BETS = generatedBets(400, 5)
const CHANGELOG = changelogTopic(APPLICATION)
const EVENTS = { topic: 'events.raw', partition: 0 }

/** One partition, half of the bets processed and the other half waiting; the worker has stopped. */
async function halfway(options: { retentionMs?: number } = {}): Promise<{ lab: Lab; disk: Disk }> {
  const here = (lab = await Lab.open({ partitions: 1, rules: strictly(RULE_FILES), ...options }))
  const worker = here.start()
  await here.produce(BETS.slice(0, 200))
  await here.caughtUp()
  await worker.stop()
  await here.produce(BETS.slice(200))
  await here.tick(Date.parse('2025-11-04T12:00:00Z'))
  return { lab: here, disk: worker.disk }
}

async function finish(here: Lab, disk: Disk, faults: LogFaults = {}): Promise<RunningWorker> {
  const worker = here.start({ disk, faults })
  await here.caughtUp()
  await worker.stop()
  await expectReference(here, SHARED_RULES)
  await expectFold(here, disk, 0)
  return worker
}

async function restamp(here: Lab, disk: Disk, change: Partial<Stamp>): Promise<void> {
  const [inputOffset] = await here.log.committed(APPLICATION, [EVENTS])
  const [bounds] = await here.log.bounds([{ topic: CHANGELOG, partition: 0 }])
  const stamp: Stamp = {
    format: STORE_FORMAT,
    application: APPLICATION,
    partition: 0,
    inputOffset: inputOffset ?? 0,
    changelogOffset: bounds?.end ?? 0,
    writtenAt: here.clock.now(),
    ...change,
  }
  await disk.store(0).write([{ type: 'put', key: STAMP_KEY, value: encodeStamp(stamp) }])
}

/** A key of an account that never was, which a store that is thrown away must not keep. */
const STRAY = Buffer.from('astray\0r')

describe('a store that is not level gives the same totals', () => {
  const rebuilt: [name: string, spoil: (here: Lab, disk: Disk) => Promise<void>, says: RegExp][] = [
    ['another application', (here, disk) => restamp(here, disk, { application: 'b' }), /"b"/],
    ['another partition', (here, disk) => restamp(here, disk, { partition: 4 }), /partition 4/],
    ['another format', (here, disk) => restamp(here, disk, { format: 0 }), /format 0/],
    ['ahead of the commit', (here, disk) => restamp(here, disk, { inputOffset: 350 }), /ahead/],
    [
      'too old to have seen every tombstone',
      (here, disk) => restamp(here, disk, { inputOffset: 100, writtenAt: here.clock.now() - 2 * DAY_MS }),
      /tombstones/,
    ],
    ['no stamp', (_here, disk) => disk.store(0).write([{ type: 'del', key: STAMP_KEY }]), /stamp/],
    [
      'a stamp that cannot be read',
      (_here, disk) => disk.store(0).write([{ type: 'put', key: STAMP_KEY, value: Buffer.from('{') }]),
      /stamp/,
    ],
  ]

  test.each(rebuilt)('%s: it is emptied and rebuilt', async (_name, spoil, says) => {
    const { lab: here, disk } = await halfway()
    await disk.store(0).write([{ type: 'put', key: STRAY, value: Buffer.from('{}') }])
    await spoil(here, disk)
    const worker = await finish(here, disk)
    expect(worker.decisions).toEqual(['rebuild'])
    expect(worker.reasons[0]).toMatch(says)
    expect(await disk.store(0).get(STRAY)).toBeUndefined()
  })

  test('a lost disk: it is rebuilt, with what was held for its turn', async () => {
    const { lab: here } = await halfway()
    const worker = await finish(here, new Disk())
    expect(worker.decisions).toEqual(['rebuild'])
  })

  test('a lost disk and a compacted changelog: it is rebuilt all the same', async () => {
    const { lab: here } = await halfway()
    expect((await here.log.maintain()).recordsCompacted).toBeGreaterThan(0)
    const worker = await finish(here, new Disk())
    expect(worker.decisions).toEqual(['rebuild'])
  })

  test('a rebuild that is killed midway is not taken for a state', async () => {
    const { lab: here } = await halfway()
    const disk = new Disk()
    let reads = 0
    const cut: LogFaults = {
      reading: ({ topic }) => (topic === CHANGELOG && ++reads > 3 ? Promise.reject(killed()) : Promise.resolve()),
      answering: (batch) => {
        const records = batch.records.slice(0, 20)
        const last = records.at(-1)
        return batch.topic === CHANGELOG && last !== undefined
          ? { ...batch, records, nextOffset: last.offset + 1 }
          : batch
      },
    }
    const worker = here.start({ disk, faults: cut })
    expect(await worker.fails()).toMatchObject({ code: 'ONCEWARD_E_LOG_CLOSED' })
    await worker.kill()
    expect(reads).toBe(4)
    const [decision] = (await finish(here, disk)).decisions
    expect(decision).not.toBe('ready')
  })

  test('a changelog that ends in markers, and a reader that does not move past them: the rebuild comes to its end', async () => {
    const { lab: here } = await halfway()
    const stuck: LogFaults = {
      answering: (batch) =>
        batch.topic === CHANGELOG && batch.records.length === 0 ? { ...batch, nextOffset: batch.fetchOffset } : batch,
    }
    expect((await finish(here, new Disk(), stuck)).decisions).toEqual(['rebuild'])
  })

  test('a group that has forgotten its offsets goes on from where the state stands', async () => {
    const { lab: here, disk } = await halfway()
    let asked = 0
    const forgetful: LogFaults = { committed: (offset) => (asked++ === 0 ? undefined : offset) }
    const worker = await finish(here, disk, forgetful)
    expect(worker.decisions).toEqual(['replay-tail'])
    expect(asked).toBe(1)
  })

  test('a group that has forgotten its offsets, and no disk: the changelog tells where to go on', async () => {
    const { lab: here } = await halfway()
    const worker = await finish(here, new Disk(), { committed: () => undefined })
    expect(worker.decisions).toEqual(['rebuild'])
  })
})

describe('what nobody may guess ends the worker', () => {
  async function moveOffset(here: Lab, offset: number): Promise<void> {
    const moved = await here.log.stepped('by-hand')
    await moved.addOffsets({ group: APPLICATION, positions: [{ ...EVENTS, offset }] })
    await moved.end('commit')
  }

  async function refusal(here: Lab, disk: Disk, faults: LogFaults = {}): Promise<OncewardError> {
    const before = (await here.results()).scores.length
    const worker = here.start({ disk, faults })
    const error = await worker.fails()
    expect((await here.results()).scores).toHaveLength(before)
    expect(worker.warnings).toEqual([])
    return error as OncewardError
  }

  test('unread events that retention deleted', async () => {
    const { lab: here, disk } = await halfway({ retentionMs: DAY_MS })
    await here.log.maintain()
    expect(await refusal(here, disk)).toMatchObject({ code: 'ONCEWARD_E_STATE_INPUT_LOST' })
  })

  test('unread events that retention deleted, where the group has forgotten its offsets too', async () => {
    const { lab: here, disk } = await halfway({ retentionMs: DAY_MS })
    await here.log.maintain()
    const error = await refusal(here, disk, { committed: () => undefined })
    expect(error).toMatchObject({ code: 'ONCEWARD_E_STATE_INPUT_LOST' })
  })

  test('an events topic that was created anew', async () => {
    const { lab: here, disk } = await halfway()
    const error = await refusal(here, disk, {
      bounds: (bounds, { topic }) => (topic === EVENTS.topic ? { earliest: 0, end: 10 } : bounds),
    })
    expect(error).toMatchObject({ code: 'ONCEWARD_E_STATE_INPUT_RESET' })
  })

  const emptied: LogFaults = {
    bounds: (bounds, { topic }) => (topic === CHANGELOG ? { earliest: 0, end: 0 } : bounds),
  }
  test.each([
    ['with the disk that goes with it', false],
    ['and a lost disk', true],
  ])('a changelog that is gone, %s', async (_name, lost) => {
    const { lab: here, disk } = await halfway()
    const error = await refusal(here, lost ? new Disk() : disk, emptied)
    expect(error).toMatchObject({ code: 'ONCEWARD_E_STATE_CHANGELOG_LOST' })
  })

  test('a changelog in which nothing was ever committed, although events were processed', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
    await here.produce(BETS)
    await here.log.createTopics([{ topic: CHANGELOG, partitions: 1, cleanup: 'compact' }])
    const aborted = await here.log.stepped('aborted')
    await aborted.append([{ topic: CHANGELOG, partition: 0, key: 'k', value: 'v', timestamp: 0 }])
    await aborted.end('abort')
    await moveOffset(here, 50)
    expect(await refusal(here, new Disk())).toMatchObject({ code: 'ONCEWARD_E_STATE_CHANGELOG_LOST' })
  })

  test.each([
    ['forward', 20],
    ['back', -20],
  ])('a group offset that was moved %s by hand', async (_name, by) => {
    const { lab: here, disk } = await halfway()
    const [committed = 0] = await here.log.committed(APPLICATION, [EVENTS])
    await moveOffset(here, committed + by)
    const error = await refusal(here, disk)
    expect(error).toMatchObject({ code: 'ONCEWARD_E_STATE_INPUT_RESET' })
    expect(error.message).toContain(`Set them back to ${committed}`)
  })

  test('events with other partitions than the state was kept for', async () => {
    const here = (lab = await Lab.open({ partitions: 2, rules: RULE_FILES }))
    await here.log.createTopics([{ topic: CHANGELOG, partitions: 3, cleanup: 'compact' }])
    expect(await here.start().fails()).toMatchObject({ code: 'ONCEWARD_E_LOG_REFUSED' })
  })

  test('a state that another process holds, for as long as it does', async () => {
    const { lab: here, disk } = await halfway()
    const other = await disk.open(0)
    const worker = here.start({ disk })
    await here.until('it has tried', () => worker.warnings.length > 1)
    expect(worker.warnings[0]).toMatch(/is open already/)
    await other.close()
    await here.caughtUp()
    await expectReference(here, SHARED_RULES)
  })
})

test.each([
  ['on its own disk', false],
  ['on an empty disk', true],
])('a worker that starts again, %s, knows how far event time had come and what it had seen', async (_name, lost) => {
  const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
  const at = Date.parse('2025-11-03T20:00:00Z')
  const bet = (id: string, ts: number): string => eventLine({ id, ts, name: 'bet', payload: { bet: 1, win: 1 } })
  const first = here.start()
  await here.produce([bet('a', at), bet('b', at - 60_000)])
  await here.caughtUp()
  await first.stop()
  const second = here.start({ disk: lost ? new Disk() : first.disk })
  await here.produce([bet('late', at - 60_001), bet('b', at - 60_000), bet('c', at - 60_000)])
  await here.caughtUp()
  expect(second.decisions).toEqual([lost ? 'rebuild' : 'ready'])
  const { scores, dlq } = await here.results()
  expect(dlq.map(({ reason, event_id }) => [reason, event_id])).toEqual([['late', 'late']])
  expect(new Set(scores.map(({ event_id }) => event_id))).toEqual(new Set(['a', 'b', 'c']))
  await expectReference(here, SHARED_RULES)
})

test('a worker that was idle for days and is killed inside its next commit replays the tail', async () => {
  const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
  const clock = new ManualClock(Date.parse('2025-11-03T20:00:00Z'))
  let killing = false
  const first = here.start({
    clock,
    faults: {
      commit: async (_id, _commit, apply) => {
        const ends = await apply()
        if (killing) throw killed()
        return ends
      },
    },
  })
  await here.produce(BETS.slice(0, 200))
  await here.caughtUp()
  clock.advance(3 * DAY_MS)
  killing = true
  await here.produce(BETS.slice(200))
  await first.fails()
  await first.kill()
  const second = here.start({ disk: first.disk, clock })
  await here.caughtUp()
  expect(second.decisions).toEqual(['replay-tail'])
  await expectReference(here, SHARED_RULES)
})
