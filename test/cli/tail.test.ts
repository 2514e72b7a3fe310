import { beforeEach, describe, expect, test, vi } from 'vitest'
import { recordLine, tail, type TailOptions } from '../../cli/log-tools/tail.ts'
import { createTopics, topicSpecs } from '../../cli/log-tools/topics.ts'
import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { systemClock } from '../../core/clock.ts'
import { DAY_MS } from '../../core/durations.ts'
import type { Log, OutRecord } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { memoryKv } from '../../state/memory-kv.ts'

const TOPICS = topicNames()
const never = new AbortController().signal
const plan = { topics: TOPICS, partitions: 3, retentionMs: 7 * DAY_MS }

let log: Log
beforeEach(async () => {
  log = await openEmbeddedLog({ kv: memoryKv(), clock: systemClock })
})

async function send(records: readonly Partial<OutRecord>[]): Promise<void> {
  const producer = await log.producer()
  await producer.send(
    records.map((record) => ({ topic: TOPICS.events, partition: 0, key: 'k', value: '{}', timestamp: 0, ...record })),
  )
  await producer.close()
}

describe('tail', () => {
  const options: TailOptions = { topic: TOPICS.events, from: 'beginning', toEnd: true }

  async function lines(more: Partial<TailOptions> = {}, signal = never): Promise<Record<string, unknown>[]> {
    let text = ''
    await tail(
      { ...options, ...more },
      { log, clock: systemClock, signal, print: (part) => Promise.resolve(void (text += part)) },
    )
    return text === ''
      ? []
      : text
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  test('prints every committed record from the beginning to the end, and only those', async () => {
    await createTopics(log, topicSpecs(plan))
    await send(Array.from({ length: 1_000 }, (_, i) => ({ partition: i % 3, key: `u${i}`, value: `{"n":${i}}` })))
    const found = await lines()
    expect(found).toHaveLength(1_000)
    expect(found.map(({ value }) => (value as { n: number }).n).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i),
    )
    expect(await lines({ partition: 1 })).toHaveLength(333)
    expect(await lines({ partition: 1, from: 300 })).toHaveLength(33)
    expect(await lines({ key: 'u77' })).toMatchObject([{ key: 'u77', partition: 2, value: { n: 77 } }])
    expect(await lines({ from: 'end' })).toEqual([])
  })

  test('under --to-end it prints nothing that came after it began', async () => {
    await createTopics(log, topicSpecs({ ...plan, partitions: 1 }))
    await send([{ value: '1' }, { value: '2' }, { value: '3' }])
    vi.spyOn(log, 'bounds').mockResolvedValue([{ earliest: 0, end: 2 }])
    expect((await lines()).map(({ value }) => value)).toEqual([1, 2])
  })

  test('without --to-end it goes on with what is written, until it is stopped', async () => {
    await createTopics(log, topicSpecs(plan))
    await send([{ value: '1' }])
    const abort = new AbortController()
    const seen: unknown[] = []
    const following = tail(
      { ...options, toEnd: false },
      {
        log,
        clock: systemClock,
        signal: abort.signal,
        print: async (part) => {
          seen.push(
            ...part
              .trimEnd()
              .split('\n')
              .map((line) => (JSON.parse(line) as { value: unknown }).value),
          )
          if (seen.length === 1) await send([{ partition: 2, value: '2' }])
          else abort.abort()
        },
      },
    )
    await following
    expect(seen).toEqual([1, 2])
  })

  test('a topic, partition or offset that is not there is named, with what there is', async () => {
    await createTopics(log, topicSpecs(plan))
    await expect(lines({ topic: 'reward.task' })).rejects.toThrow(/no topic reward\.task; did you mean reward\.tasks\?/)
    await expect(lines({ partition: 3 })).rejects.toThrow(/has no partition 3; its partitions are 0 to 2/)
    await expect(lines({ partition: 0, from: 9 })).rejects.toThrow(/has no offset 9; it holds 0 to 0/)
  })

  test.each<[string, Buffer | null, string]>([
    ['JSON', Buffer.from('{"amount": 1.10}'), '"value":{"amount": 1.10}'],
    ['JSON over several lines', Buffer.from('{\n"a": 1}'), '"value":{"a":1}'],
    ['text', Buffer.from('plain "text"'), '"value":"plain \\"text\\""'],
    ['bytes', Buffer.from([0xff, 0]), '"value":null,"value_base64":"/wA="'],
    ['JSON that is no UTF-8', Buffer.from('{"a":"\xff"}', 'latin1'), '"value":null,"value_base64":"eyJhIjoi/yJ9"'],
    ['nothing (a tombstone)', null, '"value":null'],
    ['empty', Buffer.alloc(0), '"value":""'],
  ])('a value of %s is one line of JSON', (_, value, expected) => {
    const line = recordLine({
      topic: 't',
      partition: 1,
      offset: 2,
      timestamp: 1_761_305_841_000,
      key: Buffer.from('ключ'),
      value,
    })
    expect(line).toBe(
      `{"topic":"t","partition":1,"offset":2,"key":"ключ","timestamp":"2025-10-24T11:37:21.000Z",${expected}}`,
    )
    expect(() => JSON.parse(line) as unknown).not.toThrow()
  })

  test('headers are shown where there are some', () => {
    const headers = { tick: Buffer.from('1'), raw: Buffer.from([0xff]) }
    const line = recordLine({ topic: 't', partition: 0, offset: 0, timestamp: 0, key: null, value: null, headers })
    expect(JSON.parse(line)).toMatchObject({ key: null, headers: { tick: '1', raw: { base64: '/w==' } } })
  })
})
