import type { KafkaConfig } from 'kafkajs'
import type { Clock } from '../../../core/clock.ts'
import { type Logger, silentLogger } from '../../../core/ports/logger.ts'
import type { Log } from '../../../core/ports/log.ts'
import { bounds, committedOffsets, createTopics, groupMembers, listTopics, offsetAt, topicInfo } from './admin.ts'
import { KafkaClient } from './client.ts'
import { createConsumer } from './consumer.ts'
import { openProducer, openTransactionalProducer } from './producers.ts'
import { openReader } from './reader.ts'

export interface KafkaLogOptions {
  /** `host:port` of some of the cluster's brokers; the others are found through them. */
  readonly brokers: readonly string[]
  /** How this program appears in the brokers' logs and quotas. Default `onceward`. */
  readonly clientId?: string
  readonly clock: Clock
  readonly logger?: Logger
  /** As kafkajs takes them. */
  readonly ssl?: KafkaConfig['ssl']
  readonly sasl?: KafkaConfig['sasl']
  /** Milliseconds after which an unanswered request counts as lost. Default 20,000. */
  readonly requestMsMax?: number
  /** Milliseconds after which a step that keeps failing is given up. Default 60,000. */
  readonly retryMsMax?: number
  /** Milliseconds for which a group consumer goes on without an answer from the cluster. Default 300,000. */
  readonly unavailableMsMax?: number
}

const CLIENT_ID = 'onceward'
const REQUEST_MS_MAX = 20_000
const RETRY_MS_MAX = 60_000
const UNAVAILABLE_MS_MAX = 300_000

/**
 * Opens a Kafka cluster (2.5 or later) as a log. Rejects with ONCEWARD_E_LOG_UNAVAILABLE where none of the brokers
 * answers, with ONCEWARD_E_LOG_REFUSED where they refuse this client.
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<Log> {
  const client = new KafkaClient({
    brokers: options.brokers,
    clientId: options.clientId ?? CLIENT_ID,
    clock: options.clock,
    logger: options.logger ?? silentLogger,
    ssl: options.ssl,
    sasl: options.sasl,
    requestMsMax: options.requestMsMax ?? REQUEST_MS_MAX,
    retryMsMax: options.retryMsMax ?? RETRY_MS_MAX,
  })
  try {
    await client.retrying(`connect to Kafka at ${options.brokers.join(', ')}`, () => client.anyBroker())
  } catch (error) {
    await client.close()
    throw error
  }
  return {
    createTopics: (specs) => createTopics(client, specs),
    topic: (topic) => topicInfo(client, topic),
    listTopics: () => listTopics(client),
    bounds: (partitions) => bounds(client, partitions),
    offsetAt: (partition, timestamp) => offsetAt(client, partition, timestamp),
    committed: (group, partitions) => committedOffsets(client, group, partitions),
    members: (group) => groupMembers(client, group),
    producer: () => forked(client, openProducer),
    transactional: (transactionalId) => forked(client, (fork) => openTransactionalProducer(fork, transactionalId)),
    reader: (partition) => forked(client, (fork) => Promise.resolve(openReader(fork, partition))),
    consumer: (group) => createConsumer(client, group, options.unavailableMsMax ?? UNAVAILABLE_MS_MAX),
    close: () => client.close(),
  }
}

/** Opens something on connections of its own, and doesn't leave them behind where that fails. */
async function forked<T>(client: KafkaClient, open: (fork: KafkaClient) => Promise<T>): Promise<T> {
  client.checkOpen('open connections to Kafka')
  const fork = client.fork()
  try {
    return await open(fork)
  } catch (error) {
    await fork.close()
    throw error
  }
}
