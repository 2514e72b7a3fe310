import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { hasCode, messageOf } from '../core/errors.ts'
import type { MemberMemory } from '../core/ports/log.ts'
import type { Logger } from '../core/ports/logger.ts'
import type { OrderedKv } from '../core/ports/ordered-kv.ts'
import { openRocksDb } from '../state/rocksdb.ts'

export interface StoredMemberMemory extends MemberMemory {
  /** Gives the folder free. */
  close(): Promise<void>
}

export interface MemberMemoryOptions {
  /** The folder of the worker's state under its application. */
  readonly folder: string
  readonly clock: Clock
  readonly logger: Logger
  /** Ends the wait for a folder that another process still holds. */
  readonly signal: AbortSignal
}

const KEY = Buffer.from('member')
/** A worker that was told to stop may still be ending when the next one starts: it takes five seconds at most. */
const LOCK_WAIT_MS = 10_000
const LOCK_RETRY_MS = 100
/** Kafka's member ids are a client id and a UUID; anything else is none. */
const MEMBER_ID = /^[\x21-\x7e]{1,255}$/
/** It holds one key. */
const SMALL = { cacheBytes: 64 << 10, writeBufferBytes: 64 << 10 }

/**
 * The place of this worker in its group, kept in a database of its own in the state folder. Its lock is that of the folder:
 * the operating system frees it when the process ends, however it ends, so whoever has it knows that the member it finds is
 * gone and may be told to leave. ONCEWARD_E_STATE_LOCKED where another process keeps it.
 */
export async function openMemberMemory(options: MemberMemoryOptions): Promise<StoredMemberMemory> {
  const { logger } = options
  const kv = await openLocked(options)
  const found = (await kv.get(KEY).catch(() => undefined))?.toString()
  // One after the other: of two writes at once the store may do the later one first.
  let written: Promise<void> = Promise.resolve()
  return {
    former: found !== undefined && MEMBER_ID.test(found) ? found : undefined,
    remember(memberId) {
      const write = (): Promise<void> => kv.write([{ type: 'put', key: KEY, value: Buffer.from(memberId) }])
      written = written.then(write).catch((error: unknown) => {
        logger.warn(
          { error: messageOf(error) },
          'cannot remember the place in the group; after a kill it is free only when the session has ended',
        )
      })
    },
    close: () => written.then(() => kv.close()),
  }
}

async function openLocked({ folder, clock, logger, signal }: MemberMemoryOptions): Promise<OrderedKv> {
  const giveUpAt = clock.monotonic() + LOCK_WAIT_MS
  const setAside = (moved: object): void =>
    logger.warn(moved, 'what the worker remembers of its group was corrupt; it was moved aside')
  for (;;) {
    try {
      return await openRocksDb(join(folder, 'member'), { ...SMALL, setAside })
    } catch (error) {
      const wait = hasCode(error, 'ONCEWARD_E_STATE_LOCKED') && clock.monotonic() < giveUpAt && !signal.aborted
      if (!wait) throw error
      await clock.sleep(LOCK_RETRY_MS, signal)
    }
  }
}
