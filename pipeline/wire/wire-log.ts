import type { Log, PartitionReader } from '../../core/ports/log.ts'
import type { SchemaLoader } from './schema-loader.ts'

/**
 * The log as those see it who read events without being a worker: before a batch of `topic` is handed out, the decoder has
 * learnt the schemas of its records. Reading rejects where the registry cannot be asked.
 */
export function withSchemas(log: Log, topic: string, loader: Pick<SchemaLoader, 'load'>): Log {
  const prepared = (reader: PartitionReader): PartitionReader => ({
    read: async (offset, options) => {
      const batch = await reader.read(offset, options)
      await loader.load(batch.records)
      return batch
    },
    close: () => reader.close(),
  })
  return {
    createTopics: (specs) => log.createTopics(specs),
    topic: (name) => log.topic(name),
    listTopics: () => log.listTopics(),
    bounds: (partitions) => log.bounds(partitions),
    offsetAt: (partition, timestamp) => log.offsetAt(partition, timestamp),
    committed: (group, partitions) => log.committed(group, partitions),
    members: (group) => log.members(group),
    producer: () => log.producer(),
    transactional: (id) => log.transactional(id),
    reader: async (partition) => {
      const reader = await log.reader(partition)
      return partition.topic === topic ? prepared(reader) : reader
    },
    consumer: (options) => log.consumer(options),
    close: () => log.close(),
  }
}
