import { describe } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import type { AppendEnd, Commit, Log, OutRecord } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { Appender } from '../../connectors/log/kafka/appender.ts'
import { KafkaClient, TRANSACTION } from '../../connectors/log/kafka/client.ts'
import { openKafkaLog } from '../../connectors/log/kafka/kafka-log.ts'
import { byTopic } from '../../connectors/log/kafka/requests.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { logConformance, type OpenTransaction } from './conformance.ts'

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
  const client = new KafkaClient({
    brokers: [(await broker()).brokers],
    clientId: 'test',
    clock: systemClock,
    logger: silentLogger,
    ssl: undefined,
    sasl: undefined,
    requestMsMax: 10_000,
    retryMsMax: 10_000,
  })
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

describe.skipIf(!kafkaForTests().available)('a real Kafka', () => {
  logConformance('kafka', {
    open: async () => {
      const { brokers } = await broker()
      const log = await openKafkaLog({ brokers: [brokers], clock: systemClock })
      return { log: shownAtOnce(log), close: () => log.close() }
    },
    features: {
      patienceMs: 20_000,
      sessionTimeoutMs: 1_500,
      openTransaction,
    },
  })
})
