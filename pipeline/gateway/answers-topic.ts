import { DAY_MS } from '../../core/durations.ts'
import { messageOf } from '../../core/errors.ts'
import type { Log, TopicPartition, TopicSpec } from '../../core/ports/log.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Topics } from '../../core/topics.ts'
import { FINGERPRINT_BYTES } from './content.ts'

/** How long the answer to a request with an id of its own is kept. */
export const ANSWERS_MS = DAY_MS
const RETENTION_MS = 2 * DAY_MS

/** First byte of a record of fingerprints; JSON never begins with it. */
const FINGERPRINTS = 1
export const INSTANCE_BYTES = 8
const HEAD_BYTES = 1 + INSTANCE_BYTES

export function answersSpec(topics: Topics): TopicSpec {
  // One for what was accepted, one for the answers to webhooks, so that each is read back as far as it goes.
  return { topic: topics.gatewayAnswers, partitions: 2, cleanup: 'delete', retentionMs: RETENTION_MS }
}

export function payersSpec(topics: Topics): TopicSpec {
  return { topic: topics.payers, partitions: 1, cleanup: 'compact' }
}

/**
 * How many partitions a topic of the gateway's own has; it is created where it is missing. undefined: there is none, and it could not be
 * created. Then the gateway goes on without what it is for.
 */
export async function partitionsOf(log: Log, spec: TopicSpec, logger: Logger): Promise<number | undefined> {
  try {
    const found = await log.topic(spec.topic)
    if (found !== undefined) return found.partitions
    await log.createTopics([spec])
    return spec.partitions
  } catch (error) {
    logger.warn(
      { topic: spec.topic, error: messageOf(error) },
      'the topic is not there and cannot be created; gateways do not hear of each other through it',
    )
    return undefined
  }
}

export function fingerprintsPartition(topic: string): TopicPartition {
  return { topic, partition: 0 }
}

export function webhooksPartition(topic: string, partitions: number): TopicPartition {
  return { topic, partition: Math.min(1, partitions - 1) }
}

/** One record: whose, and the fingerprints of events that the bus has acknowledged. */
export function fingerprintsRecord(instance: Buffer, fingerprints: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.of(FINGERPRINTS), instance, ...fingerprints])
}

/** The fingerprints of a record; undefined: it holds none, or it is `instance`'s own. */
export function fingerprintsOf(value: Buffer | null, instance: Buffer): Buffer | undefined {
  if (!holdsFingerprints(value)) return undefined
  return value.subarray(1, HEAD_BYTES).equals(instance) ? undefined : value.subarray(HEAD_BYTES)
}

/** How many fingerprints a record holds. */
export function fingerprintsIn(value: Buffer | null): number {
  return holdsFingerprints(value) ? (value.length - HEAD_BYTES) / FINGERPRINT_BYTES : 0
}

function holdsFingerprints(value: Buffer | null): value is Buffer {
  return (
    value !== null &&
    value[0] === FINGERPRINTS &&
    value.length > HEAD_BYTES &&
    (value.length - HEAD_BYTES) % FINGERPRINT_BYTES === 0
  )
}
