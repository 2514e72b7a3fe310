import { describe, expect, test } from 'vitest'
import { membershipConformance } from './conformance-membership.ts'
import { expectCode, Member, newTopic, out, outs, sendAll, unique, waitFor, type Subject } from './harness.ts'

/** Consumer groups: delivery, positions, hand-over between members. */
export function groupConformance(subject: Subject): void {
  describe('groups: delivery', () => {
    delivery(subject)
  })
  describe('groups: positions', () => {
    positions(subject)
  })
  describe('groups: members', () => {
    membershipConformance(subject)
  })
}

function delivery({ log, features }: Subject): void {
  test('a lone member gets every partition and every committed record, in order', async () => {
    const topic = await newTopic(log(), { partitions: 3 })
    for (const partition of [0, 1, 2]) await sendAll(log(), outs(topic, `p${partition}-`, 20, partition))
    const member = new Member(log(), unique('g'), topic).start()
    await waitFor(() => expect(member.records).toHaveLength(60), features)
    const late = await log().transactional(unique('tx'))
    await late.commit({ records: outs(topic, 'tx-', 5, 1) })
    await late.close()
    await waitFor(() => expect(member.records).toHaveLength(65), features)
    for (const partition of [0, 1, 2]) {
      const own = member.records.filter((record) => record.partition === partition)
      const offsets = own.map((record) => record.offset)
      expect(offsets).toEqual([...offsets].sort((a, b) => a - b))
      expect(own).toHaveLength(partition === 1 ? 25 : 20)
    }
    expect(member.owned.size).toBe(3)
    await member.stop()
    expect(member.owned.size).toBe(0)
  })

  test('no batch of a gained partition comes before rebalanced has resolved', async () => {
    const topic = await newTopic(log())
    await sendAll(log(), outs(topic, 'v', 3))
    let resolved = false
    const early: boolean[] = []
    const member = new Member(log(), unique('g'), topic, {
      rebalanced: async ({ gained }) => {
        if (gained.length === 0) return
        await new Promise((resolve) => setTimeout(resolve, 50))
        resolved = true
      },
      batch: async (batch, _control, self) => {
        early.push(!resolved)
        return self.take(batch)
      },
    }).start()
    await waitFor(() => expect(member.records).toHaveLength(3), features)
    expect(early).not.toContain(true)
    await member.stop()
  })

  test('partitions are worked on at once, each with one batch at a time', async () => {
    const topic = await newTopic(log(), { partitions: 2 })
    const inside = new Set<number>()
    let together: () => void = () => undefined
    const both = new Promise<void>((resolve) => {
      together = resolve
    })
    const member = new Member(log(), unique('g'), topic, {
      batch: async (batch, _control, self) => {
        inside.add(batch.partition)
        if (inside.size === 2) together()
        await both
        return self.take(batch)
      },
    }).start()
    await member.joined(features, 2)
    await sendAll(log(), [...outs(topic, 'a', 2, 0), ...outs(topic, 'b', 2, 1)])
    await waitFor(() => expect(member.records).toHaveLength(4), features)
    await member.stop()
  })

  test('a rejection of batch or of rebalanced ends run with that error', async () => {
    const topic = await newTopic(log())
    await sendAll(log(), outs(topic, 'v', 1))
    const inBatch = new Member(log(), unique('g'), topic, {
      batch: () => Promise.reject(new Error('the batch failed')),
    }).start()
    await expect(inBatch.running).rejects.toThrow('the batch failed')
    await inBatch.consumer.stop()
    const inRebalance = new Member(log(), unique('g'), topic, {
      rebalanced: () => Promise.reject(new Error('the rebalance failed')),
    }).start()
    await expect(inRebalance.running).rejects.toThrow('the rebalance failed')
    expect(inRebalance.batches).toBe(0)
    await inRebalance.consumer.stop()
  })
}

function positions({ log, features }: Subject): void {
  test('a group goes on where it committed; another group begins at the earliest record', async () => {
    const topic = await newTopic(log())
    const group = unique('g')
    await sendAll(log(), outs(topic, 'a', 3))
    const first = new Member(log(), group, topic).start()
    await waitFor(() => expect(first.records).toHaveLength(3), features)
    await first.stop()
    expect(await log().committed(group, [{ topic, partition: 0 }])).toEqual([3])
    await sendAll(log(), outs(topic, 'b', 2))
    const second = new Member(log(), group, topic).start()
    const other = new Member(log(), unique('g'), topic).start()
    await waitFor(() => expect([second.records.length, other.records.length]).toEqual([2, 5]), features)
    expect(second.texts).toEqual(['b0', 'b1'])
    await second.stop()
    await other.stop()
  })

  test('offsets committed in a transaction are where the group goes on', async () => {
    const topic = await newTopic(log())
    const group = unique('g')
    await sendAll(log(), outs(topic, 'a', 5))
    const producer = await log().transactional(unique('tx'))
    await producer.commit({ records: [], offsets: { group, positions: [{ topic, partition: 0, offset: 3 }] } })
    await producer.close()
    const member = new Member(log(), group, topic).start()
    await waitFor(() => expect(member.texts).toEqual(['a3', 'a4']), features)
    await member.stop()
  })

  test('the handler’s start offset outranks the committed one', async () => {
    const topic = await newTopic(log())
    const group = unique('g')
    await sendAll(log(), outs(topic, 'a', 5))
    const producer = await log().transactional(unique('tx'))
    await producer.commit({ records: [], offsets: { group, positions: [{ topic, partition: 0, offset: 4 }] } })
    await producer.close()
    const member = new Member(log(), group, topic, { startOffset: () => 2 }).start()
    await waitFor(() => expect(member.texts).toEqual(['a2', 'a3', 'a4']), features)
    await member.stop()
  })

  test('a position below nextOffset makes the records come again', async () => {
    const topic = await newTopic(log())
    await sendAll(log(), outs(topic, 'a', 4))
    const firsts: number[] = []
    const member = new Member(log(), unique('g'), topic, {
      batch: async (batch, _control, self) => {
        firsts.push(batch.records[0]?.offset ?? -1)
        if (firsts.length < 3) return batch.fetchOffset
        return firsts.length === 3 ? 1 : self.take(batch)
      },
    }).start()
    await waitFor(() => expect(member.records).toHaveLength(3), features)
    expect(firsts).toEqual([0, 0, 0, 1])
    expect(member.texts).toEqual(['a1', 'a2', 'a3'])
    await member.stop()
  })

  test('stop finishes the batch under way, delivers all partitions as lost, and is idempotent', async () => {
    const topic = await newTopic(log(), { partitions: 2 })
    await sendAll(log(), [out(topic, 'x')])
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const member = new Member(log(), unique('g'), topic, {
      batch: async (batch, _control, self) => {
        await gate
        return self.take(batch)
      },
    }).start()
    await waitFor(() => expect(member.batches).toBe(1), features)
    const stopping = Promise.all([member.consumer.stop(), member.consumer.stop()])
    expect(member.owned.size).toBe(2)
    release()
    await stopping
    await member.running
    expect(member.texts).toEqual(['x'])
    expect(member.changes.at(-1)).toEqual({ gained: [], lost: [`${topic}/0`, `${topic}/1`] })
    expect(member.violations).toEqual([])
    await member.consumer.stop()
    await expectCode(member.consumer.commit([{ topic, partition: 0, offset: 1 }]), 'ONCEWARD_E_LOG_FENCED')
  })
}
