import { OncewardError } from '../../../core/errors.ts'
import type { OffsetBounds, TopicInfo, TopicPartition, TopicSpec } from '../../../core/ports/log.ts'
import { GROUP, type KafkaClient } from './client.ts'
import { kindOf } from './failures.ts'
import type { KafkaBroker, KafkaFailure } from './internals.ts'
import { byTopic, fetchStableOffsets, keyOf } from './requests.ts'

const EARLIEST = -2
const LATEST = -1
const READ_COMMITTED = 1
const TOPIC_RESOURCE = 2
const CREATE_MS_MAX = 15_000
/** A broker that has just started answers before the controller counts it in; too few brokers for the copies stay too few. */
const BROKERS_MISSING_MS_MAX = 10_000
/** Stands for the cluster's own default. Source: KIP-464 (Kafka 2.4). */
const CLUSTER_DEFAULT = -1

/** Creates what does not exist yet; answers the names created, once each of their partitions has a leader. */
export async function createTopics(client: KafkaClient, specs: readonly TopicSpec[]): Promise<readonly string[]> {
  const existing = new Set(await listTopics(client))
  const created: string[] = []
  for (const spec of specs) {
    if (existing.has(spec.topic)) continue
    existing.add(spec.topic)
    if (await createTopic(client, spec)) created.push(spec.topic)
  }
  for (const topic of created) await awaitLeaders(client, topic)
  return created
}

async function createTopic(client: KafkaClient, spec: TopicSpec): Promise<boolean> {
  const topic = {
    topic: spec.topic,
    numPartitions: spec.partitions,
    replicationFactor: spec.replicationFactor ?? CLUSTER_DEFAULT,
    configEntries: configEntries(spec),
  }
  const { clock } = client
  const giveUpAt = clock.monotonic() + BROKERS_MISSING_MS_MAX
  const create = async (): Promise<boolean> => {
    const controller = await client.controller()
    try {
      await controller.createTopics({ topics: [topic], timeout: CREATE_MS_MAX })
      return true
    } catch (error) {
      if (alreadyExists(error)) return false
      throw error
    }
  }
  return client.retrying(`create topic ${spec.topic}`, create, {
    decide: (kind) => (kind === 'brokers-missing' ? clock.monotonic() < giveUpAt : undefined),
  })
}

function configEntries(spec: TopicSpec): { name: string; value: string }[] {
  const entries: [name: string, value: string | number | undefined][] = [
    ['cleanup.policy', spec.cleanup],
    ['retention.ms', spec.retentionMs ?? -1],
    ['delete.retention.ms', spec.deleteRetentionMs],
    ['max.message.bytes', spec.maxRecordBytes],
  ]
  return entries.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value: String(value) }]))
}

function alreadyExists(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const failure: KafkaFailure = error
  return [failure, ...(failure.errors ?? [])].some(
    (e) => e instanceof Error && 'type' in e && e.type === 'TOPIC_ALREADY_EXISTS',
  )
}

async function awaitLeaders(client: KafkaClient, topic: string): Promise<void> {
  await client.retrying(`find the leaders of topic ${topic}`, async () => {
    for (const partition of await client.partitions(topic))
      await client.leader({ topic, partition: partition.partitionId })
  })
}

export async function topicInfo(client: KafkaClient, topic: string): Promise<TopicInfo | undefined> {
  return client.retrying(`look up topic ${topic}`, async () => {
    const broker = await client.anyBroker()
    const partitions = await partitionCount(broker, topic)
    if (partitions === undefined) return undefined
    const { resources } = await broker.describeConfigs({
      resources: [
        {
          type: TOPIC_RESOURCE,
          name: topic,
          configNames: ['cleanup.policy', 'retention.ms', 'delete.retention.ms'],
        },
      ],
    })
    const configs = new Map((resources[0]?.configEntries ?? []).map((e) => [e.configName, e.configValue]))
    return { topic, partitions, ...settingsOf(configs) }
  })
}

async function partitionCount(broker: KafkaBroker, topic: string): Promise<number | undefined> {
  try {
    const { topicMetadata } = await broker.metadata([topic])
    return topicMetadata.find((t) => t.topic === topic)?.partitionMetadata.length
  } catch (error) {
    if (kindOf(error) === 'topic-missing') return undefined
    throw error
  }
}

function settingsOf(configs: ReadonlyMap<string, string | null>): Omit<TopicInfo, 'topic' | 'partitions'> {
  const cleanup = configs.get('cleanup.policy')
  const retention = Number(configs.get('retention.ms') ?? -1)
  const deleteRetention = configs.get('delete.retention.ms')
  return {
    ...(cleanup ? { cleanup: cleanup.includes('compact') ? ('compact' as const) : ('delete' as const) } : {}),
    ...(retention >= 0 ? { retentionMs: retention } : {}),
    ...(deleteRetention ? { deleteRetentionMs: Number(deleteRetention) } : {}),
  }
}

/** Kafka's own topics (`__consumer_offsets` and the like) are left out. */
export async function listTopics(client: KafkaClient): Promise<readonly string[]> {
  const { topicMetadata } = await client.retrying('list the topics', async () =>
    (await client.anyBroker()).metadata([]),
  )
  return topicMetadata.map((t) => t.topic).filter((topic) => !topic.startsWith('__'))
}

export async function bounds(
  client: KafkaClient,
  partitions: readonly TopicPartition[],
): Promise<readonly OffsetBounds[]> {
  const [earliest, end] = await Promise.all([
    listOffsets(client, partitions, EARLIEST),
    listOffsets(client, partitions, LATEST),
  ])
  return partitions.map((_, i) => ({ earliest: earliest[i] ?? 0, end: end[i] ?? 0 }))
}

export async function offsetAt(client: KafkaClient, partition: TopicPartition, timestamp: number): Promise<number> {
  const [found] = await listOffsets(client, [partition], Math.max(0, timestamp))
  if (found !== undefined && found >= 0) return found
  const [end] = await listOffsets(client, [partition], LATEST)
  return end ?? 0
}

/** Aligned with `partitions`. read_committed, so that the latest offset is the last stable one. */
async function listOffsets(
  client: KafkaClient,
  partitions: readonly TopicPartition[],
  timestamp: number,
): Promise<readonly number[]> {
  return client.retrying('read the offsets of partitions', async () => {
    const offsets = new Map<string, number>()
    for (const [leader, own] of await groupByLeader(client, partitions)) {
      const { responses } = await leader.listOffsets({
        isolationLevel: READ_COMMITTED,
        topics: byTopic(own).map(([topic, items]) => ({
          topic,
          partitions: items.map(({ partition }) => ({ partition, timestamp })),
        })),
      })
      for (const { topic, partitions: answers } of responses) {
        for (const { partition, offset } of answers) offsets.set(keyOf({ topic, partition }), Number(offset))
      }
    }
    return partitions.map((p) => {
      const offset = offsets.get(keyOf(p))
      if (offset === undefined) {
        throw new OncewardError('ONCEWARD_E_LOG_REFUSED', `Kafka answered no offset for ${p.topic}-${p.partition}`)
      }
      return offset
    })
  })
}

async function groupByLeader(
  client: KafkaClient,
  partitions: readonly TopicPartition[],
): Promise<ReadonlyMap<KafkaBroker, TopicPartition[]>> {
  const leaders = new Map<KafkaBroker, TopicPartition[]>()
  for (const partition of partitions) {
    const leader = await client.leader(partition)
    const own = leaders.get(leader)
    if (own) own.push(partition)
    else leaders.set(leader, [partition])
  }
  return leaders
}

/** Aligned with `partitions`; waits until no transaction over the offsets is pending. */
export async function committedOffsets(
  client: KafkaClient,
  group: string,
  partitions: readonly TopicPartition[],
): Promise<readonly (number | undefined)[]> {
  if (partitions.length === 0) return []
  const offsets = await client.retrying(`read the committed offsets of group ${group}`, async () => {
    const coordinator = await client.coordinator(group, GROUP)
    return fetchStableOffsets(coordinator, group, partitions)
  })
  return partitions.map((p) => offsets.get(keyOf(p)))
}

/** Members of a classic consumer group, which is what our consumers and most others form. */
export async function groupMembers(client: KafkaClient, group: string): Promise<number> {
  const { groups } = await client.retrying(`look at the members of group ${group}`, async () =>
    (await client.coordinator(group, GROUP)).describeGroups({ groupIds: [group] }),
  )
  return groups.find(({ groupId }) => groupId === group)?.members.length ?? 0
}
