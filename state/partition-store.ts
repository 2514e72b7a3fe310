import { assert } from '../core/assert.ts'
import type { LogRecord } from '../core/ports/log.ts'
import type { KvOp, OrderedKv } from '../core/ports/ordered-kv.ts'
import { decodeSeenChunk, decodeSeenTime, encodeSeenTime, hourOfChunkKey, seenIndexKey } from './seen-ids.ts'
import { decodeStamp, encodeStamp, type Stamp } from './stamp.ts'
import type { Change } from './staged-state.ts'
import { META, SEEN_CHUNK_PREFIX, settledOffset, STAMP_KEY, TASK_META_KEY, type TaskMeta } from './stores.ts'

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

  /**
   * Applies a run of changelog records, with the stamp that it leads to, in one write. `stampOf` is given the input offset
   * that the state is then level with by its own account; undefined where it is with none.
   */
  async apply(records: readonly LogRecord[], stampOf: (inputOffset: number | undefined) => Stamp): Promise<void> {
    const ops: KvOp[] = []
    // A segment dropped within the run leaves nothing in the index, so of these only the last record counts.
    const chunks = new Map<string, Change>()
    let meta: Buffer | null | undefined
    for (const { key, value } of records) {
      assert(key !== null, 'a changelog record has a key')
      if (key[0] === CHUNK_BYTE) chunks.set(key.toString('latin1'), { key, value })
      else {
        ops.push(changeOp({ key, value }))
        if (key[0] === META_BYTE) meta = value
      }
    }
    const index = await this.#indexOps(chunks.values())
    for (const change of chunks.values()) ops.push(changeOp(change))
    const task = meta === undefined ? await this.meta() : decodeMeta(meta)
    const stamp = encodeStamp(stampOf(settledOffset(task)))
    // Ids that are forgotten come before those that a later chunk has renewed.
    await this.kv.write([
      ...index.forgotten,
      ...ops,
      ...index.remembered,
      { type: 'put', key: STAMP_KEY, value: stamp },
    ])
  }

  async close(): Promise<void> {
    await this.kv.close()
  }

  /** A chunk adds its ids to the index; its tombstone takes away those that no later chunk has renewed. */
  async #indexOps(chunks: Iterable<Change>): Promise<{ readonly forgotten: KvOp[]; readonly remembered: KvOp[] }> {
    const forgotten: KvOp[] = []
    const remembered: KvOp[] = []
    for (const { key, value } of chunks) {
      const hour = hourOfChunkKey(key)
      if (value === null) {
        for (const hash of await this.#onlyIn(key, hour)) forgotten.push({ type: 'del', key: seenIndexKey(hash) })
        continue
      }
      for (const { hash, ts } of decodeSeenChunk(hour, value)) {
        remembered.push({ type: 'put', key: seenIndexKey(hash), value: encodeSeenTime(ts) })
      }
    }
    return { forgotten, remembered }
  }

  /** The ids of a stored chunk that no later one has renewed. */
  async #onlyIn(key: Buffer, hour: number): Promise<string[]> {
    const chunk = await this.kv.get(key)
    if (chunk === undefined) return []
    const entries = decodeSeenChunk(hour, chunk)
    const times = await this.kv.getMany(entries.map(({ hash }) => seenIndexKey(hash)))
    return entries.flatMap(({ hash, ts }, i) => {
      const stored = times[i]
      return stored !== undefined && decodeSeenTime(stored) === ts ? [hash] : []
    })
  }
}

const CHUNK_BYTE = SEEN_CHUNK_PREFIX.charCodeAt(0)
const META_BYTE = META.prefix.charCodeAt(0)

function decodeMeta(bytes: Buffer | null): TaskMeta | undefined {
  return bytes === null ? undefined : META.decode(bytes)
}

const EVERYTHING = { gte: Buffer.from([0]), lt: Buffer.from([255]) } as const

function changeOp({ key, value }: Change): KvOp {
  return value === null ? { type: 'del', key } : { type: 'put', key, value }
}
