import { afterAll, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import type { AppendEnd, Commit, Log, OutRecord, TransactionalProducer } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { Appender } from '../../connectors/log/kafka/appender.ts'
import { KafkaClient, TRANSACTION } from '../../connectors/log/kafka/client.ts'
import type { KafkaBroker } from '../../connectors/log/kafka/internals.ts'
import { type KafkaLogOptions, openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { openTransactionalProducer } from '../../connectors/log/kafka/producers.ts'
import { byTopic } from '../../connectors/log/kafka/requests.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { type LogFeatures, logConformance, type OpenTransaction } from './conformance.ts'
import { expectCode, Member, newTopic, out, unique } from './harness.ts'

let kafka: TestKafka | undefined
let starting: Promise<TestKafka> | undefined

async function broker(): Promise<TestKafka> {
  kafka = await (starting ??= startKafka())
  return kafka
}

/**
 * Kafka decides a commit first and shows it a few milliseconds later, when the markers are written. The suite looks at
 * once, so the log that it gets waits for that after each commit.
 */
function shownAtOnce(log: Log): Log {
  return {
    ...log,
    transactional: async (id) => {
      const producer = await log.transactional(id)
      const commit = async (what: Commit): Promise<readonly AppendEnd[]> => {
        const ends = await producer.commit(what)
        await untilEnd(log, ends)
        return ends
      }
      return { commit, close: () => producer.close() }
    },
  }
}

async function untilEnd(log: Log, ends: readonly AppendEnd[]): Promise<void> {
  const deadline = systemClock.monotonic() + 5_000
  for (;;) {
    const bounds = await log.bounds(ends)
    if (ends.every(({ nextOffset }, i) => (bounds[i]?.end ?? 0) > nextOffset)) return
    if (systemClock.monotonic() > deadline) throw new Error('the markers did not come')
    await systemClock.sleep(1)
  }
}

/** Begins a transaction by the steps of the adapter's own commit, and leaves out the last. */
async function openTransaction(
  log: Log,
  transactionalId: string,
  records: readonly OutRecord[],
): Promise<OpenTransaction> {
  const client = await newClient()
  const coordinator = (): ReturnType<KafkaClient['coordinator']> => client.coordinator(transactionalId, TRANSACTION)
  const identity = await client.retrying('open', async () =>
    (await coordinator()).initProducerId({ transactionalId, transactionTimeout: 60_000 }),
  )
  const topics = byTopic(records).map(([topic]) => ({ topic, partitions: [0] }))
  await client.retrying('begin', async () =>
    (await coordinator()).addPartitionsToTxn({ ...identity, transactionalId, topics }),
  )
  const ends = await new Appender(client, identity, transactionalId).append(records)
  const end = async (transactionResult: boolean, settles: boolean): Promise<void> => {
    try {
      await client.retrying('end', async () =>
        (await coordinator()).endTxn({ ...identity, transactionalId, transactionResult }),
      )
    } finally {
      await client.close()
    }
    if (settles) await untilEnd(log, ends)
  }
  return { commit: () => end(true, false), abort: () => end(false, true) }
}

interface Faults {
  /** Called before each request of that name goes out; what it answers may take the place of the request's answer. */
  around(name: keyof KafkaBroker, send: () => Promise<unknown>): Promise<unknown>
}

/** A client whose brokers' answers pass through `faults`. */
function faultyClient(client: KafkaClient, faults: Faults): KafkaClient {
  const wrap = (broker: KafkaBroker): KafkaBroker =>
    new Proxy(broker, {
      get: (target, name: keyof KafkaBroker) => {
        const member = target[name]
        if (typeof member !== 'function') return member
        const call = member.bind(target) as (request: unknown) => Promise<unknown>
        return (request: unknown) => faults.around(name, () => call(request))
      },
    })
  const coordinator = client.coordinator.bind(client)
  client.coordinator = async (id, type) => wrap(await coordinator(id, type))
  return client
}

const lostAnswer = (): Error =>
  Object.assign(new Error('the answer was lost'), { name: 'KafkaJSConnectionClosedError' })

async function newClient(retryMsMax = 10_000): Promise<KafkaClient> {
  return new KafkaClient({
    brokers: [(await broker()).brokers],
    clientId: 'test',
    clock: systemClock,
    logger: silentLogger,
    ssl: undefined,
    sasl: undefined,
    requestMsMax: Math.min(10_000, retryMsMax),
    retryMsMax,
  })
}

const open = async (options: Partial<KafkaLogOptions> = {}): Promise<Log> =>
  openKafkaLog({ brokers: [(await broker()).brokers], clock: systemClock, ...options })

/** Values of the partition once everything in it has settled. */
async function valuesOf(log: Log, topic: string): Promise<string[]> {
  const [bounds] = await log.bounds([{ topic, partition: 0 }])
  const reader = await log.reader({ topic, partition: 0 })
  const values: string[] = []
  for (let position = 0; position < (bounds?.end ?? 0); ) {
    const batch = await reader.read(position, { waitMs: 1000 })
    values.push(...batch.records.map((record) => record.value?.toString() ?? ''))
    position = batch.nextOffset
  }
  await reader.close()
  return values
}

const FEATURES: LogFeatures = { patienceMs: 20_000, sessionTimeoutMs: 1_500, openTransaction }

describe.skipIf(!kafkaForTests().available)('a real Kafka', () => {
  afterAll(async () => {
    await kafka?.stop()
  })

  logConformance('kafka', {
    open: async () => {
      const { brokers } = await broker()
      const log = await openKafkaLog({ brokers: [brokers], clock: systemClock })
      return { log: shownAtOnce(log), close: () => log.close() }
    },
    features: FEATURES,
  })
  describe('faults', () => {
    faults()
  })
})

function faults(): void {
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

  test('a broker that is killed and comes back: what was acknowledged is there once, and everybody goes on', async () => {
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
    await vi.waitFor(() => expect(new Set(member.texts)).toEqual(new Set(['before', 'during', 'after'])), 20_000)
    expect(await valuesOf(log, topic)).toEqual(['before', 'during', 'after'])
    await member.stop()
    await producer.close()
    await transactional.close()
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
    const topic = await newTopic(log)
    const group = unique('g')
    for (const ms of [0, 2, 5, 10, 20, 40]) {
      const hasty = new Member(log, group, topic).start()
      await systemClock.sleep(ms)
      await hasty.stop()
    }
    const next = new Member(log, group, topic).start()
    await next.joined({ patienceMs: 5_000 })
    await next.stop()
    await log.close()
  })
}
