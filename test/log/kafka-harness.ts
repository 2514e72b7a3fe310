/** What the tests of the Kafka adapter need besides the suite's own harness: the broker, and faults to put in its way. */
import { systemClock } from '../../core/clock.ts'
import type { AppendEnd, Commit, Log, OutRecord } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { Appender } from '../../connectors/log/kafka/appender.ts'
import { KafkaClient, TRANSACTION } from '../../connectors/log/kafka/client.ts'
import type { KafkaBroker } from '../../connectors/log/kafka/internals.ts'
import { type KafkaLogOptions, openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { byTopic } from '../../connectors/log/kafka/requests.ts'
import { startKafka, type TestKafka } from '../support/kafka.ts'
import type { LogFeatures, OpenTransaction } from './harness.ts'

let starting: Promise<TestKafka> | undefined

/** The one broker of this file's tests, started by whoever asks first. */
export function broker(): Promise<TestKafka> {
  return (starting ??= startKafka())
}

export async function stopBroker(): Promise<void> {
  await (await starting)?.stop()
}

/** Whether the broker is ours to freeze and to kill, with settings of our own. */
export const OWN_BROKER = !process.env['KAFKA_BROKERS']

/** A broker of others holds sessions for six seconds at least. */
export const FEATURES: LogFeatures = {
  patienceMs: 20_000,
  openTransaction,
  ...(OWN_BROKER ? { sessionTimeoutMs: 1_500 } : {}),
}

/**
 * Kafka decides a commit first and shows it a few milliseconds later, when the markers are written. The suite looks at
 * once, so the log that it gets waits for that after each commit.
 */
export function shownAtOnce(log: Log): Log {
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
export async function openTransaction(
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
export function faultyClient(client: KafkaClient, faults: Faults): KafkaClient {
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
  const controller = client.controller.bind(client)
  client.controller = async () => wrap(await controller())
  return client
}

export const lostAnswer = (): Error =>
  Object.assign(new Error('the answer was lost'), { name: 'KafkaJSConnectionClosedError' })

export async function newClient(retryMsMax = 10_000): Promise<KafkaClient> {
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

export const open = async (options: Partial<KafkaLogOptions> = {}): Promise<Log> =>
  openKafkaLog({ brokers: [(await broker()).brokers], clock: systemClock, ...options })

/** Values of the partition once everything in it has settled. */
export async function valuesOf(log: Log, topic: string): Promise<string[]> {
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
