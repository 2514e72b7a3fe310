import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { topicNames } from '../../core/topics.ts'
import { Disk } from '../support/disk.ts'
import { FaultyLog } from '../support/faulty-log.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { reference } from '../support/reference.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { Lab, pointsOf } from '../support/worker-harness.ts'
import { partitionIn, replay, texts } from './replay-lab.ts'

let lab: Lab
afterEach(() => lab.close())

async function work(): Promise<void> {
  const worker = lab.start()
  await lab.caughtUp()
  await worker.stop()
}

const BETS = generatedBets(2_400, 31)
const INCOMPLETE = /the state begins empty at the start of the replay/

describe('a part of the events', () => {
  test('up to an earlier end differs in nothing: what was issued for later events is none of its business', async () => {
    lab = await Lab.open({ partitions: 3, rules: RULE_FILES })
    await lab.produce(BETS)
    await work()
    const ends = await Promise.all([0, 1, 2].map((partition) => lab.log.bounds([{ topic: 'events.raw', partition }])))
    const to = ends.map(([bounds], partition) => `${partition}:${Math.floor((bounds?.end ?? 0) / 2)}`).join(',')
    const { differences, notes } = await replay(lab, { settings: { to } })
    expect(differences).toEqual([])
    expect(notes.join()).not.toMatch(INCOMPLETE)
    const scores = await lab.results({ ...topicNames('again.'), events: 'events.raw' })
    expect(scores.scores.length).toBeGreaterThan(500)
    expect(scores.scores.length).toBeLessThan((await lab.results()).scores.length * 0.7)
  })

  test('from a later start it begins empty, says so, and calls nothing extra or missing that belongs to earlier events', async () => {
    lab = await Lab.open({ partitions: 1, rules: RULE_FILES })
    await lab.produce(BETS)
    await work()
    const start = 1_200
    const { differences, notes, summary } = await replay(lab, { settings: { from: String(start) } })
    expect(notes.join()).toMatch(INCOMPLETE)
    const partitionOf = partitionIn(lab)
    const [all, part] = [BETS, BETS.slice(start)].map((lines) => reference(lines, { rules: SHARED_RULES, partitionOf }))
    const own = await lab.results({ ...topicNames('again.'), events: 'events.raw' })
    expect(pointsOf(own)).toEqual(part?.points)
    const early = new Set(BETS.slice(0, start).map((line) => (JSON.parse(line) as { event_id: string }).event_id))
    const within = (await lab.results()).rewards.filter(({ origin }) => !early.has(origin.event_id))
    const yielded = new Set(part?.rewards)
    const expected = [
      ...(part?.rewards ?? []).flatMap((name) => (all?.rewards.includes(name) ? [] : [`missing ${name}`])),
      ...within.flatMap(({ user_id, origin }) => {
        const name = `${user_id}|${origin.rule_id}|${origin.threshold}`
        return yielded.has(name) ? [] : [`extra ${name}`]
      }),
    ]
    expect(texts(differences).filter((text) => /^(missing|extra|different)/.test(text))).toEqual(expected.sort())
    expect(summary).toMatchObject({ missing: 0, different: 0 })
    expect(expected.length).toBeGreaterThan(0)
  })

  test('from and to a time of ingest', async () => {
    lab = await Lab.open({ partitions: 1, rules: RULE_FILES })
    await lab.produce(BETS)
    await work()
    const at = (index: number): string => (JSON.parse(BETS[index] ?? '') as { ts: string }).ts
    await replay(lab, { settings: { from: at(500), to: at(900) } })
    const [first, end] = await Promise.all(
      [at(500), at(900)].map((ts) => lab.log.offsetAt({ topic: 'events.raw', partition: 0 }, Date.parse(ts))),
    )
    const own = await lab.results({ ...topicNames('again.'), events: 'events.raw' })
    const ids = BETS.slice(first, end).map((line) => (JSON.parse(line) as { event_id: string }).event_id)
    expect(new Set(own.scores.map(({ event_id }) => event_id))).toEqual(new Set(ids))
  })

  test('one partition of several', async () => {
    lab = await Lab.open({ partitions: 3, rules: RULE_FILES })
    await lab.produce(BETS)
    await work()
    const { differences, summary } = await replay(lab, { settings: { from: '1:0' } })
    expect(differences).toEqual([])
    const mine = (await lab.results()).rewards.filter(({ user_id }) => partitionIn(lab)(user_id) === 1)
    const rules = summary['rules'] as { rewards_issued: number; rewards_replayed: number }[]
    expect(rules.reduce((sum, rule) => sum + rule.rewards_issued, 0)).toBe(mine.length)
    expect(rules.reduce((sum, rule) => sum + rule.rewards_replayed, 0)).toBe(mine.length)
  })
})

describe('what retention has deleted', () => {
  /** Events so old that retention takes them, then young ones. */
  async function aged(): Promise<void> {
    lab = await Lab.open({ partitions: 1, rules: RULE_FILES, retentionMs: 86_400_000 })
    await lab.produce(BETS.slice(0, 600))
    await work()
    await lab.log.maintain()
    const now = systemClock.now()
    const young = generatedBets(400, 32).map((line, index) => {
      const ts = new Date(now - 400_000 + index * 1_000).toISOString()
      return JSON.stringify({ ...(JSON.parse(line) as object), ts })
    })
    await lab.produce(young)
    await work()
    await lab.log.maintain()
  }

  test('is said before anything is written, and needs --allow-gap', async () => {
    await aged()
    const [bounds] = await lab.log.bounds([{ topic: 'events.raw', partition: 0 }])
    expect(bounds?.earliest).toBeGreaterThan(0)
    const refused = replay(lab)
    await expect(refused).rejects.toMatchObject({ code: 'ONCEWARD_E_REPLAY_GAP' })
    await expect(refused).rejects.toThrow(
      /partition 0 of events\.raw: retention has deleted everything before offset \d+/,
    )
    expect((await lab.log.listTopics()).filter((topic) => topic.startsWith('again.'))).toEqual([])
    const { differences, notes } = await replay(lab, { settings: { allowGap: true } })
    expect(notes.find((note) => note.startsWith('gap:'))).toContain('events.raw')
    expect(notes.join()).toMatch(INCOMPLETE)
    expect(texts(differences).filter((text) => text.startsWith('points') || text.startsWith('missing'))).toEqual([])
    const fine = await replay(lab, { settings: { application: 'later', from: String(bounds?.earliest) } })
    expect(fine.notes.join()).not.toContain('gap')
  })

  test('of the scores or reward tasks that it is compared with, too', async () => {
    lab = await Lab.open({ partitions: 1, rules: RULE_FILES })
    const short = topicNames('short.')
    await lab.log.createTopics([
      { topic: short.events, partitions: 1, cleanup: 'delete' },
      { topic: short.control, partitions: 1, cleanup: 'compact' },
      { topic: short.scores, partitions: 1, cleanup: 'delete', retentionMs: 1_000 },
      { topic: short.rewards, partitions: 1, cleanup: 'delete', retentionMs: 1_000 },
      { topic: short.dlq, partitions: 1, cleanup: 'delete' },
    ])
    await lab.produce(BETS.slice(0, 800))
    const producer = await lab.log.producer()
    const events = await lab.read({ topic: 'events.raw', partition: 0 })
    const control = await lab.read({ topic: 'rules.control', partition: 0 })
    await producer.send(events.map((record) => ({ ...record, topic: short.events })))
    await producer.send(control.map((record) => ({ ...record, topic: short.control })))
    await producer.close()
    const worker = lab.start({ topics: short, application: 'short-lived' })
    await lab.until('it is processed', async () => {
      const [at] = await lab.log.committed('short-lived', [{ topic: short.events, partition: 0 }])
      return at === 800
    })
    await worker.stop()
    await lab.log.maintain()
    const refused = replay(lab, { settings: { prefix: 'short.' } })
    await expect(refused).rejects.toThrow(/partition 0 of short\.reward\.tasks: retention has deleted records/)
    await expect(refused).rejects.toThrow(/partition 0 of short\.scores: retention has deleted records, none is left/)
    const { notes } = await replay(lab, { settings: { prefix: 'short.', allowGap: true } })
    expect(notes.filter((note) => note.startsWith('gap:'))).toHaveLength(2)
  })
})

describe('names that are refused', () => {
  test('the live application, a name with members, another replay, the prefix of an installation', async () => {
    lab = await Lab.open({ partitions: 2, rules: RULE_FILES })
    await lab.produce(BETS.slice(0, 300))
    const worker = lab.start()
    await lab.caughtUp()
    const code = 'ONCEWARD_E_REPLAY_REFUSED'
    await expect(replay(lab, { settings: { application: 'app' } })).rejects.toMatchObject({ code })
    await expect(replay(lab, { settings: { application: 'app' } })).rejects.toThrow(/member at work/)
    await worker.stop()
    await expect(replay(lab, { settings: { application: 'app' } })).rejects.toThrow(/has processed events/)
    await replay(lab)
    await expect(replay(lab, { settings: { from: '0:0' } })).rejects.toThrow(/--from was beginning, not 0:0/)
    await expect(replay(lab, { rules: RULE_FILES })).rejects.toThrow(/--rules was the published rules/)
    await lab.log.createTopics([{ topic: 'other.events.raw', partitions: 1, cleanup: 'delete' }])
    await expect(replay(lab, { settings: { application: 'other' } })).rejects.toThrow(/real topics begin with/)
    expect((await lab.log.listTopics()).filter((topic) => /^(app|other)\.(scores|replay)/.test(topic))).toEqual([])
  })

  test('two that begin at the same moment write one plan', async () => {
    lab = await Lab.open({ partitions: 2, rules: RULE_FILES })
    await lab.produce(BETS.slice(0, 200))
    await work()
    const both = await Promise.allSettled([replay(lab), replay(lab)])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await lab.read({ topic: 'again.replay', partition: 0 })).toHaveLength(1)
    expect(await lab.read({ topic: 'again.rules.control', partition: 0 })).toHaveLength(2)
    expect((await replay(lab)).differences).toEqual([])
  })

  test('one that was begun by another process after it was looked at is left alone', async () => {
    lab = await Lab.open({ partitions: 2, rules: RULE_FILES })
    await lab.produce(BETS.slice(0, 200))
    await work()
    let other: Promise<unknown> | undefined
    const log = new FaultyLog(lab.log, {
      opening: async (id) => {
        if (id === 'again.plan') await (other ??= replay(lab, { settings: { to: '0:50,1:50' } }))
      },
    })
    await expect(replay(lab, { log })).rejects.toMatchObject({ code: 'ONCEWARD_E_REPLAY_REFUSED' })
    expect(await lab.read({ topic: 'again.replay', partition: 0 })).toHaveLength(1)
  })

  test('one that another process works on: one of the two gives up, the other comes to the end', async () => {
    lab = await Lab.open({ partitions: 2, rules: RULE_FILES })
    await lab.produce(BETS)
    await work()
    const stop = new AbortController()
    stop.abort()
    await replay(lab, { signal: stop.signal })
    const both = await Promise.allSettled([replay(lab, { disk: new Disk() }), replay(lab, { disk: new Disk() })])
    const ended = both.filter(({ status }) => status === 'fulfilled')
    expect(ended.length).toBeGreaterThan(0)
    for (const result of both) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ONCEWARD_E_LOG_FENCED' })
    }
    expect((await replay(lab)).differences).toEqual([])
  })
})
