import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import { type EmbeddedLog, openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { systemClock } from '../../core/clock.ts'
import { openRocksDb } from '../../state/rocksdb.ts'
import { FaultyKv } from './faulty-kv.ts'
import { expectCode, Member, newTopic, out, outs, readTexts, sendAll, unique, waitFor } from './harness.ts'

const features = { patienceMs: 5_000 }

async function faulty(): Promise<{ kv: FaultyKv; log: EmbeddedLog; topic: string }> {
  const kv = new FaultyKv()
  const log = await openEmbeddedLog({ kv, clock: systemClock, rebalanceTimeoutMs: 150 })
  return { kv, log, topic: await newTopic(log) }
}

describe('embedded log when its store fails', () => {
  test('a commit whose write failed is refused whole, and the log goes on', async () => {
    const { kv, log, topic } = await faulty()
    const at = { topic, partition: 0 }
    const group = unique('g')
    const failing = await log.transactional('id')
    kv.fault = 'lose'
    const positions = [{ ...at, offset: 5 }]
    await expectCode(
      failing.commit({ records: outs(topic, 'a', 3), offsets: { group, positions } }),
      'ONCEWARD_E_LOG_UNAVAILABLE',
    )
    expect(await log.bounds([at])).toEqual([{ earliest: 0, end: 0 }])
    expect(await log.committed(group, [at])).toEqual([undefined])
    const producer = await log.transactional('id')
    await producer.commit({ records: outs(topic, 'b', 2) })
    expect(await readTexts(log, topic)).toEqual(['b0', 'b1'])
  })

  test('a write that landed although it was reported as failed counts', async () => {
    const { kv, log, topic } = await faulty()
    kv.fault = 'land'
    await sendAll(log, outs(topic, 'a', 2))
    await sendAll(log, outs(topic, 'b', 1))
    expect(await readTexts(log, topic)).toEqual(['a0', 'a1', 'b0'])
  })

  test.each(['lose-blind', 'land-blind'] as const)(
    'where the store does not even tell (%s), the outcome is unknown until the id is opened again',
    async (fault) => {
      const { kv, log, topic } = await faulty()
      const failing = await log.transactional('id')
      kv.fault = fault
      await expectCode(failing.commit({ records: outs(topic, 'a', 1) }), 'ONCEWARD_E_LOG_COMMIT_UNKNOWN')
      await expectCode(log.transactional('id'), 'ONCEWARD_E_LOG_UNAVAILABLE')
      kv.blind = false
      const producer = await log.transactional('id')
      expect(await readTexts(log, topic)).toEqual(fault === 'land-blind' ? ['a0'] : [])
      await producer.commit({ records: outs(topic, 'b', 1) })
      expect((await readTexts(log, topic)).at(-1)).toBe('b0')
    },
  )

  test('requests that share a write share its failure; one refused for its own fault harms no other', async () => {
    const { kv, log, topic } = await faulty()
    const producer = await log.producer()
    kv.fault = 'lose'
    const failed = await Promise.allSettled([1, 2, 3].map((i) => producer.send([out(topic, `lost${i}`)])))
    expect(failed.map((result) => result.status)).toEqual(['rejected', 'rejected', 'rejected'])
    const mixed = await Promise.allSettled([
      producer.send([out(topic, 'good1')]),
      producer.send([out('nowhere', 'bad')]),
      producer.send([out(topic, 'good2')]),
    ])
    expect(mixed.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await readTexts(log, topic)).toEqual(['good1', 'good2'])
  })
})

describe('embedded log, whole transactions', () => {
  test('a commit refused at its last step leaves nothing of the earlier ones, and harms no other in the same write', async () => {
    const { log, topic } = await faulty()
    const [bad, good] = [await log.transactional('bad'), await log.transactional('good')]
    const positions = [{ topic: 'nowhere', partition: 0, offset: 1 }]
    const results = await Promise.allSettled([
      good.commit({ records: [out(topic, 'good0')] }),
      bad.commit({ records: [out(topic, 'bad')], offsets: { group: 'g', positions } }),
      good.commit({ records: [out(topic, 'good1')] }),
    ])
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await readTexts(log, topic)).toEqual(['good0', 'good1'])
    expect(await log.bounds([{ topic, partition: 0 }])).toEqual([{ earliest: 0, end: 4 }])
  })

  test('committed waits for an open transaction that may still move the position', async () => {
    const { log, topic } = await faulty()
    const at = { topic, partition: 0 }
    const transaction = await log.stepped('id')
    await transaction.addOffsets({ group: 'g', positions: [{ ...at, offset: 3 }] })
    let answered = false
    const committed = log.committed('g', [at]).finally(() => {
      answered = true
    })
    expect(await log.committed('other', [at])).toEqual([undefined])
    expect(answered).toBe(false)
    await transaction.end('commit')
    expect(await committed).toEqual([3])
  })
})

describe('embedded log under a stuck member', () => {
  test('run ends with the first error only when the batches under way are done', async () => {
    const { log } = await faulty()
    const topic = await newTopic(log, { partitions: 2 })
    await sendAll(log, [...outs(topic, 'a', 1, 0), ...outs(topic, 'b', 1, 1)])
    const gate = new AbortController()
    let working = 0
    const member = new Member(log, unique('g'), topic, {
      batch: async (batch) => {
        working += 1
        if (batch.partition === 0) await new Promise((resolve) => gate.signal.addEventListener('abort', resolve))
        working -= 1
        if (batch.partition === 1) throw new Error('partition 1 failed')
        return batch.nextOffset
      },
    }).start()
    await waitFor(() => expect(member.batches).toBe(2), features)
    await Promise.race([member.running.catch(() => undefined), systemClock.sleep(50)])
    expect(working).toBe(1)
    let workingAtEnd = -1
    const ended = member.running.catch(() => {
      workingAtEnd = working
    })
    gate.abort()
    await ended
    expect(workingAtEnd).toBe(0)
    await expect(member.running).rejects.toThrow('partition 1 failed')
  })

  test('closing the log ends the run of a member that was thrown out and is still stuck', async () => {
    const { log, topic } = await faulty()
    await sendAll(log, outs(topic, 'v', 1))
    const group = unique('g')
    const stuck = new Member(log, group, topic, {
      sessionTimeoutMs: 50,
      batch: () => new Promise<number>(() => undefined),
    }).start()
    await waitFor(() => expect(stuck.batches).toBe(1), features)
    const other = new Member(log, group, topic).start()
    await other.joined(features)
    await log.close()
    await expectCode(stuck.running, 'ONCEWARD_E_LOG_CLOSED')
    await expectCode(other.running, 'ONCEWARD_E_LOG_CLOSED')
  })

  test('a batch that holds up the hand-over too long costs its member the seat, though it heartbeats', async () => {
    const { log, topic } = await faulty()
    await sendAll(log, outs(topic, 'v', 1))
    const group = unique('g')
    const over = new AbortController()
    const stuck = new Member(log, group, topic, {
      batch: async (batch, control) => {
        while (!over.signal.aborted) {
          await control.heartbeat()
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
        return batch.fetchOffset
      },
    }).start()
    await waitFor(() => expect(stuck.batches).toBe(1), features)
    const stopping = stuck.consumer.stop()
    const other = new Member(log, group, topic).start()
    await waitFor(() => expect(other.texts).toEqual(['v0']), features)
    expect(stuck.owned.size).toBe(1)
    over.abort()
    await stopping
    await stuck.running
    expect(stuck.owned.size).toBe(0)
    await other.stop()
  })
})

describe('embedded log on RocksDB', () => {
  test('a killed process loses nothing that it was told is committed, and no transaction is half there', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'onceward-kill-'))
    const writer = join(import.meta.dirname, 'killed-writer.ts')
    const child = spawn(process.execPath, ['--import', 'tsx', writer, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let acknowledged = -1
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line)
      if (acknowledged === 200) child.kill('SIGKILL')
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    expect(acknowledged).toBeGreaterThanOrEqual(200)
    const kv = await openRocksDb(directory)
    const log = await openEmbeddedLog({ kv, clock: systemClock })
    const [first, second] = [await readTexts(log, 'killed', 0), await readTexts(log, 'killed', 1)]
    expect(first.length).toBeGreaterThan(acknowledged)
    expect(second).toEqual(first)
    expect(first).toEqual(Array.from({ length: first.length }, (_, i) => `${i}`))
    expect(await log.committed('killed', [{ topic: 'killed', partition: 0 }])).toEqual([first.length])
    await log.close()
    await kv.close()
    await rm(directory, { recursive: true })
  })
})
