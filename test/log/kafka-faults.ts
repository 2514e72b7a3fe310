/** What goes wrong between processes, for real: lost answers, frozen and killed brokers, members that come and go. */
import { expect, test, vi } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import type { TransactionalProducer } from '../../core/ports/log.ts'
import { createTopics } from '../../connectors/log/kafka/admin.ts'
import { errorOfCode } from '../../connectors/log/kafka/internals.ts'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { openTransactionalProducer } from '../../connectors/log/kafka/producers.ts'
import { expectCode, Member, newTopic, out, outs, sendAll, unique } from './harness.ts'
import {
  broker,
  FEATURES,
  faultyClient,
  lostAnswer,
  newClient,
  open,
  openTransaction,
  valuesOf,
} from './kafka-harness.ts'

/** Source: org.apache.kafka.common.protocol.Errors. */
const INVALID_REPLICATION_FACTOR = 38

export function transactionFaults(): void {
  test('an EndTxn whose answer was lost is sent again, and the commit counts once', async () => {
    const log = await open()
    const topic = await newTopic(log)
    const client = await newClient()
    let ends = 0
    const producer = await openTransactionalProducer(
      faultyClient(client, {
        around: async (name, send) => {
          const answer = await send()
          if (name === 'endTxn' && (ends += 1) === 1) throw lostAnswer()
          return answer
        },
      }),
      unique('tx'),
    )
    await producer.commit({ records: [out(topic, 'once')] })
    await producer.commit({ records: [out(topic, 'more')] })
    expect(ends).toBe(3)
    await producer.close()
    await vi.waitFor(async () => expect(await valuesOf(log, topic)).toEqual(['once', 'more']), 5_000)
    await log.close()
  })

  test('fenced after an answer was lost is an unknown outcome, for the commit did happen', async () => {
    const log = await open()
    const topic = await newTopic(log)
    const id = unique('tx')
    let next: TransactionalProducer | undefined
    const producer = await openTransactionalProducer(
      faultyClient(await newClient(), {
        around: async (name, send) => {
          const answer = await send()
          if (name !== 'endTxn') return answer
          next ??= await log.transactional(id)
          throw lostAnswer()
        },
      }),
      id,
    )
    await expectCode(producer.commit({ records: [out(topic, 'x')] }), 'ONCEWARD_E_LOG_COMMIT_UNKNOWN')
    await producer.close()
    expect(await valuesOf(log, topic)).toEqual(['x'])
    await next?.close()
    await log.close()
  })

  test('a commit that fails is aborted at once: what follows it does not wait for anybody to open the id', async () => {
    const log = await open()
    const topic = await newTopic(log, { maxRecordBytes: 50_000, partitions: 2 })
    const producer = await log.transactional(unique('tx'))
    const records = [out(topic, 'never'), out(topic, Buffer.alloc(90_000), { partition: 1 })]
    await expectCode(producer.commit({ records }), 'ONCEWARD_E_LOG_RECORD_TOO_LARGE')
    await sendAll(log, [out(topic, 'plain')])
    await vi.waitFor(async () => expect(await valuesOf(log, topic)).toEqual(['plain']), 5_000)
    await producer.close()
    await log.close()
  })
}

export function brokerFaults(): void {
  test('a broker that freezes at the end of a commit leaves the outcome unknown, and opening the id settles it', async () => {
    const kafka = await broker()
    const log = await open()
    const topic = await newTopic(log)
    const group = unique('g')
    const id = unique('tx')
    const producer = await openTransactionalProducer(
      faultyClient(await newClient(1_500), {
        around: (name, send) => {
          if (name === 'endTxn') kafka.pause()
          return send()
        },
      }),
      id,
    )
    const positions = [{ topic, partition: 0, offset: 5 }]
    const commit = { records: [out(topic, 'x')], offsets: { group, positions } }
    try {
      await expectCode(producer.commit(commit), 'ONCEWARD_E_LOG_COMMIT_UNKNOWN')
    } finally {
      kafka.resume()
    }
    await producer.close()
    const owner = await log.transactional(id)
    const [committed] = await log.committed(group, positions)
    expect(await valuesOf(log, topic)).toEqual(committed === 5 ? ['x'] : [])
    await owner.commit({ records: [out(topic, 'y')] })
    await owner.close()
    await log.close()
  })

  test('a broker that freezes before the records are written is no unknown outcome: nothing is ever committed', async () => {
    const kafka = await broker()
    const log = await open()
    const topic = await newTopic(log)
    const id = unique('tx')
    const producer = await openTransactionalProducer(
      faultyClient(await newClient(1_500), {
        around: (name, send) => {
          if (name === 'addPartitionsToTxn') kafka.pause()
          return send()
        },
      }),
      id,
    )
    try {
      await expectCode(producer.commit({ records: [out(topic, 'x')] }), 'ONCEWARD_E_LOG_UNAVAILABLE')
    } finally {
      kafka.resume()
    }
    await producer.close()
    const owner = await log.transactional(id)
    expect(await valuesOf(log, topic)).toEqual([])
    await owner.close()
    await log.close()
  })

  test('a broker that freezes for two seconds only delays: commits, sends and the group go on', async () => {
    const kafka = await broker()
    const log = await open()
    const topic = await newTopic(log)
    const member = new Member(log, unique('g'), topic).start()
    await member.joined(FEATURES)
    const producer = await log.producer()
    const transactional = await log.transactional(unique('tx'))
    kafka.pause()
    const sent = producer.send([out(topic, 'plain')])
    const committed = transactional.commit({ records: [out(topic, 'tx')] })
    await systemClock.sleep(2_000)
    kafka.resume()
    await Promise.all([sent, committed])
    await vi.waitFor(() => expect([...member.texts].sort()).toEqual(['plain', 'tx']), 10_000)
    await member.stop()
    await producer.close()
    await transactional.close()
    await log.close()
  })

  test('a broker that is killed and comes back: what was acknowledged is there once, and everybody goes on', {
    timeout: 180_000,
  }, async () => {
    const kafka = await broker()
    const log = await open()
    const topic = await newTopic(log)
    const member = new Member(log, unique('g'), topic).start()
    await member.joined(FEATURES)
    const producer = await log.producer()
    await producer.send([out(topic, 'before')])
    const restarted = kafka.restart({ kill: true })
    const sent = producer.send([out(topic, 'during')])
    await restarted
    await sent
    const transactional = await log.transactional(unique('tx'))
    await transactional.commit({ records: [out(topic, 'after')] })
    // Longer than a rebalance may take: where the broker dies while it takes a member in, that seat has to expire first.
    await vi.waitFor(() => expect(new Set(member.texts)).toEqual(new Set(['before', 'during', 'after'])), 100_000)
    expect(await valuesOf(log, topic)).toEqual(['before', 'during', 'after'])
    await member.stop()
    await producer.close()
    await transactional.close()
    await log.close()
  })

  test('what is under way while the broker is away ends at once when its connections are closed', async () => {
    const kafka = await broker()
    const log = await open()
    const topic = await newTopic(log)
    const producer = await log.transactional(unique('tx'))
    const restarted = kafka.restart({ kill: true })
    const committing = producer.commit({ records: [out(topic, 'never')] })
    committing.catch(() => undefined)
    await systemClock.sleep(700)
    const closedAt = systemClock.monotonic()
    await producer.close()
    await expectCode(committing, 'ONCEWARD_E_LOG_CLOSED')
    expect(systemClock.monotonic() - closedAt).toBeLessThan(1_500)
    await restarted
    await log.close()
  })

  test('a consumer gives up on a broker that stays away, and says so', async () => {
    const kafka = await broker()
    const log = await open({ unavailableMsMax: 1_500, requestMsMax: 1_000 })
    const topic = await newTopic(log)
    const member = new Member(log, unique('g'), topic).start()
    await member.joined(FEATURES)
    kafka.pause()
    try {
      await expectCode(member.running, 'ONCEWARD_E_LOG_UNAVAILABLE')
    } finally {
      kafka.resume()
    }
    await log.close()
  })
}

export function groupFaults(): void {
  test('a topic is made although the broker, which has just started, is not counted in yet', async () => {
    const client = await newClient()
    let refusals = 0
    const faulty = faultyClient(client, {
      around: async (name, send) => {
        if (name !== 'createTopics' || refusals === 3) return send()
        refusals += 1
        throw errorOfCode(INVALID_REPLICATION_FACTOR)
      },
    })
    const topic = unique('topic')
    expect(await createTopics(faulty, [{ topic, partitions: 1, cleanup: 'delete' }])).toEqual([topic])
    expect(refusals).toBe(3)
    await client.close()
  })

  test('no broker at the address is an error within the bound', async () => {
    const options = { brokers: ['127.0.0.1:1'], clock: systemClock, retryMsMax: 500 }
    await expectCode(openKafkaLog(options), 'ONCEWARD_E_LOG_UNAVAILABLE')
  })

  test('a start offset that the partition does not hold ends the consumer; it never jumps elsewhere', async () => {
    const log = await open()
    const topic = await newTopic(log)
    const member = new Member(log, unique('g'), topic, { startOffset: () => 1_000 }).start()
    await expectCode(member.running, 'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE')
    expect(member.batches).toBe(0)
    await log.close()
  })

  test('a group sees the position behind markers, so that it does not seem to lag for ever', async () => {
    const log = await open()
    const topic = await newTopic(log)
    const group = unique('g')
    const transaction = await openTransaction(log, unique('tx'), [out(topic, 'aborted')])
    await transaction.abort()
    const member = new Member(log, group, topic).start()
    const partitions = [{ topic, partition: 0 }]
    await vi.waitFor(async () => expect(await log.committed(group, partitions)).toEqual([2]), 5_000)
    expect((await log.bounds(partitions))[0]?.end).toBe(2)
    expect(member.texts).toEqual([])
    await member.stop()
    await log.close()
  })

  test('what a member leaves is with another in less than two seconds', async () => {
    const log = await open()
    const topic = await newTopic(log, { partitions: 4 })
    const group = unique('g')
    const [first, second] = [new Member(log, group, topic).start(), new Member(log, group, topic).start()]
    await vi.waitFor(() => expect([first.owned.size, second.owned.size]).toEqual([2, 2]), 10_000)
    const start = systemClock.monotonic()
    await first.stop()
    await second.joined(FEATURES, 4)
    expect(systemClock.monotonic() - start).toBeLessThan(2_000)
    await second.stop()
    await log.close()
  })

  test('a member that stops while it joins leaves nothing behind in the group', async () => {
    const log = await open()
    const topic = await newTopic(log, { partitions: 2 })
    const group = unique('g')
    const first = new Member(log, group, topic).start()
    await first.joined(FEATURES, 2)
    for (const ms of [0, 5, 20, 50, 100, 200]) {
      const hasty = new Member(log, group, topic).start()
      await systemClock.sleep(ms)
      await hasty.stop()
    }
    const next = new Member(log, group, topic).start()
    await vi.waitFor(() => expect([first.owned.size, next.owned.size]).toEqual([1, 1]), 5_000)
    await first.stop()
    await next.stop()
    await log.close()
  })

  test('what was fetched before a step back is not taken for what comes after it', async () => {
    const log = await open()
    const topic = await newTopic(log)
    await sendAll(log, outs(topic, 'v', 3))
    const seen: number[][] = []
    const member = new Member(log, unique('g'), topic, {
      batch: async (batch) => {
        seen.push([batch.fetchOffset, ...batch.records.map((record) => record.offset)])
        // the next fetch is under way meanwhile, from the offset after this batch
        await systemClock.sleep(50)
        return seen.length === 1 ? 1 : batch.nextOffset
      },
    }).start()
    await vi.waitFor(() => expect(seen).toHaveLength(2), 5_000)
    await sendAll(log, outs(topic, 'w', 1))
    await vi.waitFor(() => expect(seen).toHaveLength(3), 5_000)
    expect(seen).toEqual([
      [0, 0, 1, 2],
      [1, 1, 2],
      [3, 3],
    ])
    await member.stop()
    await log.close()
  })

  test('a partition is lost only when its batch has ended, however long others wait for it', async () => {
    const log = await open()
    const topic = await newTopic(log, { partitions: 2 })
    const group = unique('g')
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const first = new Member(log, group, topic, {
      batch: async (batch, _control, self) => {
        await gate
        return self.take(batch)
      },
    }).start()
    await first.joined(FEATURES, 2)
    await sendAll(log, [out(topic, 'a'), out(topic, 'b', { partition: 1 })])
    await vi.waitFor(() => expect(first.batches).toBe(2), 5_000)
    const second = new Member(log, group, topic).start()
    await systemClock.sleep(1_500)
    expect([first.owned.size, second.owned.size]).toEqual([2, 0])
    release()
    await second.joined(FEATURES)
    expect([...first.texts, ...second.texts].sort()).toEqual(['a', 'b'])
    await first.stop()
    await second.stop()
    await log.close()
  })
}
