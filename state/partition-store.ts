import { assert } from '../core/assert.ts'
import type { LogRecord } from '../core/ports/log.ts'
import type { KvOp, OrderedKv } from '../core/ports/ordered-kv.ts'
import { decodeSeenChunk, decodeSeenTime, encodeSeenTime, hourOfChunkKey, seenIndexKey } from './seen-ids.ts'
import { decodeStamp, encodeStamp, type Stamp } from './stamp.ts'
import type { Change } from './staged-state.ts'
import { META, SEEN_CHUNK_PREFIX, STAMP_KEY, TASK_META_KEY, type TaskMeta } from './stores.ts'

/**
 * One partition's directory on disk.
 * I1 (stamp): the stamp and the state it describes are written in one batch.
 * I2 (fold): the store without stamp and index equals the fold of the changelog up to the stamp's changelog offset.
 */
export class PartitionStore {
  readonly kv: OrderedKv

  constructor(kv: OrderedKv) {
    this.kv = kv
  }

  /** undefined where the store is empty; `unreadable` where it has content but no usable stamp. */
  async stamp(): Promise<Stamp | 'unreadable' | undefined> {
    const bytes = await this.kv.get(STAMP_KEY)
    if (bytes !== undefined) return decodeStamp(bytes) ?? 'unreadable'
    for await (const _ of this.kv.range({ ...EVERYTHING, limit: 1 })) return 'unreadable'
    return undefined
  }

  async meta(): Promise<TaskMeta | undefined> {
    const bytes = await this.kv.get(Buffer.from(META.prefix + TASK_META_KEY))
    return bytes === undefined ? undefined : META.decode(bytes)
  }

  /** Step 6 of a batch: its changes, its index and the stamp, all or nothing. */
  async write(changes: readonly Change[], indexOps: readonly KvOp[], stamp: Stamp): Promise<void> {
    const ops: KvOp[] = changes.map(changeOp)
    for (const op of indexOps) ops.push(op)
    ops.push({ type: 'put', key: STAMP_KEY, value: encodeStamp(stamp) })
    await this.kv.write(ops)
  }

  /** Empties the store, the stamp first, so that a stop in between leaves a store that nobody trusts. */
  async clear(): Promise<void> {
    await this.kv.write([{ type: 'del', key: STAMP_KEY }])
    await this.kv.clear(EVERYTHING)
  }

  /** Applies a run of changelog records. The stamp comes after the last one. */
  async apply(records: readonly LogRecord[]): Promise<void> {
    const last = new Map<string, LogRecord>()
    for (const record of records) {
      assert(record.key !== null, 'a changelog record has a key')
      last.set(record.key.toString('latin1'), record)
    }
    const ops: KvOp[] = []
    for (const { key, value } of last.values()) {
      if (key === null) continue
      ops.push(changeOp({ key, value }))
      if (key[0] === SEEN_CHUNK_PREFIX.charCodeAt(0)) await this.#indexChunk(key, value, ops)
    }
    await this.kv.write(ops)
  }

  async close(): Promise<void> {
    await this.kv.close()
  }

  /** A chunk adds its ids to the index; its tombstone takes away those that no later chunk has renewed. */
  async #indexChunk(key: Buffer, value: Buffer | null, ops: KvOp[]): Promise<void> {
    const hour = hourOfChunkKey(key)
    if (value !== null) {
      for (const { hash, ts } of decodeSeenChunk(hour, value)) {
        ops.push({ type: 'put', key: seenIndexKey(hash), value: encodeSeenTime(ts) })
      }
      return
    }
    const former = await this.kv.get(key)
    if (former === undefined) return
    const entries = decodeSeenChunk(hour, former)
    const times = await this.kv.getMany(entries.map(({ hash }) => seenIndexKey(hash)))
    entries.forEach(({ hash, ts }, i) => {
      const stored = times[i]
      if (stored !== undefined && decodeSeenTime(stored) === ts) ops.unshift({ type: 'del', key: seenIndexKey(hash) })
    })
  }
}

const EVERYTHING = { gte: Buffer.from([0]), lt: Buffer.from([255]) } as const

function changeOp({ key, value }: Change): KvOp {
  return value === null ? { type: 'del', key } : { type: 'put', key, value }
}
