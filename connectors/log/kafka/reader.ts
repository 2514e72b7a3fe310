import type { PartitionReader, RecordBatch, TopicPartition } from '../../../core/ports/log.ts'
import type { KafkaClient } from './client.ts'
import { type Fetched, fetchRecords } from './requests.ts'

const BATCH_BYTES = 1024 * 1024
/** One poll; a longer wait is several, so that a connection that died quietly is noticed. */
const POLL_MS_MAX = 10_000

/** Reads one partition without a group, on connections of its own: a long poll would hold up others. */
export function openReader(client: KafkaClient, partition: TopicPartition): PartitionReader {
  const name = `${partition.topic}-${partition.partition}`

  function fetch(offset: number, waitMsMax: number, bytesMax: number): Promise<Fetched> {
    return client.retrying(`read ${name} at offset ${offset}`, async () => {
      const leader = await client.leader(partition)
      const partitions = [{ ...partition, offset, bytesMax }]
      const [answer] = await fetchRecords(leader, { partitions, waitMsMax, bytesMax, answerMsMax: client.requestMsMax })
      if (answer === undefined) throw new Error(`Kafka answered nothing for ${name}`)
      if (answer.error) throw answer.error
      return answer
    })
  }

  async function read(offset: number, waitMs: number, bytesMax: number): Promise<RecordBatch> {
    const deadline = client.clock.monotonic() + waitMs
    for (let position = offset; ; ) {
      const waitMsLeft = Math.max(0, Math.ceil(deadline - client.clock.monotonic()))
      const { records, nextOffset, end } = await fetch(position, Math.min(waitMsLeft, POLL_MS_MAX), bytesMax)
      position = nextOffset
      // only markers and aborted records so far: what is readable, if anything, lies behind them
      const more = records.length === 0 && (position < end || client.clock.monotonic() < deadline)
      if (!more) return { ...partition, records, fetchOffset: offset, nextOffset, end }
    }
  }

  return {
    read: (offset, { waitMs = 0, bytesMax = BATCH_BYTES } = {}) => read(offset, waitMs, bytesMax),
    close: () => client.close(),
  }
}
