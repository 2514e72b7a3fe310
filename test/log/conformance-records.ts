import { describe, expect, test } from 'vitest'
import { expectCode, newTopic, out, outs, readAll, readTexts, sendAll, unique, type Subject } from './harness.ts'

/** Topics, appending, and reading one partition without a group. */
export function recordConformance({ log, features }: Subject): void {
  describe('topics', () => {
    test('createTopics answers those it created and leaves existing ones as they are', async () => {
      const [first, second] = [unique('t'), unique('t')]
      const spec = { topic: first, partitions: 3, cleanup: 'delete' as const, retentionMs: 86_400_000 }
      expect(await log().createTopics([spec])).toEqual([first])
      const again = [
        { ...spec, partitions: 5 },
        { topic: second, partitions: 1, cleanup: 'compact' as const },
      ]
      expect(await log().createTopics(again)).toEqual([second])
      expect(await log().createTopics(again)).toEqual([])
      expect(await log().topic(first)).toMatchObject({ topic: first, partitions: 3 })
      expect((await log().topic(second))?.cleanup ?? 'compact').toBe('compact')
      expect(await log().listTopics()).toEqual(expect.arrayContaining([first, second]))
    })

    test('topic is undefined where there is no such topic', async () => {
      expect(await log().topic(unique('missing'))).toBeUndefined()
    })

    test('a missing topic is an error by name, for writing, reading and consuming', async () => {
      const missing = unique('missing')
      const producer = await log().producer()
      await expectCode(producer.send([out(missing, 'x')]), 'ONCEWARD_E_LOG_TOPIC_MISSING')
      await producer.close()
      const partition = { topic: missing, partition: 0 }
      await expectCode(
        log()
          .reader(partition)
          .then((reader) => reader.read(0)),
        'ONCEWARD_E_LOG_TOPIC_MISSING',
      )
      await expectCode(log().bounds([partition]), 'ONCEWARD_E_LOG_TOPIC_MISSING')
    })

    test('a new partition is empty: bounds 0 to 0, nothing committed', async () => {
      const topic = await newTopic(log(), { partitions: 2 })
      const partitions = [0, 1].map((partition) => ({ topic, partition }))
      expect(await log().bounds(partitions)).toEqual([
        { earliest: 0, end: 0 },
        { earliest: 0, end: 0 },
      ])
      expect(await log().committed(unique('g'), partitions)).toEqual([undefined, undefined])
    })
  })

  describe('records', () => {
    test('send answers the end of each partition, and records keep their order', async () => {
      const topic = await newTopic(log(), { partitions: 2 })
      const producer = await log().producer()
      const ends = await producer.send([...outs(topic, 'a', 3, 0), ...outs(topic, 'b', 2, 1)])
      expect([...ends].sort((x, y) => x.partition - y.partition)).toEqual([
        { topic, partition: 0, nextOffset: 3 },
        { topic, partition: 1, nextOffset: 2 },
      ])
      expect(await producer.send(outs(topic, 'c', 2, 0))).toEqual([{ topic, partition: 0, nextOffset: 5 }])
      expect(await producer.send([])).toEqual([])
      await producer.close()
      const records = await readAll(log(), { topic, partition: 0 })
      expect(records.map((record) => record.offset)).toEqual([0, 1, 2, 3, 4])
      expect(await readTexts(log(), topic)).toEqual(['a0', 'a1', 'a2', 'c0', 'c1'])
      expect(await readTexts(log(), topic, 1)).toEqual(['b0', 'b1'])
      expect(await log().bounds([{ topic, partition: 0 }])).toEqual([{ earliest: 0, end: 5 }])
    })

    test('key, value, timestamp and headers come back as they were, null apart from empty', async () => {
      const topic = await newTopic(log())
      const binary = Buffer.from([0, 255, 128, 10, 13])
      await sendAll(log(), [
        out(topic, binary, {
          key: binary,
          timestamp: 1_761_305_841_123,
          headers: { trace: binary, ünï: Buffer.from('ç') },
        }),
        out(topic, null, { key: 'grüße', timestamp: 1 }),
        out(topic, Buffer.alloc(0), { key: Buffer.alloc(0), timestamp: 2 }),
        out(topic, 'text ☃', { key: null, headers: { empty: Buffer.alloc(0) } }),
      ])
      const [first, tombstone, empty, text] = await readAll(log(), { topic, partition: 0 })
      expect(first).toMatchObject({
        topic,
        partition: 0,
        offset: 0,
        key: binary,
        value: binary,
        timestamp: 1_761_305_841_123,
      })
      expect(first?.headers).toEqual({ trace: binary, ünï: Buffer.from('ç') })
      expect(tombstone).toMatchObject({ key: Buffer.from('grüße'), value: null, timestamp: 1 })
      expect(tombstone?.headers).toBeUndefined()
      expect(empty).toMatchObject({ key: Buffer.alloc(0), value: Buffer.alloc(0), timestamp: 2 })
      expect(text).toMatchObject({ key: null, value: Buffer.from('text ☃') })
      expect(text?.headers).toEqual({ empty: Buffer.alloc(0) })
    })

    test('thousands of records in one send come back in order', async () => {
      const topic = await newTopic(log())
      const sent = outs(topic, 'v', 5_000)
      await sendAll(log(), sent)
      expect(await readTexts(log(), topic)).toEqual(sent.map((record) => record.value))
    })

    test('large records pass; one above the limit is refused by name and nothing of its send stays', async () => {
      const topic = await newTopic(log(), { maxRecordBytes: 200_000 })
      const large = Buffer.alloc(150_000, 7)
      await sendAll(log(), [out(topic, large)])
      const producer = await log().producer()
      const tooLarge = out(topic, Buffer.alloc(250_000, 8))
      await expectCode(producer.send([tooLarge]), 'ONCEWARD_E_LOG_RECORD_TOO_LARGE')
      await producer.close()
      await sendAll(log(), [out(topic, 'after')])
      const records = await readAll(log(), { topic, partition: 0 })
      expect(records.map((record) => record.value?.length)).toEqual([150_000, 5])
      expect(records[0]?.value?.equals(large)).toBe(true)
    })

    test('offsetAt is the first offset with at least that timestamp, else the end', async () => {
      const topic = await newTopic(log())
      const partition = { topic, partition: 0 }
      const at = async (timestamp: number): Promise<number> => log().offsetAt(partition, timestamp)
      expect(await at(5)).toBe(0)
      await sendAll(log(), [out(topic, 'a', { timestamp: 1000 }), out(topic, 'b', { timestamp: 2000 })])
      await sendAll(log(), [out(topic, 'c', { timestamp: 3000 })])
      expect(await Promise.all([0, 1000, 1001, 2000, 2500, 3000, 3001].map(at))).toEqual([0, 0, 1, 1, 2, 2, 3])
    })
  })

  describe('reader', () => {
    test('a read at the end is empty and stays there; one above it is out of range', async () => {
      const topic = await newTopic(log())
      await sendAll(log(), outs(topic, 'v', 3))
      const reader = await log().reader({ topic, partition: 0 })
      expect(await reader.read(3)).toMatchObject({ records: [], fetchOffset: 3, nextOffset: 3, end: 3 })
      await expectCode(reader.read(50), 'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE')
      expect((await reader.read(1)).records.map((record) => record.offset)).toEqual([1, 2])
      await reader.close()
    })

    test('a read in wait gets the first record when it comes', async () => {
      const topic = await newTopic(log())
      const reader = await log().reader({ topic, partition: 0 })
      const waiting = reader.read(0, { waitMs: features.patienceMs })
      await sendAll(log(), outs(topic, 'v', 1))
      expect((await waiting).records.map((record) => record.offset)).toEqual([0])
      expect((await reader.read(1, { waitMs: 5 })).records).toEqual([])
      await reader.close()
    })

    test('bytesMax bounds a batch, which still holds at least one record', async () => {
      const topic = await newTopic(log())
      const value = Buffer.alloc(10_000, 1)
      await sendAll(
        log(),
        Array.from({ length: 20 }, () => out(topic, value)),
      )
      const reader = await log().reader({ topic, partition: 0 })
      const offsets: number[] = []
      let reads = 0
      for (let position = 0; position < 20; reads++) {
        const batch = await reader.read(position, { bytesMax: 100, waitMs: 1000 })
        expect(batch.records.length).toBeGreaterThan(0)
        expect(batch.end).toBe(20)
        offsets.push(...batch.records.map((record) => record.offset))
        position = batch.nextOffset
      }
      expect(offsets).toEqual(Array.from({ length: 20 }, (_, i) => i))
      await reader.close()
    })
  })
}
