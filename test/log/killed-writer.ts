import { openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { systemClock } from '../../core/clock.ts'
import { openRocksDb } from '../../state/rocksdb.ts'

/** A process of its own that commits until it is killed, and says each commit's number once it has committed. */
const kv = await openRocksDb(process.argv[2] ?? '')
const log = await openEmbeddedLog({ kv, clock: systemClock })
await log.createTopics([{ topic: 'killed', partitions: 2, cleanup: 'delete' }])
const producer = await log.transactional('killed')
for (let i = 0; ; i++) {
  const value = `${i}`
  await producer.commit({
    records: [0, 1].map((partition) => ({ topic: 'killed', partition, key: null, value, timestamp: i })),
    offsets: { group: 'killed', positions: [{ topic: 'killed', partition: 0, offset: i + 1 }] },
  })
  process.stdout.write(`${value}\n`)
}
