import { parseChunk } from './chunk.ts'
import { Compactor, type MaintenanceParts } from './compaction.ts'
import { chunkKey, chunkRange, readU64 } from './keys.ts'
import type { Partition } from './state.ts'

export interface Maintained {
  /** Chunks that retention removed. */
  readonly chunksExpired: number
  /** Records that compaction removed. */
  readonly recordsCompacted: number
}

const CHUNKS_A_WRITE = 1000

/** Retention and compaction over all partitions; appends and reads go on meanwhile. One run at a time. */
export class Maintenance {
  readonly #parts: MaintenanceParts
  readonly #compactor: Compactor
  #running: Promise<Maintained> | undefined

  constructor(parts: MaintenanceParts) {
    this.#parts = parts
    this.#compactor = new Compactor(parts)
  }

  /** `thorough`: compacts whatever there is; else only where at least half of the records are new since the last time. */
  run(thorough: boolean): Promise<Maintained> {
    const former = this.#running
    const next = (async () => {
      // A former run's failure went to whoever asked for that run.
      await former?.catch(() => undefined)
      return this.#run(thorough)
    })()
    this.#running = next
    return next
  }

  /** Resolves when no run is under way. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => undefined)
  }

  async #run(thorough: boolean): Promise<Maintained> {
    let chunksExpired = 0
    let recordsCompacted = 0
    for (const { spec, partitions } of this.#parts.state.topics.values()) {
      for (const partition of partitions) {
        if (spec.cleanup === 'compact') recordsCompacted += await this.#compactor.run(partition, thorough)
        else if (spec.retentionMs !== undefined) chunksExpired += await this.#expire(partition, spec.retentionMs)
      }
    }
    return { chunksExpired, recordsCompacted }
  }

  /**
   * 1. Find the first chunk still young enough; whole chunks go, never part of one.
   * 2. Move the earliest offset there, durably: from now on no reader asks for what is below.
   * 3. Remove the chunks. A crash before this leaves them unreadable, and the next run removes them.
   */
  async #expire(partition: Partition, retentionMs: number): Promise<number> {
    const { journal, clock } = this.#parts
    const earliest = await this.#firstYoung(partition, clock.now() - retentionMs)
    if (earliest > partition.earliest) {
      const { cleanedTo, cleanedRecords } = partition
      await journal.submit((draft) => {
        draft.putStart(partition, { earliest, cleanedTo, cleanedRecords })
        draft.dropAbortedBelow(partition, earliest)
      })
    }
    return this.#removeBelow(partition, earliest)
  }

  async #firstYoung(partition: Partition, before: number): Promise<number> {
    let offset = partition.earliest
    while (offset < partition.stableEnd) {
      const chunk = await this.#parts.fetcher.chunkAt(partition, offset)
      if (!chunk || chunk.maxTimestamp >= before) break
      offset = chunk.next
    }
    return offset
  }

  async #removeBelow(partition: Partition, earliest: number): Promise<number> {
    let removed = 0
    let keys: Buffer[] = []
    const flush = async (): Promise<void> => {
      const batch = keys
      keys = []
      removed += batch.length
      if (batch.length > 0) await this.#parts.journal.submit((draft) => draft.replaceChunks(batch))
    }
    for await (const [key, value] of this.#parts.storage.range(chunkRange(partition, 0, earliest))) {
      const base = readU64(key, 9)
      if (parseChunk(base, value).next <= earliest) keys.push(chunkKey(partition, base))
      if (keys.length >= CHUNKS_A_WRITE) await flush()
    }
    await flush()
    return removed
  }
}
