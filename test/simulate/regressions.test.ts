import { expect, test } from 'vitest'
import { type EmbeddedLog, openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { systemClock } from '../../core/clock.ts'
import type { Log, TransactionalProducer } from '../../core/ports/log.ts'
import { recover } from '../../pipeline/recover.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { PartitionStore } from '../../state/partition-store.ts'

const PLACE = { application: 'app', partition: 0, events: 'events', changelog: 'app.changelog' }

async function openLog(): Promise<EmbeddedLog> {
  const log = await openEmbeddedLog({ kv: memoryKv(), clock: systemClock })
  await log.createTopics([
    { topic: 'events', partitions: 1, cleanup: 'delete' },
    { topic: 'app.changelog', partitions: 1, cleanup: 'compact' },
  ])
  const producer = await log.producer()
  const event = { topic: 'events', partition: 0, key: 'u', value: '{}', timestamp: 1 }
  await producer.send(Array.from({ length: 10 }, () => event))
  return log
}

/** What a task commits for the input up to `offset`. */
function commitUpTo(producer: TransactionalProducer, offset: number): Promise<unknown> {
  const meta = JSON.stringify({ inputOffset: offset })
  return producer.commit({
    records: [{ topic: 'app.changelog', partition: 0, key: 'mtask', value: meta, timestamp: 1 }],
    offsets: { group: 'app', positions: [{ topic: 'events', partition: 0, offset }] },
  })
}

/** Simulate seed 10 of the first version: a frozen worker thawed and said that someone had moved the group's offsets. */
test('a recovery that another worker overtakes is fenced, and blames nobody', async () => {
  const log = await openLog()
  await commitUpTo(await log.transactional('app.0'), 3)
  const overtaken: Log = Object.create(log, {
    reader: {
      value: async (partition: { topic: string; partition: number }) => {
        await commitUpTo(await log.transactional('app.0'), 7)
        return log.reader(partition)
      },
    },
    committed: { value: log.committed.bind(log) },
    bounds: { value: log.bounds.bind(log) },
  })
  const recovery = recover({
    ...PLACE,
    log: overtaken,
    store: new PartitionStore(memoryKv()),
    deleteRetentionMs: 86_400_000,
    now: () => 1,
    cancelled: () => false,
  })
  await expect(recovery).rejects.toMatchObject({ code: 'ONCEWARD_E_LOG_FENCED' })
  await log.close()
})
