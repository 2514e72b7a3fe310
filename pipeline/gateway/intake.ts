import { randomBytes } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import type { DeviceLookup, GeoLookup } from '../../core/ports/enrich.ts'
import type { EventIntake } from '../../core/ports/gateway.ts'
import type { Log } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Topics } from '../../core/topics.ts'
import type { EventSchemas } from '../../operators/event-schema.ts'
import { answersSpec, INSTANCE_BYTES, partitionsOf, payersSpec } from './answers-topic.ts'
import { Bus } from './bus.ts'
import { EventMemory } from './event-memory.ts'
import { type IntakeMetrics, silentIntakeMetrics } from './intake-metrics.ts'
import { followPayers, PayerSet } from './payers.ts'
import { type Closable, GatewayIntake } from './gateway-intake.ts'
import { SharedIds } from './shared-ids.ts'
import type { TopicFollower } from './topic-follower.ts'

export interface IntakeOptions {
  /** With a long `retryMsMax`: a send that the adapter gives up leaves its callers without an answer. */
  readonly log: Log
  readonly topics: Topics
  readonly schemas: EventSchemas
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics?: IntakeMetrics
  readonly geo?: GeoLookup | undefined
  readonly devices?: DeviceLookup | undefined
  /** Milliseconds after which a send that is not answered makes the gateway refuse what else comes. Default 2,000. */
  readonly busPatienceMs?: number | undefined
  /** Bytes that may wait for the bus. Default 64 MiB. */
  readonly pendingBytesMax?: number | undefined
  /** Ids of accepted events that are remembered, 30 bytes each. Default 2,000,000. */
  readonly rememberedIds?: number | undefined
  /** Payers that are remembered, 20 bytes each. Default 4,000,000. */
  readonly rememberedPayers?: number | undefined
  /** Bytes of one event on the bus. Default 1,000,000, which fits the record that Kafka takes by default. */
  readonly eventBytesMax?: number | undefined
}

const BUS_PATIENCE_MS = 2_000
const PENDING_BYTES_MAX = 64 * 1_048_576
const REMEMBERED_IDS = 2_000_000
const REMEMBERED_PAYERS = 4_000_000
const EVENT_BYTES_MAX = 1_000_000
const SEND_BYTES_MAX = 1_048_576
const SEND_RECORDS_MAX = 5_000

/**
 * Opens what takes events for the bus. Resolves once it knows what was accepted before, as far as that is shared and fits. Rejects
 * with ONCEWARD_E_LOG_TOPIC_MISSING where the topics for events and dead letters are not there.
 */
export async function openIntake(options: IntakeOptions): Promise<EventIntake> {
  const { log, topics, clock, logger } = options
  const metrics = options.metrics ?? silentIntakeMetrics
  const idsMax = options.rememberedIds ?? REMEMBERED_IDS
  const [events, dlq] = await Promise.all([existing(log, topics.events), existing(log, topics.dlq)])
  const seed = { first: randomBytes(4).readUInt32LE(), second: randomBytes(4).readUInt32LE() }
  const memory = new EventMemory({ idsMax, seed })
  const payers = new PayerSet(options.rememberedPayers ?? REMEMBERED_PAYERS, seed)
  const settings = {
    patienceMs: options.busPatienceMs ?? BUS_PATIENCE_MS,
    waitingBytesMax: options.pendingBytesMax ?? PENDING_BYTES_MAX,
    sendBytesMax: SEND_BYTES_MAX,
    sendRecordsMax: SEND_RECORDS_MAX,
  }
  const bus = await Bus.open({ log, clock, logger, settings, metrics })
  const opened: Closable[] = [bus]
  try {
    const shared = await openSharedIds({ options, memory, idsMax, metrics })
    if (shared !== undefined) opened.push(shared)
    const followed = await openPayers(options, payers)
    if (followed !== undefined) opened.push(followed)
    const { schemas, geo, devices, eventBytesMax = EVENT_BYTES_MAX } = options
    const judging = { schemas, eventBytesMax }
    const lookups = { geo, devices, isPayer: (userId: string) => payers.has(userId) }
    const bound = { clock, logger, metrics, topics, partitions: { events, dlq }, judging, lookups }
    return new GatewayIntake({
      ...bound,
      bus,
      memory,
      payers: followed === undefined ? undefined : payers,
      shared,
      opened,
    })
  } catch (error) {
    for (const part of opened) await part.close()
    throw error
  }
}

async function existing(log: Log, topic: string): Promise<number> {
  const info = await log.topic(topic)
  if (info !== undefined) return info.partitions
  throw new OncewardError(
    'ONCEWARD_E_LOG_TOPIC_MISSING',
    `there is no topic ${topic}; create the topics first: onceward topics create --brokers HOST:PORT --partitions N`,
  )
}

async function openSharedIds(parts: {
  readonly options: IntakeOptions
  readonly memory: EventMemory
  readonly idsMax: number
  readonly metrics: IntakeMetrics
}): Promise<SharedIds | undefined> {
  const { log, topics, clock, logger } = parts.options
  if ((await partitionsOf(log, answersSpec(topics), logger)) === undefined) return undefined
  const { memory, idsMax, metrics } = parts
  const instance = randomBytes(INSTANCE_BYTES)
  return SharedIds.open({ log, clock, logger, topic: topics.gatewayAnswers, instance, memory, idsMax, metrics })
}

async function openPayers(options: IntakeOptions, payers: PayerSet): Promise<TopicFollower | undefined> {
  const { log, topics, clock, logger } = options
  if ((await partitionsOf(log, payersSpec(topics), logger)) === undefined) return undefined
  return followPayers({ log, clock, logger, topic: topics.payers, payers })
}
