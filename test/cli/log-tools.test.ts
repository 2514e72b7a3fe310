import { beforeEach, describe, expect, test, vi } from 'vitest'
import { ingest } from '../../cli/log-tools/ingest.ts'
import { groupLag, lagTable } from '../../cli/log-tools/lag.ts'
import { observeLag, waitForNoLag } from '../../cli/log-tools/lag-watch.ts'
import { createTopics, topicSpecs } from '../../cli/log-tools/topics.ts'
import { loadNormalizer } from '../../cli/runtime.ts'
import type { Terminal } from '../../cli/command.ts'
import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { DAY_MS } from '../../core/durations.ts'
import { partitionOf } from '../../core/partitioner.ts'
import type { Log, LogRecord, OutRecord } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { memoryKv } from '../../state/memory-kv.ts'

const TOPICS = topicNames()
const never = new AbortController().signal

let log: Log
beforeEach(async () => {
  log = await openEmbeddedLog({ kv: memoryKv(), clock: systemClock })
})

const plan = { topics: TOPICS, partitions: 3, retentionMs: 7 * DAY_MS }

async function send(records: readonly Partial<OutRecord>[]): Promise<void> {
  const producer = await log.producer()
  await producer.send(
    records.map((record) => ({ topic: TOPICS.events, partition: 0, key: 'k', value: '{}', timestamp: 0, ...record })),
  )
  await producer.close()
}

/** Commits `count` records and the group's position behind them: what a worker leaves behind, markers included. */
async function commit(group: string, topic: string, offset: number): Promise<void> {
  const producer = await log.transactional(`${group}-${topic}`)
  await producer.commit({
    records: [],
    offsets: { group, positions: [{ topic, partition: 0, offset }] },
  })
  await producer.close()
}

/** One record in a transaction, behind which a marker stands. */
async function writeInTransaction(topic: string): Promise<void> {
  const producer = await log.transactional('writer')
  await producer.commit({ records: [{ topic, partition: 0, key: 'k', value: '{}', timestamp: 0 }] })
  await producer.close()
}

describe('topics', () => {
  test('are created once; a second time says so and warns about what differs', async () => {
    const first = await createTopics(log, topicSpecs(plan))
    expect(first.map(({ spec, created }) => [spec.topic, created])).toEqual([
      ['events.raw', true],
      ['rules.control', true],
      ['scores', true],
      ['reward.tasks', true],
      ['dlq', true],
      ['dlq.reviews', true],
      ['gateway.answers', true],
      ['gateway.payers', true],
      ['audit.heads', true],
    ])
    const again = await createTopics(log, topicSpecs({ ...plan, partitions: 6, retentionMs: 0 }))
    expect(again.every(({ created }) => !created)).toBe(true)
    expect(again.flatMap(({ warnings }) => warnings).filter((text) => text.includes('partitions, not 6'))).toHaveLength(
      6,
    )
    expect(again[0]?.warnings.join()).toMatch(/keeps records for 7 days, less than ever/)
    expect((await log.topic('events.raw'))?.partitions).toBe(3)
  })

  test('the control topic is compacted and has one partition, so that rules have one order', async () => {
    await createTopics(log, topicSpecs(plan))
    expect(await log.topic('rules.control')).toMatchObject({ partitions: 1, cleanup: 'compact' })
  })

  test('rewards and dead letters outlast events, and decisions on dead letters outlast those', () => {
    const kept = (retentionMs: number): Record<string, unknown> =>
      Object.fromEntries(topicSpecs({ ...plan, retentionMs }).map((spec) => [spec.topic, spec.retentionMs]))
    const days = (events: number, longer: number): object => ({
      'events.raw': events * DAY_MS,
      scores: events * DAY_MS,
      'rules.control': undefined,
      'reward.tasks': longer * DAY_MS,
      dlq: longer * DAY_MS,
      'dlq.reviews': 2 * longer * DAY_MS,
    })
    expect(kept(DAY_MS)).toMatchObject(days(1, 30))
    expect(kept(90 * DAY_MS)).toMatchObject(days(90, 90))
    expect(kept(0)).toMatchObject({ 'events.raw': undefined, dlq: undefined, 'dlq.reviews': undefined })
  })

  test('an existing control topic that is not compacted would lose rules, so it is told', async () => {
    await log.createTopics([{ topic: 'rules.control', partitions: 1, cleanup: 'delete' }])
    const outcomes = await createTopics(log, topicSpecs(plan))
    expect(outcomes.flatMap(({ warnings }) => warnings)).toEqual([
      expect.stringMatching(/rules\.control has cleanup\.policy delete, not compact/) as string,
    ])
  })
})

function event(id: string, user: string): string {
  return JSON.stringify({
    event_id: id,
    event_name: 'login',
    version: '1.2.0',
    ts: '2025-10-24T11:37:21Z',
    user: { id: user, geo: 'TR', platform: 'web', payer_flag: false, risk_flags: [] },
    context: { session_id: 's', device_fp: 'f', ip: '203.0.113.24' },
    payload: {},
  })
}

async function* chunks(...all: readonly (readonly string[])[]): AsyncGenerator<Buffer[]> {
  for (const chunk of all) yield chunk.map((line) => Buffer.from(line))
}

async function readAll(topic: string): Promise<LogRecord[]> {
  const info = await log.topic(topic)
  const records: LogRecord[] = []
  for (let partition = 0; partition < (info?.partitions ?? 0); partition++) {
    const reader = await log.reader({ topic, partition })
    for (let offset = 0, more = true; more; ) {
      const batch = await reader.read(offset)
      records.push(...batch.records)
      more = batch.nextOffset > offset
      offset = batch.nextOffset
    }
    await reader.close()
  }
  return records
}

describe('ingest', () => {
  const parts = async (more: Partial<Parameters<typeof ingest>[1]> = {}): Promise<Parameters<typeof ingest>[1]> => {
    await createTopics(log, topicSpecs(plan))
    return { log, topics: TOPICS, clock: systemClock, normalize: await loadNormalizer(), signal: never, ...more }
  }

  test('every line is either an event, unchanged and keyed by user, or a dead letter with its text', async () => {
    const good = Array.from({ length: 50 }, (_, i) => event(`e${i}`, `u${i % 7}`))
    const bad = ['not json', '{"event_id":"x"}', event('y', 'u1').replace('"login"', '"unheard_of"')]
    const counts = await ingest(chunks([...good.slice(0, 20), ...bad], good.slice(20)), await parts())
    expect(counts).toEqual({ lines: 53, events: 50, rejected: 3 })
    const events = await readAll(TOPICS.events)
    expect(new Set(events.map(({ value }) => value?.toString()))).toEqual(new Set(good))
    expect(events).toHaveLength(good.length)
    for (const { key, partition, value } of events) {
      expect(partition).toBe(partitionOf(key?.toString() ?? '', 3))
      expect(value?.toString()).toContain(`"user":{"id":"${key?.toString()}"`)
    }
    const letters = (await readAll(TOPICS.dlq)).map(({ value }) => JSON.parse(value?.toString() ?? '') as object)
    expect(letters).toHaveLength(3)
    for (const letter of letters) expect(letter).toMatchObject({ type: 'dlq', reason: 'schema', source: null })
    expect(new Set(letters.map((letter) => ('raw' in letter ? letter.raw : '')))).toEqual(new Set(bad))
  })

  test("each user's events stay in the order of the file, over many batches", async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => event(`e${String(i).padStart(5, '0')}`, `u${i % 11}`))
    await ingest(chunks(lines), await parts())
    const byUser = new Map<string, string[]>()
    for (const { key, value } of await readAll(TOPICS.events)) {
      const user = key?.toString() ?? ''
      byUser.set(user, [...(byUser.get(user) ?? []), value?.toString().slice(0, 20) ?? ''])
    }
    expect(byUser.size).toBe(11)
    for (const ids of byUser.values()) expect(ids).toEqual(ids.toSorted())
  })

  test('one send at a time, or a retry could put a later event before an earlier one', async () => {
    const given = await parts()
    let underWay = 0
    let most = 0
    vi.spyOn(log, 'producer').mockResolvedValue({
      send: async () => {
        most = Math.max(most, ++underWay)
        await new Promise((resolve) => setImmediate(resolve))
        underWay--
        return []
      },
      close: () => Promise.resolve(),
    })
    const lines = chunks(...Array.from({ length: 20 }, (_, i) => [event(`e${i}`, 'u')]))
    expect(await ingest(lines, given)).toEqual({ lines: 20, events: 20, rejected: 0 })
    expect([most, underWay]).toEqual([1, 0])
  })

  test('an abort ends it after what is under way, with counts that are true', async () => {
    const abort = new AbortController()
    const endless = async function* (): AsyncGenerator<Buffer[]> {
      for (let i = 0; ; i++) yield [Buffer.from(event(`e${i}`, 'u'))]
    }
    const counts = await ingest(
      endless(),
      await parts({ signal: abort.signal, onProgress: ({ events }) => void (events >= 10 && abort.abort()) }),
    )
    expect(counts.events).toBeGreaterThanOrEqual(10)
    expect(await readAll(TOPICS.events)).toHaveLength(counts.events)
  })

  test('a rate is kept by waiting, measured on the clock', async () => {
    let now = 0
    const clock: Clock = { now: () => now, monotonic: () => now, sleep: (ms) => Promise.resolve(void (now += ms)) }
    const lines = Array.from({ length: 1_000 }, (_, i) => event(`e${i}`, 'u'))
    await ingest(chunks(lines), await parts({ clock, perSecond: 100 }))
    expect(now).toBeGreaterThan(9_000)
    expect(now).toBeLessThanOrEqual(10_000)
  })

  test('a log that fails is the error, and nothing goes on behind it', async () => {
    const given = await parts()
    vi.spyOn(log, 'producer').mockResolvedValue({
      send: () => Promise.reject(new Error('broker gone')),
      close: () => Promise.resolve(),
    })
    const lines = chunks(...Array.from({ length: 5 }, (_, i) => [event(`e${i}`, 'u')]))
    await expect(ingest(lines, given)).rejects.toThrow('broker gone')
  })

  test('without topics it says which is missing and how to make it', async () => {
    const given = await parts()
    await expect(ingest(chunks(), { ...given, topics: topicNames('other.') })).rejects.toMatchObject({
      code: 'ONCEWARD_E_LOG_TOPIC_MISSING',
      message: expect.stringMatching(/no topic other\.events\.raw; .*topics create/) as string,
    })
  })
})

describe('lag', () => {
  beforeEach(async () => {
    await createTopics(log, topicSpecs({ ...plan, partitions: 1 }))
  })

  test('counts records, not offsets: markers between position and end are nothing', async () => {
    await send([{}, {}, {}])
    expect(await groupLag(log, 'app', TOPICS.events)).toMatchObject({ records: 3, exact: true })
    await writeInTransaction(TOPICS.events)
    await commit('app', TOPICS.events, 3)
    const lag = await groupLag(log, 'app', TOPICS.events)
    expect(lag).toMatchObject({ records: 1, exact: true, partitions: [{ position: 3 }] })
    await commit('app', TOPICS.events, 4)
    const done = await groupLag(log, 'app', TOPICS.events)
    expect(done).toMatchObject({ records: 0, exact: true })
    // The marker of the transaction makes the offsets differ although nothing is left to read.
    expect(done?.partitions[0]?.end).toBeGreaterThan(done?.partitions[0]?.position ?? Number.POSITIVE_INFINITY)
  })

  test('of a group without a position is everything; of a topic that is not there, undefined', async () => {
    await send([{}, {}])
    expect(await groupLag(log, 'new', TOPICS.events)).toMatchObject({ records: 2 })
    expect(await groupLag(log, 'new', 'nothing')).toBeUndefined()
  })

  test('begins where the log begins, and ends where it ended when it was asked', async () => {
    await send([{}, {}, {}, {}])
    const bounds = vi.spyOn(log, 'bounds').mockResolvedValue([{ earliest: 1, end: 3 }])
    expect(await groupLag(log, 'new', TOPICS.events)).toMatchObject({
      records: 2,
      partitions: [{ position: 1, end: 3 }],
    })
    await commit('app', TOPICS.events, 0)
    expect(await groupLag(log, 'app', TOPICS.events)).toMatchObject({ records: 2, partitions: [{ position: 1 }] })
    bounds.mockRestore()
  })

  test('beyond what is worth counting, it is an upper bound and says so', async () => {
    await send(Array.from({ length: 5_001 }, () => ({})))
    const lag = await groupLag(log, 'app', TOPICS.events)
    expect(lag).toMatchObject({ records: 5_001, exact: false })
    expect(lagTable(lag === undefined ? [] : [lag])).toContain('lag at most 5,001')
  })

  const groups = { topics: TOPICS, workers: 'app', sink: 'app.sink', sinkExpected: false }

  test('the sink counts once it has begun, or where it was named', async () => {
    await send([{ topic: TOPICS.rewards }])
    expect((await observeLag(log, groups)).map(({ group }) => group)).toEqual(['app'])
    expect((await observeLag(log, { ...groups, sinkExpected: true })).map(({ group }) => group)).toEqual([
      'app',
      'app.sink',
    ])
    await commit('app.sink', TOPICS.rewards, 0)
    expect((await observeLag(log, groups)).map(({ records }) => records)).toEqual([0, 1])
  })

  const quiet: Terminal = {
    print: () => Promise.resolve(),
    note: () => undefined,
    progress: { isTty: false, columns: 80, write: () => undefined },
  }

  test('--wait ends when nothing is left', async () => {
    await send([{}, {}])
    let polls = 0
    const clock: Clock = {
      ...systemClock,
      sleep: async () => {
        polls++
        await commit('app', TOPICS.events, polls)
      },
    }
    const lags = await waitForNoLag(log, groups, { clock, signal: never, terminal: quiet, timeoutMs: undefined })
    expect(polls).toBe(2)
    expect(lags).toMatchObject([{ records: 0 }])
  })

  test('--wait with a timeout gives up, and says how much is left', async () => {
    await send([{}])
    let now = 0
    const clock: Clock = { now: () => now, monotonic: () => now, sleep: (ms) => Promise.resolve(void (now += ms)) }
    await expect(
      waitForNoLag(log, groups, { clock, signal: never, terminal: quiet, timeoutMs: 1_000 }),
    ).rejects.toMatchObject({
      code: 'ONCEWARD_E_GAVE_UP',
      message: expect.stringContaining('still 1 records') as string,
    })
    expect(now).toBe(1_000)
  })
})
