import { describe, expect, test } from 'vitest'
import { HOUR_MS } from '../../core/durations.ts'
import { expectCode, newTopic, out, outs, readAll, sendAll, type Subject } from './harness.ts'

/** Compaction and retention, where the log under test can be made to do them at once. */
export function cleanupConformance({ log, features }: Subject): void {
  describe.skipIf(!features.compact)('compaction', () => {
    test('the last value of each key stays, at its offset; the end never moves back', async () => {
      const topic = await newTopic(log(), { cleanup: 'compact', deleteRetentionMs: 0 })
      const partition = { topic, partition: 0 }
      const write = (key: string, value: string | null) => out(topic, value, { key })
      await sendAll(log(), [write('a', '1'), write('b', '1'), write('a', '2'), write('c', '1')])
      await sendAll(log(), [write('c', null), write('b', '2')])
      const [before] = await log().bounds([partition])
      await features.compact?.(log(), partition)
      const records = (await readAll(log(), partition)).filter((record) => record.offset < 5)
      expect(records.map((record) => [record.offset, record.key?.toString(), record.value?.toString()])).toEqual([
        [2, 'a', '2'],
      ])
      const [after] = await log().bounds([partition])
      expect(after?.end).toBeGreaterThanOrEqual(before?.end ?? 0)
      await sendAll(log(), [write('d', '1')])
      const last = (await readAll(log(), partition)).at(-1)
      expect(last?.offset).toBeGreaterThanOrEqual(before?.end ?? 0)
    })
  })

  describe.skipIf(!features.expire)('retention', () => {
    test('records older than retentionMs go, the earliest offset moves, reading below it is out of range', async () => {
      const topic = await newTopic(log(), { retentionMs: 60_000 })
      const partition = { topic, partition: 0 }
      const old = Date.now() - HOUR_MS
      await sendAll(
        log(),
        outs(topic, 'old', 3).map((record) => ({ ...record, timestamp: old })),
      )
      await sendAll(log(), [out(topic, 'new', { timestamp: Date.now() + HOUR_MS })])
      await features.expire?.(log(), partition)
      const [bounds] = await log().bounds([partition])
      expect(bounds?.end).toBe(4)
      expect(bounds?.earliest).toBeGreaterThan(0)
      const reader = await log().reader(partition)
      await expectCode(reader.read(0), 'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE')
      await reader.close()
    })
  })
}
