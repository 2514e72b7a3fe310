/** An ordered key-value store on disk: what state and the embedded log need of RocksDB. Keys order by bytes. */
export interface KvPut {
  readonly type: 'put'
  readonly key: Buffer
  readonly value: Buffer
}

export interface KvDelete {
  readonly type: 'del'
  readonly key: Buffer
}

export type KvOp = KvPut | KvDelete

export interface KvRange {
  /** Inclusive lower bound. */
  readonly gte: Buffer
  /** Exclusive upper bound. */
  readonly lt: Buffer
  readonly limit?: number
  readonly reverse?: boolean
}

export interface OrderedKv {
  get(key: Buffer): Promise<Buffer | undefined>
  /** Values aligned with `keys`. */
  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]>
  range(range: KvRange): AsyncIterable<readonly [key: Buffer, value: Buffer]>
  /** All or nothing. `sync`: on stable storage before it resolves (default: handed to the operating system). */
  write(ops: readonly KvOp[], options?: { sync?: boolean }): Promise<void>
  /** Deletes every key in the range; not atomic. */
  clear(range: { readonly gte: Buffer; readonly lt: Buffer }): Promise<void>
  /** Idempotent. Waits for what is under way; any later call rejects with ONCEWARD_E_STATE_UNUSABLE. */
  close(): Promise<void>
}
