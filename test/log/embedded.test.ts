import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedLog, openEmbeddedLog } from '../../connectors/log/embedded/log.ts'
import { systemClock } from '../../core/clock.ts'
import type { Log } from '../../core/ports/log.ts'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import { memoryKv } from '../../state/memory-kv.ts'
import { openRocksDb } from '../../state/rocksdb.ts'
import { logConformance, type LogFeatures, type OpenedLog } from './conformance.ts'

const features: LogFeatures = {
  patienceMs: 5_000,
  sessionTimeoutMs: 200,
  openTransaction: async (log, transactionalId, records) => {
    const transaction = await embedded(log).stepped(transactionalId)
    await transaction.append(records)
    return { commit: () => transaction.end('commit'), abort: () => transaction.end('abort') }
  },
  compact: async (log) => {
    await embedded(log).maintain()
  },
  expire: async (log) => {
    await embedded(log).maintain()
  },
}

logConformance('embedded, in memory', { features, open: async () => openOn(memoryKv(), async (kv) => kv) })

logConformance('embedded, on RocksDB', {
  features,
  open: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'onceward-log-'))
    const opened = await openOn(await openRocksDb(directory), async (kv) => {
      await kv.close()
      return openRocksDb(directory)
    })
    return {
      ...opened,
      close: async () => {
        await opened.close()
        await rm(directory, { recursive: true })
      },
    }
  },
})

async function openOn(first: OrderedKv, again: (kv: OrderedKv) => Promise<OrderedKv>): Promise<OpenedLog> {
  let kv = first
  let log = await openEmbeddedLog({ kv, clock: systemClock })
  return {
    log,
    reopen: async () => {
      await log.close()
      kv = await again(kv)
      log = await openEmbeddedLog({ kv, clock: systemClock })
      return log
    },
    close: async () => {
      await log.close()
      await kv.close()
    },
  }
}

function embedded(log: Log): EmbeddedLog {
  return log as EmbeddedLog
}
