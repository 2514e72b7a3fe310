import { OncewardError } from '../core/errors.ts'
import type { Log, TopicSpec } from '../core/ports/log.ts'
import { changelogTopic, type Topics } from '../core/topics.ts'
import type { OutputPartitions } from './outputs.ts'

/** How long the changelog keeps a tombstone: a worker that was away longer rebuilds its state. */
export const CHANGELOG_DELETE_RETENTION_MS = 24 * 3_600_000

/** A held event has at most 1 MiB as it came, and may grow when it is written as JSON again. */
const CHANGELOG_RECORD_BYTES_MAX = 8 * 1_048_576

/** Creates the changelog where it is missing, with as many partitions as the events have. The other topics must exist. */
export async function prepareWorkerTopics(options: {
  readonly log: Log
  readonly application: string
  readonly topics: Topics
  readonly replicationFactor?: number
}): Promise<void> {
  const { log, application, topics, replicationFactor } = options
  const events = await existing(log, topics.events)
  const changelog: TopicSpec = {
    topic: changelogTopic(application),
    partitions: events.partitions,
    cleanup: 'compact',
    deleteRetentionMs: CHANGELOG_DELETE_RETENTION_MS,
    maxRecordBytes: CHANGELOG_RECORD_BYTES_MAX,
    ...(replicationFactor === undefined ? {} : { replicationFactor }),
  }
  await log.createTopics([changelog])
  const created = await existing(log, changelog.topic)
  if (created.partitions !== events.partitions) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_REFUSED',
      `${topics.events} has ${events.partitions} partitions, but the state of "${application}" was kept for ${created.partitions}: users would lose what they have. Start a new --application over the topic's history`,
    )
  }
}

export async function outputPartitions(log: Log, topics: Topics): Promise<OutputPartitions> {
  const [scores, rewards, dlq] = await Promise.all([
    existing(log, topics.scores),
    existing(log, topics.rewards),
    existing(log, topics.dlq),
  ])
  return { scores: scores.partitions, rewards: rewards.partitions, dlq: dlq.partitions }
}

async function existing(log: Log, topic: string): Promise<{ partitions: number }> {
  const info = await log.topic(topic)
  if (info === undefined) {
    throw new OncewardError(
      'ONCEWARD_E_LOG_TOPIC_MISSING',
      `there is no topic ${topic}; create the topics first: onceward topics create --brokers … --partitions N`,
    )
  }
  return info
}
