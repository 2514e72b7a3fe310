import { DAY_MS } from '../../core/durations.ts'
import type { Log, TopicInfo, TopicSpec } from '../../core/ports/log.ts'
import type { Topics } from '../../core/topics.ts'

export interface TopicsPlan {
  readonly topics: Topics
  /** Of every topic but the control topic, which has one so that rules have one order. */
  readonly partitions: number
  readonly replicationFactor?: number | undefined
  /** How long events and scores are kept; 0: for ever. */
  readonly retentionMs: number
}

/** Reward tasks and dead letters are few and wanted for longer than events. */
const FEW_RETENTION_MS = 30 * DAY_MS
/** How long a repeat can find the answer that it got before. */
const ANSWERS_RETENTION_MS = 2 * DAY_MS
/** An event has at most 1 MiB; a dead letter carries it as JSON text, escaped, and once more in base64. */
const RECORD_BYTES_MAX = 8 * 1_048_576

export function topicSpecs({ topics, partitions, replicationFactor, retentionMs }: TopicsPlan): readonly TopicSpec[] {
  const replicas = replicationFactor === undefined ? {} : { replicationFactor }
  const kept = (topic: string, ms: number): TopicSpec => ({
    topic,
    partitions,
    cleanup: 'delete',
    maxRecordBytes: RECORD_BYTES_MAX,
    ...(ms === 0 ? {} : { retentionMs: ms }),
    ...replicas,
  })
  const longer = retentionMs === 0 ? 0 : Math.max(retentionMs, FEW_RETENTION_MS)
  return [
    kept(topics.events, retentionMs),
    { topic: topics.control, partitions: 1, cleanup: 'compact', ...replicas },
    kept(topics.scores, retentionMs),
    kept(topics.rewards, longer),
    kept(topics.dlq, longer),
    // Segments are deleted whole, so that a letter may outlast its time; its decision must outlast it, or it looks open again.
    kept(topics.dlqReviews, 2 * longer),
    kept(topics.gatewayAnswers, ANSWERS_RETENTION_MS),
    { topic: topics.payers, partitions: 1, cleanup: 'compact', ...replicas },
    { topic: topics.auditHeads, partitions: 1, cleanup: 'delete', ...replicas },
  ]
}

export interface TopicOutcome {
  readonly spec: TopicSpec
  readonly created: boolean
  /** Sentences: how an existing topic differs from what was asked for. */
  readonly warnings: readonly string[]
}

/** The control topic is Onceward's own; whoever made the others by hand need not know of it. */
export async function createControlTopic(log: Log, topics: Topics): Promise<void> {
  const specs = topicSpecs({ topics, partitions: 1, retentionMs: 0 })
  await log.createTopics(specs.filter(({ topic }) => topic === topics.control))
}

/** Creates those that are missing and compares those that are there; never changes a topic. */
export async function createTopics(log: Log, specs: readonly TopicSpec[]): Promise<readonly TopicOutcome[]> {
  const created = new Set(await log.createTopics(specs))
  return Promise.all(
    specs.map(async (spec) => {
      if (created.has(spec.topic)) return { spec, created: true, warnings: [] }
      const found = await log.topic(spec.topic)
      return { spec, created: false, warnings: found === undefined ? [] : differences(spec, found) }
    }),
  )
}

export function differences(spec: TopicSpec, found: TopicInfo): readonly string[] {
  const warnings: string[] = []
  if (found.partitions !== spec.partitions) {
    warnings.push(
      `${spec.topic} has ${count(found.partitions, 'partition')}, not ${spec.partitions}; it was left as it is, because with another number each user would move to another partition`,
    )
  }
  if (found.cleanup !== undefined && found.cleanup !== spec.cleanup) {
    warnings.push(
      `${spec.topic} has cleanup.policy ${found.cleanup}, not ${spec.cleanup}; ${spec.cleanup === 'compact' ? 'published rules would be lost' : 'only the last record of each user would be kept'}: change it on the broker`,
    )
  }
  const shorter = found.retentionMs !== undefined && found.retentionMs < (spec.retentionMs ?? Number.POSITIVE_INFINITY)
  if (spec.cleanup === 'delete' && shorter) {
    warnings.push(`${spec.topic} keeps records for ${days(found.retentionMs)}, less than ${days(spec.retentionMs)}`)
  }
  return warnings
}

/** One line for a person. */
export function outcomeLine({ spec, created }: TopicOutcome): string {
  const keeps =
    spec.cleanup === 'compact' ? 'keeps the last record of each key' : `keeps records for ${days(spec.retentionMs)}`
  const state = created ? 'created ' : 'is there'
  return `${state}  ${spec.topic.padEnd(16)}  ${created ? `${count(spec.partitions, 'partition')}, ${keeps}` : ''}`.trimEnd()
}

function days(ms: number | undefined): string {
  if (ms === undefined) return 'ever'
  return ms % DAY_MS === 0 ? count(ms / DAY_MS, 'day') : `${Math.round((ms / DAY_MS) * 24)} hours`
}

function count(value: number, unit: string): string {
  return `${value} ${unit}${value === 1 ? '' : 's'}`
}
