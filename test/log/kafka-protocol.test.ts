/** The pure parts of the Kafka adapter: what failures mean, who reads what, how records lie in a batch. */
import { createRequire } from 'node:module'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { planRounds } from '../../connectors/log/kafka/appender.ts'
import {
  assign,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type GroupMember,
} from '../../connectors/log/kafka/assignment.ts'
import { crc32c } from '../../connectors/log/kafka/crc32c.ts'
import { decideEndTransaction, kindOf, toOncewardError } from '../../connectors/log/kafka/failures.ts'
import { errorOfCode } from '../../connectors/log/kafka/internals.ts'
import { readRecords } from '../../connectors/log/kafka/record-batch-reader.ts'
import { recordBytesMax, writeRecordBatch } from '../../connectors/log/kafka/record-batch-writer.ts'
import type { OutRecord, TopicPartition } from '../../core/ports/log.ts'

describe('what a failure means', () => {
  // codes: org.apache.kafka.common.protocol.Errors
  test.each([
    [47, 'producer-fenced', 'ONCEWARD_E_LOG_FENCED'],
    [90, 'producer-fenced', 'ONCEWARD_E_LOG_FENCED'],
    [48, 'producer-lost', 'ONCEWARD_E_LOG_UNAVAILABLE'],
    [45, 'producer-lost', 'ONCEWARD_E_LOG_UNAVAILABLE'],
    [51, 'concurrent', 'ONCEWARD_E_LOG_UNAVAILABLE'],
    [88, 'concurrent', 'ONCEWARD_E_LOG_UNAVAILABLE'],
    [14, 'not-ready', 'ONCEWARD_E_LOG_UNAVAILABLE'],
    [16, 'not-ready', 'ONCEWARD_E_LOG_UNAVAILABLE'],
    [6, 'not-ready', 'ONCEWARD_E_LOG_UNAVAILABLE'],
    [1, 'offset-out-of-range', 'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE'],
    [3, 'topic-missing', 'ONCEWARD_E_LOG_TOPIC_MISSING'],
    [38, 'brokers-missing', 'ONCEWARD_E_LOG_REFUSED'],
    [10, 'too-large', 'ONCEWARD_E_LOG_RECORD_TOO_LARGE'],
    [22, 'member-out', 'ONCEWARD_E_LOG_FENCED'],
    [25, 'member-out', 'ONCEWARD_E_LOG_FENCED'],
    [27, 'rebalancing', 'ONCEWARD_E_LOG_UNAVAILABLE'],
    [29, 'refused', 'ONCEWARD_E_LOG_REFUSED'],
    [-1, 'not-ready', 'ONCEWARD_E_LOG_UNAVAILABLE'],
    [999, 'refused', 'ONCEWARD_E_LOG_REFUSED'],
  ] as const)('error code %i is %s', (code, kind, onceward) => {
    expect(kindOf(errorOfCode(code))).toBe(kind)
    expect(toOncewardError(errorOfCode(code), 'do it').code).toBe(onceward)
    // as kafkajs wraps it
    const wrapped = Object.assign(new Error('wrapped', { cause: errorOfCode(code) }), {
      name: 'KafkaJSNonRetriableError',
    })
    expect(kindOf(wrapped)).toBe(kind)
  })

  test('a bug of ours is not taken for a broker that is away', () => {
    expect(kindOf(new TypeError('x is not a function'))).toBe('refused')
    expect(kindOf('a string')).toBe('refused')
  })
})

describe('the end of a transaction', () => {
  const decide = (kind: Parameters<typeof decideEndTransaction>[0]['kind'], uncertain: boolean, outOfTime: boolean) =>
    decideEndTransaction({ kind, uncertain, outOfTime }).step

  test.each([
    ['producer-fenced', false, false, 'fenced'],
    ['producer-fenced', true, false, 'unknown'],
    ['producer-lost', false, false, 'aborted'],
    ['producer-lost', true, false, 'unknown'],
    ['refused', false, false, 'aborted'],
    ['refused', true, false, 'unknown'],
    ['unreachable', false, false, 'retry'],
    ['unreachable', false, true, 'unknown'],
    ['not-ready', false, false, 'retry'],
    ['not-ready', false, true, 'unknown'],
    ['concurrent', false, false, 'retry'],
    ['concurrent', false, true, 'aborted'],
    ['concurrent', true, true, 'unknown'],
  ] as const)('%s, uncertain %s, out of time %s: %s', (kind, uncertain, outOfTime, step) => {
    expect(decide(kind, uncertain, outOfTime)).toBe(step)
  })

  test('once uncertain, always uncertain', () => {
    expect(decideEndTransaction({ kind: 'unreachable', uncertain: false, outOfTime: false }).uncertain).toBe(true)
    expect(decideEndTransaction({ kind: 'concurrent', uncertain: true, outOfTime: false }).uncertain).toBe(true)
  })
})

const key = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

describe('assignment', () => {
  const counts = fc.integer({ min: 1, max: 12 }).map((n) => new Map([['t', n]]))
  const ids = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 5 })

  /** Rounds as the group plays them: what a member is not given it lets go, then joins again. */
  function settle(members: readonly GroupMember[], partitions: ReadonlyMap<string, number>): readonly GroupMember[] {
    let now = members
    for (let round = 0; round < 3; round += 1) {
      const given = assign(now, partitions)
      now = now.map((m) => ({ ...m, owned: given.get(m.memberId)?.owned ?? [] }))
    }
    return now
  }

  const fresh = (names: readonly string[]): GroupMember[] =>
    names.map((memberId) => ({ memberId, topics: ['t'], owned: [], stored: [], copies: 0 }))

  test('after three rounds every partition has one owner, and numbers differ by at most one', () => {
    fc.assert(
      fc.property(counts, ids, ids, (partitions, before, after) => {
        const settled = settle(fresh(before), partitions)
        const held = new Map(settled.map((m) => [m.memberId, m.owned]))
        const joined = after.map((memberId) => ({
          memberId,
          topics: ['t'],
          owned: held.get(memberId) ?? [],
          stored: [],
          copies: 0,
        }))
        const result = settle(joined, partitions)
        const all = result.flatMap((m) => m.owned.map(key))
        expect(all.length).toBe(partitions.get('t'))
        expect(new Set(all).size).toBe(all.length)
        const sizes = result.map((m) => m.owned.length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('no round gives a partition to one member while another still holds it', () => {
    fc.assert(
      fc.property(counts, ids, fc.infiniteStream(fc.nat()), (partitions, names, dice) => {
        const members = fresh(names).map((m) => ({ ...m, owned: [] as TopicPartition[] }))
        for (let partition = 0; partition < (partitions.get('t') ?? 0); partition += 1) {
          const holder = members[(dice.next().value ?? 0) % (members.length + 1)]
          holder?.owned.push({ topic: 't', partition })
        }
        const given = assign(members, partitions)
        for (const [memberId, { owned: own }] of given) {
          for (const p of own) {
            const holder = members.find((m) => m.owned.some((o) => key(o) === key(p)))
            expect(holder?.memberId ?? memberId).toBe(memberId)
          }
        }
      }),
    )
  })

  test('a member that joins takes only its share; the others keep the rest of theirs', () => {
    const partitions = new Map([['t', 8]])
    const two = settle(fresh(['a', 'b']), partitions)
    const three = settle([...two, { memberId: 'c', topics: ['t'], owned: [], stored: [], copies: 0 }], partitions)
    for (const member of two) {
      const kept = three.find((m) => m.memberId === member.memberId)?.owned.map(key) ?? []
      expect(member.owned.map(key)).toEqual(expect.arrayContaining(kept))
      expect(kept.length).toBeGreaterThanOrEqual(2)
    }
  })

  test('a member that comes back gets the partitions whose state it has, whoever holds them meanwhile', () => {
    const of = (...numbers: number[]): TopicPartition[] => numbers.map((partition) => ({ topic: 't', partition }))
    const choices = fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 3, maxLength: 3 })
    fc.assert(
      fc.property(choices, fc.boolean(), (mine, taken) => {
        const all = of(0, 1, 2, 3, 4, 5)
        const others = all.filter(({ partition }) => !mine.includes(partition))
        const stayed = { memberId: 'a', topics: ['t'], owned: taken ? all : others, stored: all, copies: 0 }
        const back = { memberId: 'b', topics: ['t'], owned: [], stored: of(...mine), copies: 0 }
        const settled = settle([stayed, back], new Map([['t', 6]]))
        expect(settled[1]?.owned.map(({ partition }) => partition).sort((a, b) => a - b)).toEqual(
          [...mine].sort((a, b) => a - b),
        )
      }),
    )
  })

  test('a partition without an owner goes to the member that has come furthest with its state', () => {
    const at = (reached: number) => [{ topic: 't', partition: 0, reached }]
    const members = ['a', 'b', 'c'].map((memberId, i) => ({
      memberId,
      topics: ['t'],
      owned: [],
      stored: at([5, 9, 7][i] ?? 0),
      copies: 0,
    }))
    expect(assign(members, new Map([['t', 1]])).get('b')?.owned).toEqual([{ topic: 't', partition: 0 }])
  })

  test('partitions of the same number go to the same member', () => {
    const members = ['a', 'b', 'c'].map((memberId) => ({
      memberId,
      topics: ['x', 'y'],
      owned: [],
      stored: [],
      copies: 0,
    }))
    const given = assign(
      members,
      new Map([
        ['x', 6],
        ['y', 6],
      ]),
    )
    for (const { owned: own } of given.values()) {
      const numbers = (topic: string): number[] => own.filter((p) => p.topic === topic).map((p) => p.partition)
      expect(numbers('x')).toEqual(numbers('y'))
    }
  })

  test('subscriptions and assignments come back as they were', () => {
    const owned = [
      { topic: 'x', partition: 0 },
      { topic: 'x', partition: 7 },
      { topic: 'y', partition: 3 },
    ]
    const stored = [
      { topic: 'x', partition: 5, reached: 2 ** 40 },
      { topic: 'y', partition: 0, reached: 0 },
    ]
    const subscription = { topics: ['x', 'y'], owned, stored, copies: 2 }
    expect(decodeSubscription(encodeSubscription(subscription))).toEqual(subscription)
    const standby = [{ topic: 'x', partition: 2 }]
    expect(decodeAssignment(encodeAssignment({ owned, standby }))).toEqual({ owned, standby })
    expect(decodeAssignment(encodeAssignment({ owned, standby: [] }))).toEqual({ owned, standby: [] })
    expect(decodeAssignment(Buffer.alloc(0))).toEqual({ owned: [], standby: [] })
  })
})

const bytes = fc.oneof(
  fc.constant(null),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.from(b)),
)
const record: fc.Arbitrary<OutRecord> = fc.record(
  {
    topic: fc.constant('t'),
    partition: fc.constant(0),
    key: bytes,
    value: bytes,
    timestamp: fc.integer({ min: 0, max: 4_000_000_000_000 }),
    headers: fc.dictionary(
      fc.string({ minLength: 1 }),
      fc.uint8Array({ maxLength: 20 }).map((b) => Buffer.from(b)),
    ),
  },
  { requiredKeys: ['topic', 'partition', 'key', 'value', 'timestamp'] },
)
const PRODUCER = { producerId: 77, producerEpoch: 3, baseSequence: 5, transactional: true }
const source = (fetchOffset: number, aborted: { producerId: number; firstOffset: number }[] = []) => ({
  topic: 't',
  partition: 0,
  fetchOffset,
  aborted,
})

/** A batch as the broker stores it: with its base offset filled in. */
function stored(records: readonly OutRecord[], baseOffset: number, producerId = 77): Buffer {
  const batch = writeRecordBatch(records, { ...PRODUCER, producerId })
  batch.writeBigInt64BE(BigInt(baseOffset), 0)
  return batch
}

/** The control batch that ends a transaction. */
function marker(type: 'abort' | 'commit', offset: number, producerId = 77): Buffer {
  const key = Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1])
  const batch = stored([{ topic: 't', partition: 0, key, value: Buffer.alloc(6), timestamp: 0 }], offset, producerId)
  batch.writeInt16BE(0x30, 21)
  return batch
}

const plain = (value: string, key: Buffer | string | null = null): OutRecord => ({
  topic: 't',
  partition: 0,
  key,
  value,
  timestamp: 1,
})

describe('record batches', () => {
  test('records come back as they were written, above the offset asked for', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 50 }), fc.nat(60), async (records, from) => {
        const { records: read, nextOffset } = await readRecords(stored(records, 1000), source(1000 + from))
        const toBuffer = (field: Buffer | string | null): Buffer | null =>
          typeof field === 'string' ? Buffer.from(field) : field
        // not toEqual, which asks own properties alone: key and value are cut out of the response when they are read
        expect(read).toMatchObject(
          records.slice(from).map((r, i) => ({
            topic: 't',
            partition: 0,
            offset: 1000 + from + i,
            timestamp: r.timestamp,
            key: toBuffer(r.key),
            value: toBuffer(r.value),
            headers: r.headers && Object.keys(r.headers).length > 0 ? r.headers : undefined,
          })),
        )
        expect(nextOffset).toBe(1000 + Math.max(records.length, from))
      }),
    )
  })

  test('kafkajs reads the same from what we write', async () => {
    const load = createRequire(import.meta.url)
    const Decoder = load('kafkajs/src/protocol/decoder')
    const decode = load('kafkajs/src/protocol/recordBatch/v0/decoder')
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 20 }), async (records) => {
        const batch = stored(records, 12)
        const theirs = await decode(new Decoder(batch))
        const ours = await readRecords(batch, source(0))
        expect(theirs.records.map((r: { offset: string }) => Number(r.offset))).toEqual(
          ours.records.map((r) => r.offset),
        )
        for (const [i, r] of ours.records.entries()) {
          expect(theirs.records[i]).toMatchObject({ key: r.key, value: r.value, timestamp: String(r.timestamp) })
        }
        expect(theirs).toMatchObject({ producerId: '77', producerEpoch: 3, firstSequence: 5, inTransaction: true })
      }),
    )
  })

  test('recordBytesMax is never below what a record takes', () => {
    fc.assert(
      fc.property(record, (r) => {
        expect(writeRecordBatch([r], PRODUCER).length - 61).toBeLessThanOrEqual(recordBytesMax(r))
      }),
    )
  })

  test('the checksum is CRC-32C', () => {
    // RFC 3720, B.4
    expect(crc32c(Buffer.alloc(32)) >>> 0).toBe(0x8a9136aa)
    expect(crc32c(Buffer.alloc(32, 0xff)) >>> 0).toBe(0x62a8ab43)
    expect(crc32c(Buffer.from('123456789')) >>> 0).toBe(0xe3069283)
  })

  test('a batch that is cut off is left for the next fetch', async () => {
    const whole = Buffer.concat([stored([plain('a')], 0), stored([plain('b')], 1)])
    for (let cut = 1; cut < stored([plain('b')], 1).length; cut += 1) {
      const { records, nextOffset } = await readRecords(whole.subarray(0, whole.length - cut), source(0))
      expect([records.length, nextOffset]).toEqual([1, 1])
    }
  })

  test('aborted records are left out up to their marker, and the position moves past it', async () => {
    const log = Buffer.concat([
      stored([plain('aborted')], 0, 1),
      stored([plain('other')], 1, 2),
      marker('abort', 2, 1),
      stored([plain('after')], 3, 1),
      marker('commit', 4, 1),
      marker('commit', 5, 2),
    ])
    const { records, nextOffset } = await readRecords(log, source(0, [{ producerId: 1, firstOffset: 0 }]))
    expect(records.map((r) => r.value?.toString())).toEqual(['other', 'after'])
    expect(nextOffset).toBe(6)
  })

  test('a record whose key is four zero bytes is no abort marker', async () => {
    const log = Buffer.concat([
      stored([plain('x', Buffer.alloc(4)), plain('y')], 0, 1),
      stored([plain('z')], 2, 1),
      marker('abort', 3, 1),
    ])
    const { records } = await readRecords(log, source(0, [{ producerId: 1, firstOffset: 0 }]))
    expect(records).toEqual([])
  })

  test('two transactions aborted before the first batch at hand are both known', async () => {
    const log = Buffer.concat([stored([plain('x')], 10, 1), stored([plain('y')], 11, 2)])
    const aborted = [
      { producerId: 2, firstOffset: 4 },
      { producerId: 1, firstOffset: 3 },
    ]
    expect((await readRecords(log, source(10, aborted))).records).toEqual([])
  })

  test('a batch that compaction emptied moves the position', async () => {
    const batch = stored([plain('x')], 7).subarray(0, 61)
    batch.writeInt32BE(61 - 12, 8)
    batch.writeInt32BE(0, 57)
    batch.writeInt32BE(4, 23)
    expect(await readRecords(batch, source(7))).toEqual({ records: [], nextOffset: 12 })
  })
})

test('rounds keep the order of each partition, hold one batch of each, and leave nothing out', () => {
  const sized = fc.record({ partition: fc.nat(3), size: fc.integer({ min: 1, max: 500_000 }) })
  fc.assert(
    fc.property(fc.array(sized, { maxLength: 60 }), (items) => {
      const records = items.map(({ partition, size }) => ({ ...plain(''), partition, value: Buffer.alloc(size) }))
      const rounds = planRounds(records)
      for (const round of rounds) expect(new Set(round.map((c) => c.partition)).size).toBe(round.length)
      for (const partition of [0, 1, 2, 3]) {
        const sent = rounds.flatMap((round) => round.filter((c) => c.partition === partition).flatMap((c) => c.records))
        expect(sent).toEqual(records.filter((r) => r.partition === partition))
      }
    }),
    { numRuns: 30 },
  )
})
