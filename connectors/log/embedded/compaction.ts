import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../../core/clock.ts'
import { DAY_MS } from '../../../core/durations.ts'
import { type Chunk, encodeKept, keptBytes, type StoredRecord, storedRecords } from './chunk.ts'
import type { Fetcher } from './fetch.ts'
import type { Journal } from './journal.ts'
import { chunkKey } from './keys.ts'
import type { LogState, Partition } from './state.ts'
import type { Storage } from './storage.ts'

/** Keys whose newest offset is held in memory at once; a longer dirty stretch takes several passes. */
const KEYS_MAX = 500_000
/** A rewritten chunk is closed at about so many bytes. */
const KEPT_BYTES = 256 * 1024
/** Kafka's default for delete.retention.ms. */
const DELETE_RETENTION_MS = DAY_MS

export interface MaintenanceParts {
  readonly state: LogState
  readonly storage: Storage
  readonly journal: Journal
  readonly fetcher: Fetcher
  readonly clock: Clock
}

interface Pass {
  readonly partition: Partition
  /** The newest committed offset of each key in the stretch not yet compacted. */
  readonly newest: ReadonlyMap<string, number>
  /** Everything below is compacted when the pass is done. */
  readonly to: number
  readonly now: number
  readonly deleteRetentionMs: number
}

/** Chunks read and not yet written back, all of them from `base` on. */
interface Run {
  base: number
  next: number
  chunks: Chunk[]
  kept: StoredRecord[]
  bytes: number
}

/**
 * Compaction as Kafka's log cleaner does it: first the newest offset of each key in the dirty stretch, then everything
 * up to its end is rewritten without what is superseded.
 *
 * I1. Offsets stay: a record keeps its own, chunks keep covering theirs, so none is ever given twice.
 * I2. Each rewrite is one write: a reader finds either the old chunks or the new one.
 * I3. A tombstone stays for deleteRetentionMs from the pass that has removed all it deletes: a reader that saw the old
 *     value has that long to come to the tombstone.
 */
export class Compactor {
  readonly #parts: MaintenanceParts

  constructor(parts: MaintenanceParts) {
    this.#parts = parts
  }

  /** Answers how many records went. */
  async run(partition: Partition, thorough: boolean): Promise<number> {
    let removed = 0
    for (;;) {
      const dirty = partition.stableEnd - partition.cleanedTo
      if (!thorough && (dirty === 0 || dirty < partition.cleanedRecords)) return removed
      const pass = await this.#survey(partition)
      removed += await this.#rewrite(pass)
      if (pass.to >= partition.stableEnd || pass.newest.size < KEYS_MAX) return removed
    }
  }

  async #survey(partition: Partition): Promise<Pass> {
    const newest = new Map<string, number>()
    const end = partition.stableEnd
    let to = partition.cleanedTo
    while (to < end && newest.size < KEYS_MAX) {
      // A store in memory answers within the turn: appends and timers must get theirs.
      await nextTurn()
      const chunk = await this.#parts.fetcher.chunkAt(partition, to)
      if (!chunk) break
      for (const record of this.#committed(partition, chunk)) newest.set(nameOf(record), record.offset)
      to = chunk.next
    }
    const deleteRetentionMs = partition.spec.deleteRetentionMs ?? DELETE_RETENTION_MS
    return { partition, newest, to, now: this.#parts.clock.now(), deleteRetentionMs }
  }

  async #rewrite(pass: Pass): Promise<number> {
    const { partition, to } = pass
    const counts = { seen: 0, kept: 0 }
    let run = emptyRun(partition.earliest)
    for (let offset = partition.earliest; offset < to; ) {
      await nextTurn()
      const chunk = await this.#parts.fetcher.chunkAt(partition, offset)
      if (!chunk) break
      const kept = this.#keep(pass, chunk)
      counts.seen += chunk.count
      counts.kept += kept.length
      const bytes = kept.reduce((sum, record) => sum + keptBytes(record), 0)
      if (run.chunks.length > 0 && run.bytes + bytes > KEPT_BYTES) {
        await this.#flush(partition, run)
        run = emptyRun(chunk.base)
      }
      run.chunks.push(chunk)
      run.kept.push(...kept)
      run.bytes += bytes
      run.next = chunk.next
      offset = chunk.next
    }
    await this.#flush(partition, run)
    const start = { earliest: partition.earliest, cleanedTo: to, cleanedRecords: counts.kept }
    await this.#parts.journal.submit((draft) => {
      draft.putStart(partition, start)
      draft.dropAbortedBelow(partition, to)
    })
    return counts.seen - counts.kept
  }

  #keep(pass: Pass, chunk: Chunk): StoredRecord[] {
    const kept: StoredRecord[] = []
    for (const record of this.#committed(pass.partition, chunk)) {
      const newest = pass.newest.get(nameOf(record))
      if (newest !== undefined && newest > record.offset) continue
      if (record.value !== null) kept.push(record)
      else if (record.deleteHorizon === undefined && pass.deleteRetentionMs > 0) {
        kept.push({ ...record, deleteHorizon: pass.now + pass.deleteRetentionMs })
      } else if (record.deleteHorizon !== undefined && record.deleteHorizon > pass.now) kept.push(record)
    }
    return kept
  }

  async #flush(partition: Partition, run: Run): Promise<void> {
    const [first] = run.chunks
    if (!first || isUnchanged(run)) return
    const last = run.chunks.at(-1) ?? first
    const value = encodeKept(run.base, run.kept, {
      producerId: 0,
      span: run.next - run.base,
      runningMaxTimestamp: last.runningMaxTimestamp,
    })
    const removed = run.chunks.map((chunk) => chunkKey(partition, chunk.base))
    const put = { key: chunkKey(partition, run.base), value }
    await this.#parts.journal.submit((draft) => draft.replaceChunks(removed, put))
  }

  /** The chunk's records, where its transaction committed. */
  #committed(partition: Partition, chunk: Chunk): StoredRecord[] {
    if (chunk.kind !== 'data') return []
    if (chunk.producerId !== 0 && partition.isAborted(chunk.producerId, chunk.base)) return []
    return storedRecords(chunk)
  }
}

function emptyRun(base: number): Run {
  return { base, next: base, chunks: [], kept: [], bytes: 0 }
}

/** A chunk of its own that lost nothing and belongs to no transaction needs no rewriting. */
function isUnchanged({ chunks, kept }: Run): boolean {
  const [chunk] = chunks
  if (chunks.length !== 1 || chunk?.kind !== 'data' || chunk.producerId !== 0 || chunk.count !== kept.length)
    return false
  return kept.every((record) => record.value !== null || record.deleteHorizon === undefined)
}

function nameOf({ key }: StoredRecord): string {
  return key?.toString('latin1') ?? ''
}
