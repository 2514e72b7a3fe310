import type { TopicSpec } from '../../../core/ports/log.ts'
import { parseChunk } from './chunk.ts'
import type { PartitionStart } from './draft.ts'
import {
  chunkRange,
  kindRange,
  type PartitionId,
  parseAbortedKey,
  parseGroupOffsetKey,
  readU64,
  SEQUENCE_KEY,
} from './keys.ts'
import { LogState, type Partition, type ProducerState } from './state.ts'
import type { Storage } from './storage.ts'

/** Reads the log's state from the store: all of it but the records. */
export async function loadState(storage: Storage): Promise<LogState> {
  const state = new LogState()
  const sequence = await storage.get(SEQUENCE_KEY)
  if (sequence) state.sequence = readU64(sequence, 0)
  const partitions = await loadTopics(storage, state)
  const at = ({ topicId, partition }: PartitionId): Partition | undefined => partitions.get(`${topicId}/${partition}`)

  for await (const [key, value] of storage.range(kindRange('E'))) {
    const partition = at({ topicId: key.readUInt32BE(1), partition: key.readUInt32BE(5) })
    if (partition) Object.assign(partition, parseJson(value) as PartitionStart)
  }
  for (const partition of partitions.values()) await loadEnd(storage, partition)
  for await (const [key, value] of storage.range(kindRange('X'))) {
    const aborted = parseAbortedKey(key)
    at(aborted)?.addAborted(readU64(value, 0), { first: aborted.first, last: aborted.last })
  }
  for await (const [key, value] of storage.range(kindRange('G'))) {
    const { group, ...id } = parseGroupOffsetKey(key)
    const partition = at(id)
    if (!partition) continue
    const { topic, partition: number } = partition
    state.putCommitted({ group, topic, partition: number, offset: readU64(value, 0) })
  }
  await loadProducers(storage, state)
  return state
}

async function loadTopics(storage: Storage, state: LogState): Promise<Map<string, Partition>> {
  const partitions = new Map<string, Partition>()
  for await (const [, value] of storage.range(kindRange('T'))) {
    const { id, spec } = parseJson(value) as { id: number; spec: TopicSpec }
    const topic = state.addTopic(spec, id)
    for (const partition of topic.partitions) partitions.set(`${id}/${partition.partition}`, partition)
  }
  return partitions
}

/** The end follows from the last chunk; where retention has dropped every chunk, it is where the partition begins. */
async function loadEnd(storage: Storage, partition: Partition): Promise<void> {
  const last = await storage.last(chunkRange(partition, 0, Number.MAX_SAFE_INTEGER))
  partition.end = partition.earliest
  if (!last) return
  const chunk = parseChunk(readU64(last[0], 9), last[1])
  partition.end = Math.max(chunk.next, partition.earliest)
  partition.maxTimestamp = chunk.runningMaxTimestamp
}

async function loadProducers(storage: Storage, state: LogState): Promise<void> {
  for await (const [, value] of storage.range(kindRange('I'))) {
    const producer = parseJson(value) as ProducerState
    state.addProducer({ ...producer, open: producer.open })
    for (const touched of producer.open?.partitions ?? []) {
      const partition = state.partition(touched)
      partition.open = new Map([...partition.open, [producer.producerId, touched.first]])
    }
  }
}

/** Only ever what this log wrote itself. */
function parseJson(value: Buffer): unknown {
  return JSON.parse(value.toString())
}
