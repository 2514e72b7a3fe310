import { describe, expect, test } from 'vitest'
import type { OpenTransaction, Subject } from './harness.ts'
import { expectCode, newTopic, out, outcome, outs, readAll, readTexts, sendAll, unique } from './harness.ts'

/** Atomic commits of records and offsets, fencing, read_committed. */
export function transactionConformance(subject: Subject): void {
  describe('transactions', () => {
    commits(subject)
    fencing(subject)
  })
  describe.skipIf(!subject.features.openTransaction)('open transactions', () => {
    openTransactions(subject)
  })
}

function commits({ log }: Subject): void {
  test('commit makes records of several partitions and offsets visible together', async () => {
    const topic = await newTopic(log(), { partitions: 2 })
    const input = await newTopic(log(), { partitions: 2 })
    const group = unique('g')
    const producer = await log().transactional(unique('tx'))
    const positions = [
      { topic: input, partition: 0, offset: 7 },
      { topic: input, partition: 1, offset: 9 },
    ]
    const ends = await producer.commit({
      records: [...outs(topic, 'a', 2, 0), ...outs(topic, 'b', 3, 1)],
      offsets: { group, positions },
    })
    expect([...ends].sort((x, y) => x.partition - y.partition)).toEqual([
      { topic, partition: 0, nextOffset: 2 },
      { topic, partition: 1, nextOffset: 3 },
    ])
    expect(await readTexts(log(), topic, 0)).toEqual(['a0', 'a1'])
    expect(await readTexts(log(), topic, 1)).toEqual(['b0', 'b1', 'b2'])
    expect(await log().committed(group, positions)).toEqual([7, 9])
    expect(await log().committed(unique('g'), positions)).toEqual([undefined, undefined])
    const [next] = await producer.commit({ records: outs(topic, 'c', 1) })
    expect(next?.nextOffset).toBeGreaterThan(2)
    expect(await readTexts(log(), topic, 0)).toEqual(['a0', 'a1', 'c0'])
    await producer.close()
  })

  test('offsets alone, and nothing at all, can be committed', async () => {
    const topic = await newTopic(log())
    const group = unique('g')
    const producer = await log().transactional(unique('tx'))
    expect(await producer.commit({ records: [] })).toEqual([])
    const positions = [{ topic, partition: 0, offset: 4 }]
    expect(await producer.commit({ records: [], offsets: { group, positions } })).toEqual([])
    expect(await log().committed(group, positions)).toEqual([4])
    await producer.commit({ records: [], offsets: { group, positions: [{ topic, partition: 0, offset: 2 }] } })
    expect(await log().committed(group, positions)).toEqual([2])
    await producer.close()
  })

  test('an empty read moves past the marker that ends a transaction', async () => {
    const topic = await newTopic(log())
    const producer = await log().transactional(unique('tx'))
    const [end] = await producer.commit({ records: outs(topic, 'a', 2) })
    await producer.close()
    const [bounds] = await log().bounds([{ topic, partition: 0 }])
    const reader = await log().reader({ topic, partition: 0 })
    const batch = await reader.read(end?.nextOffset ?? 0)
    expect(batch).toMatchObject({ records: [], fetchOffset: 2, nextOffset: bounds?.end })
    expect((await reader.read(bounds?.end ?? 0)).records).toEqual([])
    await reader.close()
  })

  test('a commit that fails leaves no record and no offset, and the id can be opened again', async () => {
    const topic = await newTopic(log(), { maxRecordBytes: 50_000, partitions: 2 })
    const group = unique('g')
    const id = unique('tx')
    const failing = await log().transactional(id)
    const positions = [{ topic, partition: 0, offset: 1 }]
    const records = [out(topic, 'small'), out(topic, Buffer.alloc(90_000), { partition: 1 })]
    await expectCode(failing.commit({ records, offsets: { group, positions } }), 'ONCEWARD_E_LOG_RECORD_TOO_LARGE')
    await expect(failing.commit({ records: [out(topic, 'late')] })).rejects.toThrow(/./)
    await failing.close()
    const producer = await log().transactional(id)
    await producer.commit({ records: [out(topic, 'good')] })
    await producer.close()
    expect(await readTexts(log(), topic)).toEqual(['good'])
    expect(await readTexts(log(), topic, 1)).toEqual([])
    expect(await log().committed(group, positions)).toEqual([undefined])
  })

  test('many producers commit at once and each transaction stays whole', async () => {
    const topic = await newTopic(log(), { partitions: 2 })
    const ids = Array.from({ length: 4 }, (_, i) => `p${i}-`)
    await Promise.all(
      ids.map(async (prefix) => {
        const producer = await log().transactional(unique('tx'))
        for (let i = 0; i < 5; i++) {
          await producer.commit({
            records: [out(topic, `${prefix}${i}`), out(topic, `${prefix}${i}`, { partition: 1 })],
          })
        }
        await producer.close()
      }),
    )
    for (const partition of [0, 1]) {
      const texts = await readTexts(log(), topic, partition)
      expect(texts).toHaveLength(20)
      for (const prefix of ids) {
        const own = texts.filter((text) => text.startsWith(prefix))
        expect(own).toEqual([0, 1, 2, 3, 4].map((i) => `${prefix}${i}`))
      }
    }
  })
}

function fencing({ log }: Subject): void {
  test('opening a transactional id fences the former producer: its commit is refused whole', async () => {
    const topic = await newTopic(log())
    const group = unique('g')
    const id = unique('tx')
    const zombie = await log().transactional(id)
    await zombie.commit({ records: [out(topic, 'before')] })
    const owner = await log().transactional(id)
    const positions = [{ topic, partition: 0, offset: 99 }]
    const late = { records: [out(topic, 'zombie')], offsets: { group, positions } }
    await expectCode(zombie.commit(late), 'ONCEWARD_E_LOG_FENCED')
    expect(await log().committed(group, positions)).toEqual([undefined])
    await owner.commit({ records: [out(topic, 'after')], offsets: { group, positions } })
    expect(await readTexts(log(), topic)).toEqual(['before', 'after'])
    expect(await log().committed(group, positions)).toEqual([99])
    await zombie.close()
    await owner.close()
  })

  test('a zombie fenced in the middle of its commit is settled before the id is open', async () => {
    const topic = await newTopic(log())
    const group = unique('g')
    const id = unique('tx')
    const positions = [{ topic, partition: 0, offset: 1 }]
    const zombie = await log().transactional(id)
    await zombie.commit({ records: [out(topic, 'first')] })
    const midway = outcome(zombie.commit({ records: outs(topic, 'z', 50), offsets: { group, positions } }))
    const owner = await log().transactional(id)
    const [settled] = await log().bounds([{ topic, partition: 0 }])
    const [committed] = await log().committed(group, positions)
    const came = await midway
    const texts = await readTexts(log(), topic)
    expect(await log().bounds([{ topic, partition: 0 }])).toEqual([settled])
    expect(await log().committed(group, positions)).toEqual([committed])
    expect([1, 51]).toContain(texts.length)
    expect(committed).toBe(texts.length === 51 ? 1 : undefined)
    if (came === 'ok') expect(texts).toHaveLength(51)
    if (came === 'ONCEWARD_E_LOG_FENCED') expect(texts).toHaveLength(1)
    expect(came).not.toBe('ONCEWARD_E_LOG_CLOSED')
    await owner.commit({ records: [out(topic, 'owner')] })
    expect((await readTexts(log(), topic)).at(-1)).toBe('owner')
    await zombie.close()
    await owner.close()
  })

  test('transactional ids do not fence each other', async () => {
    const topic = await newTopic(log())
    const first = await log().transactional(unique('tx'))
    const second = await log().transactional(unique('tx'))
    await first.commit({ records: [out(topic, 'first')] })
    await second.commit({ records: [out(topic, 'second')] })
    expect(await readTexts(log(), topic)).toEqual(['first', 'second'])
    await first.close()
    await second.close()
  })
}

function openTransactions({ log, features }: Subject): void {
  async function begin(id: string, topic: string, values: string[]): Promise<OpenTransaction> {
    const opened = await features.openTransaction?.(
      log(),
      id,
      values.map((value) => out(topic, value)),
    )
    if (!opened) throw new Error('skipped where the feature is missing')
    return opened
  }

  test('records of an open transaction are invisible, and so is what follows them until it ends', async () => {
    const topic = await newTopic(log())
    await sendAll(log(), [out(topic, 'before')])
    const transaction = await begin(unique('tx'), topic, ['open0', 'open1'])
    await sendAll(log(), [out(topic, 'after')])
    expect(await log().bounds([{ topic, partition: 0 }])).toEqual([{ earliest: 0, end: 1 }])
    expect(await readTexts(log(), topic)).toEqual(['before'])
    const reader = await log().reader({ topic, partition: 0 })
    expect(await reader.read(1)).toMatchObject({ records: [], nextOffset: 1 })
    const waiting = reader.read(1, { waitMs: features.patienceMs })
    await transaction.commit()
    expect((await waiting).records[0]?.offset).toBe(1)
    await reader.close()
    expect(await readTexts(log(), topic)).toEqual(['before', 'open0', 'open1', 'after'])
  })

  test('aborted records are never visible, in whatever order transactions end', async () => {
    const topic = await newTopic(log())
    const aborting = await begin(unique('tx'), topic, ['a0', 'a1'])
    const committing = await begin(unique('tx'), topic, ['c0', 'c1'])
    await sendAll(log(), [out(topic, 'plain')])
    await committing.commit()
    expect(await readTexts(log(), topic)).toEqual([])
    await aborting.abort()
    expect(await readTexts(log(), topic)).toEqual(['c0', 'c1', 'plain'])
    const records = await readAll(log(), { topic, partition: 0 })
    expect(records.map((record) => record.offset)).toEqual([2, 3, 4])
  })

  test('opening a transactional id aborts what its former producer left open', async () => {
    const topic = await newTopic(log())
    const id = unique('tx')
    const left = await begin(id, topic, ['left'])
    const producer = await log().transactional(id)
    const [settled] = await log().bounds([{ topic, partition: 0 }])
    expect(settled?.end).toBeGreaterThan(1)
    await expect(left.commit()).rejects.toThrow(/./)
    await producer.commit({ records: [out(topic, 'new')] })
    expect(await readTexts(log(), topic)).toEqual(['new'])
    await producer.close()
  })
}
