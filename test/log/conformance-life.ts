import { describe, expect, test } from 'vitest'
import { expectCode, Member, newTopic, out, readTexts, sendAll, unique, type Subject } from './harness.ts'

/** Closing, and opening again on the same data. The last files of the suite: they replace the shared log. */
export function lifeConformance({ log, open, opened, reopen, features }: Subject): void {
  describe('close', () => {
    test('what waits when the log closes ends with ONCEWARD_E_LOG_CLOSED, and so does every later call', async () => {
      const own = await open()
      const topic = await newTopic(own.log)
      const reader = await own.log.reader({ topic, partition: 0 })
      const producer = await own.log.producer()
      const member = new Member(own.log, unique('g'), topic).start()
      await member.joined(features)
      const waiting = expectCode(reader.read(0, { waitMs: 600_000 }), 'ONCEWARD_E_LOG_CLOSED')
      const running = expectCode(member.running, 'ONCEWARD_E_LOG_CLOSED')
      await own.log.close()
      await waiting
      await running
      await member.consumer.stop()
      await expectCode(producer.send([out(topic, 'late')]), 'ONCEWARD_E_LOG_CLOSED')
      await expectCode(reader.read(0), 'ONCEWARD_E_LOG_CLOSED')
      await expectCode(own.log.bounds([{ topic, partition: 0 }]), 'ONCEWARD_E_LOG_CLOSED')
      await expectCode(own.log.transactional(unique('tx')), 'ONCEWARD_E_LOG_CLOSED')
      await expectCode(own.log.consumer({ group: unique('g'), topics: [topic] }).run(member), 'ONCEWARD_E_LOG_CLOSED')
      await own.log.close()
      await own.close()
    })
  })

  describe('reopen', () => {
    test('records, transactions, offsets, topics and fencing outlive the process', async (context) => {
      context.skip(!opened().reopen, 'this log is not reopened')
      const topic = await newTopic(log(), { partitions: 2 })
      const group = unique('g')
      const id = unique('tx')
      const positions = [{ topic, partition: 1, offset: 5 }]
      await sendAll(log(), [out(topic, 'plain')])
      const former = await log().transactional(id)
      await former.commit({ records: [out(topic, 'one')], offsets: { group, positions } })
      const before = await log().bounds([{ topic, partition: 0 }])
      if (features.openTransaction) await features.openTransaction(log(), unique('tx'), [out(topic, 'left')])
      await reopen()
      expect(await log().topic(topic)).toMatchObject({ partitions: 2, cleanup: 'delete' })
      expect(await readTexts(log(), topic)).toEqual(['plain', 'one'])
      expect(await log().committed(group, positions)).toEqual([5])
      const producer = await log().transactional(id)
      const [end] = await producer.commit({ records: [out(topic, 'two')] })
      expect(end?.nextOffset).toBeGreaterThan(before[0]?.end ?? 0)
      await producer.close()
    })
  })
}
